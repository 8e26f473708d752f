"""SimpleVTR with its two heads and VisTR, computed plainly and lightly: time, memory, FLOPs.

    python benchmarks/performance.py --output output/performance --threads 2
    python benchmarks/performance.py --output output/heads --models SimpleVTR pixel \\
        --ways light recomputed --frames 16 --tracks 3 10
    python benchmarks/performance.py --output output/performance --frames 16 36 64 \\
        --sizes 300x540 360x640 --device cuda SOLVER.AMP.ENABLED True

Every cell is measured by benchmarks/training_step.py, one step or one run without warm-up, each in
a fresh process. Figures are kept in OUTPUT as JSON, and cells that exist already are not measured
again. OUTPUT also gets table.md. What does not fit into memory is reported as such and not tried
again. Any other error is shown in the table, the remaining cells are measured, and the exit status
is 1.
"""

import argparse
import dataclasses
import math
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.command_line import COUNT, machine, model_config
from benchmarks.measure import MIB, Row, measured_rows
from benchmarks.training_step import measure_words
from simplevtr.formats.files import read_json, write_bytes, write_json
from simplevtr.head_keys import RECOMPUTABLE
from simplevtr.terminal import command

import torch
from tabulate import tabulate
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
AMP = ["SOLVER.AMP.ENABLED", "True", "TEST.AMP", "True", "SOLVER.AMP.DTYPE"]
# Config keys and values; what is recomputed depends on the model's head.
WAYS = {
    "plain": ["MODEL.META_ARCHITECTURE", "SIMPLEVTR_PLAIN"],
    "light": [],
    "recomputed": ["MODEL.SIMPLEVTR.RECOMPUTE"],
    "float32": [],
    "float16": [*AMP, "float16"],
    "bfloat16": [*AMP, "bfloat16"],
}
ONE_STEP = ("--steps", "1", "--warmup", "0")
KINDS = ("training", "inference")
# Figures by the title of their column: key, unit, format, and title of the ratio to the base's.
COLUMNS = {
    "s": ("seconds", 1, ".3f", "time"),
    "saved (MiB)": ("saved_bytes", MIB, ",.0f", "saved"),
    "frames/s": ("frames_per_second", 1, ".2f", ""),
    "peak (MiB)": ("peak_bytes", MIB, ",.0f", "peak"),
    "expected (MiB)": ("expected_bytes", MIB, ",.0f", ""),
    "expected / peak": ("expected_ratio", 1, ".2f", ""),
}
# How PyTorch, Python, C++, CUDA and the system report that memory ran out.
OUT_OF_MEMORY = (
    "out of memory", "can't allocate memory", "MemoryError", "bad_alloc", "_STATUS_ALLOC_FAILED",
    "(Killed)",
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One measurement: of ``KINDS``, ``CONFIGS`` and ``WAYS``, T frames, (H, W) in pixels.

    ``tracks`` are those of a clip in training, and 0 in inference.
    """

    kind: str
    model: str
    way: str
    frames: int
    size: tuple[int, int]
    tracks: int

    @property
    def file_name(self) -> str:
        """The name of the file with its figures."""
        tracks = f"_{self.tracks}_tracks" if self.tracks else ""
        shape = f"{self.frames}_{self.size[0]}x{self.size[1]}"
        return f"{self.kind}_{self.model}_{self.way}_{shape}{tracks}.json"

    def words(
        self, *, device: str, threads: int, opts: Iterable[str], how: Iterable[str] = ONE_STEP
    ) -> list[str]:
        """The arguments of the command that measures it; ``how`` says which steps."""
        words = ["--config-file", str(FOLDER / CONFIGS[self.model]), "--threads", str(threads)]
        words += ["--frames", str(self.frames), "--size", *map(str, self.size)]
        words += ["--instances", str(self.tracks)] if self.tracks else ["--inference"]
        words += [*how, "MODEL.DEVICE", device, "SOLVER.IMS_PER_BATCH", "1"]
        words += [*opts, *WAYS[self.way]]
        if self.way == "recomputed":
            words += [str(list(RECOMPUTABLE["pixel" if self.model == "pixel" else "paper"]))]
        if self.model.startswith("VisTR"):
            words += ["MODEL.SIMPLEVTR.QUERY_FRAMES", str(self.frames)]
        return words

    def row(self) -> dict[str, str]:
        """Its first columns."""
        row = {"frames": str(self.frames), "size": f"{self.size[0]} x {self.size[1]}"}
        row |= {"tracks": str(self.tracks)} if self.tracks else {}
        return row | {"model": self.model, "computed": self.way}


def cells(args: argparse.Namespace) -> list[Cell]:
    """All measurements, small ones first."""
    left_out = {
        ("inference", "recomputed"),  # keeps no activations
        ("pixel", "plain"),
        ("cpu", "float16"),  # not computed there
    }
    return [
        Cell(kind, model, way, length, size, tracks)
        for size in sorted(set(args.sizes), key=lambda size: (math.prod(size), size))
        for length in sorted(set(args.frames))
        for kind in KINDS
        for tracks in (sorted(set(args.tracks)) if kind == "training" else [0])
        for model in args.models
        for way in args.ways
        if not left_out & {(kind, way), (model, way), (args.device, way)}
    ]


def base_of(cell: Cell, results: dict[Cell, Any]) -> Cell:
    """What a cell is compared with: plain VisTR, or else the first model of the first way."""
    first = next(iter(results))
    if any((other.model, other.way) == ("VisTR", "plain") for other in results):
        first = dataclasses.replace(first, model="VisTR", way="plain")
    return dataclasses.replace(cell, model=first.model, way=first.way)


def run_cell(cell: Cell, args: argparse.Namespace) -> Row:
    """Measure a cell in its own process, or read what an earlier run measured.

    Returns the figures; {} if it did not fit into the memory; another "error", which is not kept.
    """
    path = args.output.resolve() / cell.file_name
    if path.is_file():
        return read_json(path)
    words = cell.words(device=args.device, threads=args.threads, opts=args.opts)
    (result,) = measured_rows(measure_words, [(words,)])
    if any(words in result.get("error", "") for words in OUT_OF_MEMORY):
        result = {}
    if "error" not in result:
        write_json(path, result, indent=2)
    return result


def markdown(results: dict[Cell, Row], args: argparse.Namespace) -> str:
    """The tables: a training step, inference, FLOPs by part."""
    sizes = list(dict.fromkeys(cell.size for cell in results))
    several, base = len(sizes) > 1, base_of(next(iter(results)), results)
    opts = f", {' '.join(args.opts)}" if args.opts else ""
    pixels = " or ".join(f"{h} x {w}" for h, w in sizes)
    same_size = " of the same size" if several else ""
    parts = [
        f"{machine(args.device)}, CPU threads: {args.threads}, torch {torch.__version__}; frames "
        f"of {pixels} pixels, random weights{opts}. Ratios are to {base.way} {base.model} with as "
        f"many frames{same_size}."
    ]
    flops = []
    for kind in KINDS:
        parts.append(f"**{kind.capitalize()}**" + (", one clip" if kind == "training" else ""))
        parts.append(table([figures(cell, results) for cell in results if cell.kind == kind]))
    for cell, result in results.items():
        if "flops" in result and cell.way != "recomputed":
            row = dataclasses.replace(cell, tracks=0).row()
            row["parameters (M)"] = f"{result['parameters'] / 1e6:.1f}"
            for part, count in (result["flops_by_part"] | {"all": result["flops"]}).items():
                row[part.replace("_", " ")] = f"{count / 1e9:,.0f}"
            flops += [row] * (row not in flops)  # the same for any number of tracks
    if flops:
        title = "**GFLOPs of a clip's forward pass, by part** (every slot's mask)"
        parts += [title, table(flops)]
    return "\n\n".join(parts) + "\n"


def figures(cell: Cell, results: dict[Cell, Row]) -> dict[str, str]:
    """A cell's row of the table of its kind."""
    result, base = (_flat(results.get(key, {})) for key in (cell, base_of(cell, results)))
    row = cell.row()
    if "peak_bytes" not in result:
        return row | {"s": result.get("error", "does not fit")}
    for title, (key, unit, form, ratio) in COLUMNS.items():
        if key in result:
            row[title] = f"{result[key] / unit:{form}}"
        if key in result and ratio:
            row[ratio] = f"{result[key] / base[key]:.2f} x" if base.get(key) else ""
    return row


def _flat(result: Row) -> Row:
    """With the numbers of ``COLUMNS``, for either kind."""
    result = dict(result)
    if seconds := result.get("step_seconds") or result.get("seconds"):
        result["seconds"] = seconds["median"]
    if "expected_bytes" in result:
        result["expected_ratio"] = result["expected_bytes"] / result["peak_bytes"]
    return result


def table(rows: list[dict[str, str]]) -> str:
    """Without the column of sizes if there is only one size."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    if len({row["size"] for row in rows}) < 2:
        columns = [column for column in columns if column != "size"]
    cells = [[row.get(column, "") for column in columns] for row in rows]
    align = ["left" if column in ("model", "computed") else "right" for column in columns]
    return tabulate(cells, columns, tablefmt="pipe", disable_numparse=True, colalign=align)


def check_settings(args: argparse.Namespace) -> None:
    """Keep the settings in OUTPUT. ValueError or KeyError if they are others, or make no sense."""
    opts = ["MODEL.DEVICE", args.device, *args.opts]
    for model in args.models:
        config = FOLDER / CONFIGS[model]
        model_config(argparse.Namespace(config_file=config, opts=opts, threads=args.threads))
    settings = {name: getattr(args, name) for name in ("device", "threads", "opts")}
    path = args.output / "settings.json"
    if path.is_file() and read_json(path) != settings:
        raise ValueError(f"{args.output} has figures of other settings; choose another --output")
    write_json(path, settings, overwrite=True)


def _size(text: str) -> tuple[int, int]:
    """(H, W) of "HxW"."""
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not HxW in pixels, as 300x540 is")
    return int(found[1]), int(found[2])


def _add_options(parser: argparse.ArgumentParser) -> None:
    add, models, ways = parser.add_argument, list(CONFIGS), list(WAYS)
    add("--output", type=Path, required=True, help="folder of the figures")
    add("--device", default="cpu", help='"cpu" (default) or "cuda"')
    add("--frames", type=COUNT, nargs="+", default=[4, 16], metavar="T")
    add("--sizes", type=_size, nargs="+", default=[(300, 540)], metavar="HxW")
    add("--tracks", type=COUNT, nargs="+", default=[3], metavar="G", help="of a training clip")
    add("--models", nargs="+", default=models[:3], choices=models)
    add("--ways", nargs="+", default=ways[:3], choices=ways)
    add("--threads", type=COUNT, default=1, help="CPU threads (default 1)")
    add("opts", nargs="*", metavar="KEY VALUE", help="config keys and values")


@command(_add_options)
def main(args: argparse.Namespace) -> int:
    """Measure, and write and print the tables; 1 if a measurement failed."""
    check_settings(args)
    results = {cell: run_cell(cell, args) for cell in tqdm(cells(args), unit="cell")}
    text = markdown(results, args)
    write_bytes(args.output / "table.md", text.encode(), overwrite=True)
    print(text)
    return int(any("error" in result for result in results.values()))


if __name__ == "__main__":
    sys.exit(main())
