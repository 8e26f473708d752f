"""What a GPU computes, how fast and in how much memory, in minutes: docs/gpu.md.

    make gpu
    python benchmarks/gpu.py --device cpu --output output/gpu_tiny.md
    OMP_NUM_THREADS=1 python benchmarks/gpu.py --device cpu --full --models --output kernels.md

Kernels of the deformable convolution against each other; a training step of 16 and of 64 frames and
inference over three windows of 64, for every full R50 config in float32, float16 and bfloat16, with
the peak memory that tools/plan_memory.py expects beside the measured one. Each config has a process
of its own. A row that fails holds its error, the others go on, and the exit status is 1. On a CPU
the same rows are computed of narrow models and small frames, which shows that the command works and
nothing about a GPU, but for --full. The time is limited by --minutes, so that `make gpu` takes less
than nine with the installation from local wheels.
"""

import argparse
import statistics
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import performance
from benchmarks.command_line import benchmark, table
from benchmarks.measure import Row, measured_rows, time_steps
from benchmarks.performance import WAYS, Cell
from benchmarks.training_step import measure_words
from simplevtr.env import describe
from simplevtr.formats.files import check_output, write_bytes
from simplevtr.modeling.deform_conv import deformable_conv, detectron2_is_compiled
from simplevtr.terminal import number

import torch
from torch import Tensor
from tqdm import tqdm

TRACKS = 3
# Deformable layers: (maps, channels in, channels out, height, width) of two tracks in 16 frames of
# 300 x 540 pixels, and of the small configurations' clips.
LAYERS = {
    "full size, first": (32, 48, 24, 75, 135),
    "full size, logit": (32, 24, 1, 75, 135),
    "small, first": (30, 32, 16, 32, 48),
    "small, logit": (30, 16, 1, 32, 48),
}
REPEATS = 5
LARGEST_DIFFERENCE = 1e-3  # of two kernels in float32, by Euclidean norms, relative


@dataclass(frozen=True)
class Scale:
    """How large everything is; sizes are (H, W) in pixels."""

    size: tuple[int, int]  # of the frames that the network sees
    output_size: tuple[int, int]  # of the masks in inference
    frames: tuple[int, int]  # T of the training steps; the second also of a window in inference
    pixels: tuple[int, ...] = ()  # of the kernels' maps, where others than in ``LAYERS``
    opts: tuple[Any, ...] = ()  # config keys and values


FULL = Scale((300, 540), (720, 1280), (16, 64))
# On a CPU and in tests: everything is measured, at a tiny size.
TINY = Scale((32, 48), (48, 64), (2, 3), (6, 8), (
    "MODEL.RESNETS.STEM_OUT_CHANNELS", 8, "MODEL.RESNETS.RES2_OUT_CHANNELS", 8,
    "MODEL.RESNETS.WIDTH_PER_GROUP", 8, "MODEL.SIMPLEVTR.HIDDEN_DIM", 24,
    "MODEL.SIMPLEVTR.DIM_FEEDFORWARD", 32,
))  # fmt: skip


def measure_layer(name: str, device: torch.device, pixels: tuple[int, ...] = ()) -> Row:
    """The columns of a layer: each kernel's median time, and how many times torchvision's it is.

    ``pixels`` may be another (H, W) than in ``LAYERS``. ValueError if a result or a gradient of a
    kernel is not that of the grid_sample form.
    """
    maps, channels, out, height, width = shape = (*LAYERS[name][:3], *(pixels or LAYERS[name][3:]))
    torch.manual_seed(0)
    # Never near whole pixels, where gradients jump and each kernel's rounding would decide.
    offsets = torch.randn(maps, 18, height, width).floor() + 0.1
    offsets += 0.8 * torch.rand(maps, 18, height, width)
    tensors = [
        torch.randn(maps, channels, height, width),
        offsets,
        torch.rand(maps, 9, height, width),
        torch.randn(out, channels, 3, 3),
    ]
    tensors = [t.to(device).requires_grad_() for t in tensors]
    results: dict[str, list[Tensor]] = {}

    def step(kernel: str) -> None:
        result = deformable_conv(*tensors, None, backend=kernel)
        gradients = torch.autograd.grad(result.square().sum(), tensors)
        results[kernel] = [result.detach(), *gradients]

    timing = {"steps": REPEATS, "warmup": 1, "device": device}
    compiled = device.type == "cuda" and detectron2_is_compiled()
    row: Row = {"maps x in x out x H x W": "x".join(map(str, shape))}
    slowest = 0.0
    for kernel in ("torchvision", "grid_sample", *(["detectron2"] if compiled else [])):
        seconds = statistics.median(time_steps(partial(step, kernel), **timing))
        slowest = slowest or seconds
        row[f"{kernel}, ms"] = f"{1e3 * seconds:.1f} ({slowest / seconds:.1f} x)"
    for kernel, found in results.items():
        pairs = zip(found, results["grid_sample"], strict=True)
        difference = max(float((a - b).norm() / b.norm()) for a, b in pairs)
        if not difference <= LARGEST_DIFFERENCE:
            raise ValueError(f"{kernel} differs from grid_sample by {difference:.1e}")
    return row


