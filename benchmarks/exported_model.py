"""Time a model in PyTorch and as an ONNX file in ONNX Runtime, with equal threads on a CPU.

    pip install -e '.[export]'
    python benchmarks/exported_model.py --config-file configs/embedded/pretrained.yaml --threads 1

Both look at the same window in turn, --repeats times, and compute the masks of all slots. The model
in PyTorch is as evaluation has it. Printed are medians and the median of the ratios of two runs
next to each other, which other programs disturb least.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.command_line import benchmark, model_config, table
from simplevtr.inference.exported_model import ExportedModel, check_packages
from simplevtr.terminal import COUNT

import torch


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--frames", type=COUNT, nargs="+", default=[8, 32], help="of a window (default 8 32)")
    add("--size", type=COUNT, nargs=2, default=[64, 96], metavar=("HEIGHT", "WIDTH"))
    add("--repeats", type=COUNT, default=15, help="timed runs of each (default 15)")


@benchmark(_add_options, model=True)
def main(args: argparse.Namespace) -> tuple[list[dict[str, Any]], str]:
    """Export the model and time both; ValueError if a package is missing."""
    check_packages()
    import onnxruntime

    exported, rows = ExportedModel.of_config(model_config(args)), []
    divisor, fixed = exported.metadata["size_divisor"], exported.metadata["fixed_frames"]
    if any(side % divisor or side < 2 * divisor for side in args.size):
        size = " ".join(map(str, args.size))
        raise ValueError(f"--size {size}: multiples of {divisor} from {2 * divisor} on are needed")
    if fixed and {*args.frames} != {fixed}:
        raise ValueError(f"--frames: the model takes {fixed} frames at once")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        exported.write_onnx(path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = args.threads
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    for frames in args.frames:
        given = torch.randint(256, (frames, 3, *args.size), dtype=torch.uint8)
        own, other = [], []
        for _ in range(1 + args.repeats):  # the first warms up
            start = time.perf_counter()
            with torch.no_grad():
                exported.module(given)
            middle = time.perf_counter()
            session.run(None, {"frames": given.numpy()})
            own.append(middle - start)
            other.append(time.perf_counter() - middle)
        ratio = median(b / a for a, b in zip(own[1:], other[1:], strict=True))
        row = {"frames": frames, "H x W": " x ".join(map(str, args.size))}
        row |= {"PyTorch, ms": f"{1e3 * median(own[1:]):.1f}"}
        row |= {"ONNX Runtime, ms": f"{1e3 * median(other[1:]):.1f}"}
        rows.append(row | {"ONNX Runtime / PyTorch": f"{ratio:.2f}"})
    versions = f"torch {torch.__version__}, onnxruntime {onnxruntime.__version__}"
    return rows, f"{versions}, {args.threads} CPU threads\n{table(rows)}"


if __name__ == "__main__":
    raise SystemExit(main())
