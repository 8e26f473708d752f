"""What the full R50 configs cost: time, memory and FLOPs of training steps and of inference.

    python benchmarks/performance.py --models SimpleVTR pixel --frames 16 --tracks 3 10
    python benchmarks/performance.py --device cuda --frames 16 36 64 SOLVER.AMP.ENABLED True
    make gpu

Every row is measured by benchmarks/training_step.py: training of one clip in one of --ways, and
inference of a video that is --windows windows of --frames long. On a CPU each row has a fresh
process, whose peak memory never falls; on a GPU those of a model share one. A row that fails, also
for its memory or after --minutes, holds its error, the others are measured, and the exit status is
1.
"""

import argparse
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import training_step
from benchmarks.command_line import benchmark, machine, model_config, table
from benchmarks.measure import Row, measured_rows
from benchmarks.training_step import measure_words
from simplevtr.config_checks import RECOMPUTABLE
from simplevtr.terminal import COUNT, NATURAL, number

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
# Config keys and values. What "recomputed" adds depends on the head; it is of training alone.
WAYS = {"as configured": (), "recomputed": (), "float16": (*AMP, "float16")}
WAYS |= {"float32": (), "bfloat16": (*AMP, "bfloat16")}


class Cell(NamedTuple):
    """One measurement: of ``CONFIGS``, in one of ``WAYS``, of T frames.

    ``tracks`` are those of a clip in training, and 0 in inference.
    """

    model: str
    way: str
    frames: int
    tracks: int

    def words(self, args: argparse.Namespace) -> list[str]:
        """The arguments of the command that measures it."""
        longer = 0 if self.tracks else (args.windows - 1) * max(1, 3 * self.frames // 4)
        words: list[Any] = ["--config-file", FOLDER / CONFIGS[self.model], "--size", *args.size]
        words += ["--frames", self.frames + longer]
        words += ["--instances", self.tracks] if self.tracks else ["--inference"]
        words += ["--steps", args.steps, "--warmup", args.warmup, "--threads", args.threads]
        words += ["--expected"] * args.expected
        words += ["SOLVER.IMS_PER_BATCH", 1, "TEST.WINDOW", self.frames, "TEST.STRIDE", 0]
        words += [*args.opts, "MODEL.DEVICE", args.device, *WAYS[self.way]]
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


def cells(args: argparse.Namespace) -> list[Cell]:
    """All measurements, short clips first."""
    kinds = [(tracks, way) for tracks in args.tracks for way in args.ways]
    kinds += [(0, way) for way in args.ways if way != "recomputed"]
    return [
        Cell(model, way, frames, tracks)
        for frames in sorted(args.frames)
        for tracks, way in kinds
        for model in args.models
    ]


def _add_options(parser: argparse.ArgumentParser) -> None:
    add, models = parser.add_argument, list(CONFIGS)
    add("--device", default="cpu", help='"cpu" (default) or "cuda"')
    add("--frames", type=COUNT, nargs="+", default=[4, 16], metavar="T")
    add("--size", type=COUNT, nargs=2, default=[300, 540], metavar=("H", "W"))
    add("--tracks", type=COUNT, nargs="+", default=[3], metavar="G", help="of a training clip")
    add("--models", nargs="+", default=models[:3], choices=models)
    add("--ways", nargs="+", default=["as configured", "recomputed"], choices=WAYS)
    add("--windows", type=COUNT, default=1, help="of a video (default 1)")
    add("--steps", type=COUNT, default=1, help="timed steps or runs of each (default 1)")
    add("--warmup", type=NATURAL, default=0, help="steps before them (default 0)")
    add("--expected", action="store_true", help="what plan_memory.py expects, instead of FLOPs")
    add("--minutes", type=number(above=0), default=10_000, help="for all rows together")
    add("--threads", type=COUNT, default=1, help="CPU threads (default 1)")
    add("opts", nargs="*", metavar="KEY VALUE", help="config keys and values")


@benchmark(_add_options)
def main(args: argparse.Namespace) -> tuple[list[Row], str]:
    """Measure every cell."""
    for model in args.models:  # a mistake shows before the first process starts
        words = Cell(model, "as configured", 1, 0).words(args)
        model_config(training_step.main.parser().parse_args(words))
    todo, end = cells(args), time.monotonic() + 60 * args.minutes
    groups = [[cell] for cell in todo]
    if args.device != "cpu":
        groups = [[cell for cell in todo if cell.model == model] for model in args.models]
    results: dict[Cell, Row] = {}
    for group in tqdm(groups):
        jobs = [(cell.words(args),) for cell in group]
        left = end - time.monotonic()
        results |= zip(group, measured_rows(measure_words, jobs, seconds=left), strict=True)
    title = (
        f"{machine(args.device)}, CPU threads: {args.threads}, torch {torch.__version__}; frames "
        f"of {args.size[0]} x {args.size[1]} pixels, random weights {' '.join(args.opts)}"
    )
    training, inference = (
        table(c.row() | training_step.cells(results[c]) for c in todo if bool(c.tracks) == trains)
        for trains in (True, False)
    )
    text = f"{title}\n\n**Training**, one clip\n\n{training}\n\n**Inference**\n\n{inference}"
    return [cell.row() | results[cell] for cell in todo], text


if __name__ == "__main__":
    raise SystemExit(main())
