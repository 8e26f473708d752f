"""What a GPU computes, how fast and in how much memory, in minutes: docs/gpu.md.

    make gpu
    python benchmarks/gpu.py --device cpu --output output/gpu_tiny.md

Kernels of the deformable convolution against each other; a training step of 16 and of 64 frames and
inference over three windows of 64, for every full R50 config in float32, float16 and bfloat16, with
the peak memory that tools/plan_memory.py expects beside the measured one. Each config has a process
of its own. A row that fails holds its error, the others go on, and the exit status is 1. On a CPU
the same rows are computed of narrow models and small frames, which shows that the command works and
nothing about a GPU. The time is limited by --minutes, so that `make gpu` takes less than nine with
the installation from local wheels.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import deform_conv, performance
from benchmarks.command_line import benchmark
from benchmarks.measure import Row, measured_rows
from benchmarks.performance import Cell
from benchmarks.training_step import measure_words
from simplevtr.env import describe
from simplevtr.formats.files import refuse_existing, write_bytes
from simplevtr.terminal import number

import torch
from tqdm import tqdm

WAYS = ("float32", "float16", "bfloat16")
TRACKS = 3


@dataclass(frozen=True)
class Scale:
    """How large everything is; sizes are (H, W) in pixels."""

    size: tuple[int, int]  # of the frames that the network sees
    output_size: tuple[int, int]  # of the masks in inference
    frames: tuple[int, int]  # T of the training steps; the second also of a window in inference
    pixels: tuple[int, ...] = ()  # of the kernels' maps, where others than in the mask head
    opts: tuple[Any, ...] = ()  # config keys and values


FULL = Scale((300, 540), (720, 1280), (16, 64))
# On a CPU and in tests: everything is measured, at a tiny size.
TINY = Scale((32, 48), (48, 64), (2, 3), (6, 8), (
    "MODEL.RESNETS.STEM_OUT_CHANNELS", 8, "MODEL.RESNETS.RES2_OUT_CHANNELS", 8,
    "MODEL.RESNETS.WIDTH_PER_GROUP", 8, "MODEL.SIMPLEVTR.HIDDEN_DIM", 24,
    "MODEL.SIMPLEVTR.DIM_FEEDFORWARD", 32,
))  # fmt: skip


def jobs(device: torch.device, scale: Scale, models: list[str]) -> dict[str, list[Cell]]:
    """What is measured of each model."""
    grid = {"sizes": [scale.size], "frames": scale.frames, "tracks": [TRACKS], "ways": WAYS}
    cells = performance.cells(argparse.Namespace(**grid, models=models, device=device.type))
    wanted = [cell for cell in cells if cell.tracks or cell.frames == scale.frames[1]]
    return {model: [cell for cell in wanted if cell.model == model] for model in models}


def words(cell: Cell, device: torch.device, scale: Scale) -> list[str]:
    """The arguments of the command that measures a cell."""
    steps = 3 if cell.frames == scale.frames[0] else 1  # the long clip is about memory
    how = ["--steps", steps, "--warmup", 1, "--expected"]
    if cell.kind == "inference":  # three windows
        how += ["--frames", cell.frames + 2 * max(1, 3 * cell.frames // 4)]
        how += ["--output-size", *scale.output_size]
    opts = ["SOLVER.IMS_PER_BATCH", 1, "TEST.WINDOW", cell.frames, "TEST.STRIDE", 0, *scale.opts]
    return cell.words(device=str(device), threads=1, opts=map(str, opts), how=map(str, how))


def _add_options(parser: argparse.ArgumentParser) -> None:
    add, models = parser.add_argument, list(performance.CONFIGS)
    default = "cuda" if torch.cuda.is_available() else "cpu"
    add("--device", default=default, choices=["cuda", "cpu"])
    add("--output", type=Path, metavar="FILE", help="docs/gpu.md, on a CPU output/gpu_tiny.md")
    add("--models", nargs="+", default=models, choices=models)
    add("--minutes", type=number(above=0), default=6.5, help="what is not done by then is left out")


@benchmark(_add_options)
def main(args: argparse.Namespace) -> tuple[list[Row], str, int]:
    """Measure every model in a process of its own, write the page; rows, page and exit status."""
    device = torch.device(args.device)
    scale = FULL if device.type == "cuda" else TINY
    output = args.output or Path("docs/gpu.md" if scale == FULL else "output/gpu_tiny.md")
    refuse_existing(output, overwrite=args.overwrite)
    begin, todo = time.monotonic(), jobs(device, scale, args.models)
    layers = [(name, device, deform_conv.REPEATS, scale.pixels) for name in deform_conv.SHAPES]

    def left() -> float:
        return begin + 60 * args.minutes - time.monotonic()

    kernels: list[Row] = []
    for (name, *_), found in zip(
        layers, measured_rows(deform_conv.measure_layer, layers, seconds=left()), strict=True
    ):
        kernels += found.get("rows", [{"layer": name} | found])
    results: dict[Cell, Row] = {}
    for cells in tqdm(todo.values(), unit="model"):
        commands = [(words(cell, device, scale),) for cell in cells]
        found = measured_rows(measure_words, commands, seconds=left())
        results |= zip(cells, found, strict=True)
    tiny = "" if scale == FULL else "**Narrow models and small frames: no figures of a GPU.** "
    page = [
        "# Measured on a GPU" if scale == FULL else "# A trial of `make gpu`",
        f"{tiny}`python benchmarks/gpu.py --device {device}`, in "
        f"{(time.monotonic() - begin) / 60:.1f} minutes.",
        "\n".join(f"* {name}: {value}" for name, value in describe()),
        "**Deformable convolutions**, forward and backward in float32. A layer fails if a result "
        f"or a gradient differs by more than {deform_conv.LARGEST_DIFFERENCE:g}.",
        deform_conv.table(kernels),
        f"**Models.** Training: a step of one clip with {TRACKS} instances, data not included. "
        f"Inference: three windows, masks at {scale.output_size[0]} x {scale.output_size[1]} "
        "included; its expected memory is the network's alone. What is expected is that of "
        "`tools/plan_memory.py`; peaks are PyTorch's on a GPU, the whole process's on a CPU.",
        performance.markdown(results, argparse.Namespace(device=str(device), threads=1, opts=[])),
    ]
    text = "\n\n".join(page)
    write_bytes(output, text.encode(), overwrite=True)
    rows = [*kernels, *(cell.row() | found for cell, found in results.items())]
    failed = sum("error" in row for row in rows)
    text += f"\nwritten to {output}; {failed} of {len(rows)} rows failed"
    return rows, text, int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