def jobs(device: torch.device, scale: Scale, model: str) -> list[Cell]:
    """What is measured of a model: two training steps and inference, in every number format."""
    short, long = scale.frames
    return [
        Cell(model, way, frames, scale.size, tracks)
        for frames, tracks in ((short, TRACKS), (long, TRACKS), (long, 0))
        for way in WAYS
        if device.type == "cuda" or way != "float16"  # not computed on a CPU
    ]


def words(cell: Cell, device: torch.device, scale: Scale) -> list[str]:
    """The arguments of the command that measures a cell."""
    steps = 3 if cell.frames == scale.frames[0] else 1  # the long clip is about memory
    how = ["--steps", steps, "--warmup", 1, "--expected"]
    if not cell.tracks:  # three windows
        how += ["--frames", cell.frames + 2 * max(1, 3 * cell.frames // 4)]
        how += ["--output-size", *scale.output_size]
    opts = ["MODEL.DEVICE", device, "TEST.WINDOW", cell.frames, "TEST.STRIDE", 0, *scale.opts]
    return cell.words(opts, how)


def _add_options(parser: argparse.ArgumentParser) -> None:
    add, models = parser.add_argument, list(performance.CONFIGS)
    default = "cuda" if torch.cuda.is_available() else "cpu"
    add("--device", default=default, choices=["cuda", "cpu"])
    add("--output", type=Path, metavar="FILE", help="docs/gpu.md, on a CPU output/gpu_tiny.md")
    add("--full", action="store_true", help="the sizes of a GPU on a CPU, too, which takes long")
    add("--models", nargs="*", default=models, choices=models, help="none: kernels alone")
    add("--minutes", type=number(above=0), default=6.5, help="what is not done by then is left out")


@benchmark(_add_options)
def main(args: argparse.Namespace) -> tuple[list[Row], str, int]:
    """Measure every model in a process of its own, write the page; rows, page and exit status."""
    device = torch.device(args.device)
    scale = FULL if args.full or device.type == "cuda" else TINY
    output = args.output or Path("docs/gpu.md" if device.type == "cuda" else "output/gpu_tiny.md")
    check_output(output, overwrite=args.overwrite, suffixes=(".md",))
    performance.check_models(performance.CONFIGS, ["MODEL.DEVICE", args.device])
    begin = time.monotonic()

    def rows_of(function: Any, todo: list[tuple]) -> list[Row]:
        left = begin + 60 * args.minutes - time.monotonic()
        return list(measured_rows(function, todo, seconds=left))

    found = rows_of(measure_layer, [(name, device, scale.pixels) for name in LAYERS])
    kernels = [{"layer": name} | row for name, row in zip(LAYERS, found, strict=True)]
    results: dict[Cell, Row] = {}
    for model in tqdm(args.models, unit="model"):
        todo = jobs(device, scale, model)
        found = rows_of(measure_words, [(words(cell, device, scale),) for cell in todo])
        results |= zip(todo, found, strict=True)
    tiny = "" if scale == FULL else "**Narrow models and small frames: no figures of a GPU.** "
    page = [
        "# Measured on a GPU" if device.type == "cuda" else "# A trial of `make gpu`",
        f"{tiny}`python benchmarks/gpu.py --device {device}`, in "
        f"{(time.monotonic() - begin) / 60:.1f} minutes.",
        "\n".join(f"* {name}: {value}" for name, value in describe()),
        "**Deformable convolutions**, forward and backward in float32, and how many times as fast "
        "as torchvision's. A layer fails if a result or a gradient differs by more than "
        f"{LARGEST_DIFFERENCE:g}.",
        table(kernels),
        f"**Models.** Training: a step of one clip with {TRACKS} instances, data not included. "
        f"Inference: three windows, masks at {scale.output_size[0]} x {scale.output_size[1]} "
        "included; its expected memory is the network's alone. What is expected is that of "
        "`tools/plan_memory.py`; peaks are PyTorch's on a GPU, the whole process's on a CPU.",
        performance.tables(results),
    ]
    text = "\n\n".join(page[: None if results else 5])
    write_bytes(output, f"{text}\n".encode(), overwrite=True)
    rows = [*kernels, *(cell.row() | row for cell, row in results.items())]
    failed = sum("error" in row for row in rows)
    text += f"\nwritten to {output}; {failed} of {len(rows)} rows failed"
    return rows, text, int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
