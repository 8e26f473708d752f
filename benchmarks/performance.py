"""SimpleVTR with its two heads and VisTR: time, memory and FLOPs of the full R50 configs.

    python benchmarks/performance.py --models SimpleVTR pixel --frames 16 --tracks 3 10
    python benchmarks/performance.py --device cuda --frames 16 36 64 SOLVER.AMP.ENABLED True

Every row is measured by benchmarks/training_step.py, one step or one run without warm-up, each in
a fresh process: training, without and with recomputed activations, and inference. A row that fails,
also for its memory, holds its error, the others are measured, and the exit status is 1.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import training_step
from benchmarks.command_line import COUNT, benchmark, machine, model_config, table
from benchmarks.measure import Row, measured_rows
from benchmarks.training_step import measure_words
from simplevtr.config_checks import RECOMPUTABLE

import torch
from tqdm import tqdm

FOLDER = Path(__file__).resolve().parents[1] / "configs"
CONFIGS = {
    "SimpleVTR": "youtubevis_2021/simplevtr_R50.yaml",
    "VisTR": "youtubevis_2021/vistr_R50.yaml",
    "pixel": "youtubevis_2021/pixel_R50.yaml",
    "SimpleVTR-2019": "youtubevis_2019/simplevtr_R50.yaml",
    "VisTR-2019": "youtubevis_2019/vistr_R50.yaml",
    "SimpleVTR-OVIS": "ovis/simplevtr_R50.yaml",
}
AMP = ("SOLVER.AMP.ENABLED", "True", "TEST.AMP", "True", "SOLVER.AMP.DTYPE")
# Config keys and values; what "recomputed" adds depends on the head.
WAYS = {"float32": (), "float16": (*AMP, "float16"), "bfloat16": (*AMP, "bfloat16")}
ONE_STEP = ("--steps", "1", "--warmup", "0")


@dataclass(frozen=True)
class Cell:
    """One measurement: of ``CONFIGS``, in one of ``WAYS`` or another, T frames, (H, W) in pixels.

    ``tracks`` are those of a clip in training, and 0 in inference.
    """

    model: str
    way: str
    frames: int
    size: tuple[int, int]
    tracks: int

    def words(self, opts: Iterable[Any], how: Iterable[Any] = ONE_STEP) -> list[str]:
        """The arguments of the command that measures it; ``how`` says which steps."""
        words: list[Any] = ["--config-file", FOLDER / CONFIGS[self.model], "--frames", self.frames]
        words += ["--size", *self.size]
        words += ["--instances", self.tracks] if self.tracks else ["--inference"]
        words += [*how, "SOLVER.IMS_PER_BATCH", 1, *opts, *WAYS.get(self.way, ())]
        if self.way == "recomputed":
            parts = RECOMPUTABLE["pixel" if self.model == "pixel" else "paper"]
            words += ["MODEL.SIMPLEVTR.RECOMPUTE", list(parts)]
        if self.model.startswith("VisTR"):
            words += ["MODEL.SIMPLEVTR.QUERY_FRAMES", self.frames]
        return [str(word) for word in words]

    def row(self) -> dict[str, str]:
        """Its first columns."""
        tracks = {"tracks": str(self.tracks)} if self.tracks else {}
        return {"frames": str(self.frames), **tracks, "model": self.model, "computed": self.way}


def check_models(models: Iterable[str], opts: list[str], threads: int = 1) -> None:
    """Raise ValueError for a mistake before the first process starts."""
    for model in models:
        config = str(FOLDER / CONFIGS[model])
        model_config(argparse.Namespace(config_file=config, opts=opts, threads=threads))


def cells(args: argparse.Namespace) -> list[Cell]:
    """All measurements, short clips first."""
    ways = ("as configured", "recomputed")
    training = [(tracks, way) for tracks in args.tracks for way in ways]
    return [
        Cell(model, way, frames, tuple(args.size), tracks)
        for frames in sorted(args.frames)
        for tracks, way in [*training, (0, ways[0])]
        for model in args.models
    ]


def tables(results: Mapping[Cell, Row]) -> str:
    """Training steps, and inference, as Markdown."""
    rows = [(cell.tracks, cell.row() | training_step.cells(row)) for cell, row in results.items()]
    training, inference = (table(row for n, row in rows if bool(n) == t) for t in (True, False))
    return f"**Training**, one clip\n\n{training}\n\n**Inference**\n\n{inference}"


def _add_options(parser: argparse.ArgumentParser) -> None:
    add, models = parser.add_argument, list(CONFIGS)
    add("--device", default="cpu", help='"cpu" (default) or "cuda"')
    add("--frames", type=COUNT, nargs="+", default=[4, 16], metavar="T")
    add("--size", type=COUNT, nargs=2, default=[300, 540], metavar=("H", "W"))
    add("--tracks", type=COUNT, nargs="+", default=[3], metavar="G", help="of a training clip")
    add("--models", nargs="+", default=models[:3], choices=models)
    add("--threads", type=COUNT, default=1, help="CPU threads (default 1)")
    add("opts", nargs="*", metavar="KEY VALUE", help="config keys and values")


@benchmark(_add_options)
def main(args: argparse.Namespace) -> tuple[list[Row], str, int]:
    """Measure every cell in a process of its own; rows, tables and exit status."""
    opts = [*args.opts, "MODEL.DEVICE", args.device]
    check_models(args.models, opts, args.threads)
    results, how = {}, (*ONE_STEP, "--threads", args.threads)
    for cell in tqdm(cells(args), unit="row"):
        (results[cell],) = measured_rows(measure_words, [(cell.words(opts, how),)])
    title = (
        f"{machine(args.device)}, CPU threads: {args.threads}, torch {torch.__version__}; frames "
        f"of {args.size[0]} x {args.size[1]} pixels, random weights {' '.join(args.opts)}"
    )
    rows = [cell.row() | row for cell, row in results.items()]
    status = int(any("error" in row for row in rows))
    return rows, f"{title}\n\n{tables(results)}", status


if __name__ == "__main__":
    sys.exit(main())
