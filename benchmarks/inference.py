"""Measure what inference of one video costs: frames a second and memory.

    python benchmarks/inference.py --config-file configs/youtubevis_2021/simplevtr_R50.yaml \\
        --frames 16 --size 300 540 --threads 2

The video is noise of the size that the network sees; tracks come out at --output-size. Weights are
random: MODEL.WEIGHTS is ignored. Reading and resizing frames is not included. Peak memory on a CPU
is the whole process's, Python and libraries included; on a GPU it is what PyTorch has allocated.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installation too

from benchmarks.measure import peak_resident_bytes, quartiles, time_steps
from benchmarks.training_step import check_measurable, synthetic_clip
from simplevtr import setup_cfg
from simplevtr.evaluation.json_file import refuse_existing, write_bytes

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model


def measure(cfg: CfgNode, args: argparse.Namespace) -> dict[str, Any]:
    """Segment the video ``args.runs`` times and return what is reported."""
    device = torch.device(cfg.MODEL.DEVICE)
    torch.manual_seed(0)
    model = build_model(cfg).eval()
    clip = synthetic_clip(
        frames=args.frames,
        size=tuple(args.size),
        instances=0,
        classes=cfg.MODEL.SIMPLEVTR.NUM_CLASSES,
        rng=np.random.default_rng(0),
    )
    clip["height"], clip["width"] = args.output_size
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
    videos = iter([[clip]] * (args.warmup + args.runs))
    seconds, _ = time_steps(model, videos, steps=args.runs, warmup=args.warmup, device=device)
    return {
        "seconds": quartiles(seconds),
        "frames_per_second": args.frames / quartiles(seconds)["median"],
        "peak_bytes": torch.cuda.max_memory_allocated(device) if on_gpu else peak_resident_bytes(),
        "peak_kind": "gpu" if on_gpu else "resident",
        "frames": args.frames,
        "size": args.size,
        "output_size": args.output_size,
        "device": cfg.MODEL.DEVICE,
        "threads": torch.get_num_threads(),
    }


def argument_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="YAML")
    parser.add_argument("--frames", type=int, default=16, metavar="T", help="of the video")
    parser.add_argument("--size", type=int, nargs=2, default=[300, 540], metavar=("H", "W"))
    parser.add_argument("--output-size", type=int, nargs=2, default=[720, 1280], metavar=("H", "W"))
    parser.add_argument("--runs", type=int, default=3, help="timed runs (default 3)")
    parser.add_argument("--warmup", type=int, default=1, help="runs before them (default 1)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures, too")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing FILE")
    parser.add_argument("opts", nargs="*", metavar="KEY VALUE", help="config keys and values")
    return parser


def setup(args: argparse.Namespace) -> CfgNode:
    """Check the arguments and build the config.

    Raises:
        ValueError: if an argument or the device makes no sense.
    """
    numbers = [args.frames, *args.size, *args.output_size, args.runs, args.threads]
    if min(numbers) < 1 or args.warmup < 0:
        raise ValueError("frames, sizes, runs and threads must be at least 1, warmup at least 0")
    torch.set_num_threads(args.threads)
    cfg = setup_cfg(args.config_file, args.opts)
    check_measurable(cfg)
    cfg.freeze()
    return cfg


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status is 2 after a user's error."""
    args = argument_parser().parse_args(arguments)
    try:
        if args.json is not None:
            refuse_existing(args.json, overwrite=args.overwrite)
        report = measure(setup(args), args)
        if args.json is not None:
            content = json.dumps(report, indent=2) + "\n"
            write_bytes(args.json, content.encode(), overwrite=args.overwrite)
    except (ValueError, KeyError, OSError, torch.OutOfMemoryError) as error:
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        print(f"inference.py: error: {message}", file=sys.stderr)
        return 2
    print(
        f"{args.config_file}: {report['frames_per_second']:.2f} frames/s "
        f"({report['seconds']['median']:.2f} s for {args.frames} frames), peak "
        f"({report['peak_kind']}) {report['peak_bytes'] / 2**20:,.0f} MiB"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
