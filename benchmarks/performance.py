"""SimpleVTR with its two heads and VisTR, computed plainly and lightly: time, memory, FLOPs.

    python benchmarks/performance.py --output output/performance --threads 2
    python benchmarks/performance.py --output output/heads --models SimpleVTR pixel \\
        --ways light recomputed --frames 16 --tracks 3 10
    python benchmarks/performance.py --output output/performance --frames 16 36 64 \\
        --sizes 300x540 360x640 --device cuda SOLVER.AMP.ENABLED True

Every cell is measured as benchmarks/training_step.py does, one step or one run without warm-up, in
a fresh process each. Figures lie in OUTPUT as JSON, and cells that are there are not measured
again. OUTPUT also gets table.md. What does not fit into the memory is reported as such and not
tried again; another error stands in the table, the other cells go on, and the exit status is 1.
"""

import argparse
import dataclasses
import json
import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installation too

from benchmarks import training_step
from benchmarks.command_line import COUNT, machine, model_config
from benchmarks.measure import MIB, measured_rows
from simplevtr.formats.files import write_bytes, write_json
from simplevtr.head_keys import RECOMPUTABLE
from simplevtr.terminal import command_parser, run_command

import torch
from tabulate import tabulate
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "configs/youtubevis_2021"
CONFIGS = {
    "SimpleVTR": FOLDER / "simplevtr_R50.yaml",
    "VisTR": FOLDER / "vistr_R50.yaml",
    "pixel": FOLDER / "pixel_R50.yaml",
}
WAYS = ("plain", "light", "recomputed")
KINDS = ("training", "inference")
# How PyTorch, Python, C++, CUDA and the system say that there is no memory.
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
        """Where its figures lie."""
        tracks = f"_{self.tracks}_tracks" if self.tracks else ""
        shape = f"{self.frames}_{self.size[0]}x{self.size[1]}"
        return f"{self.kind}_{self.model}_{self.way}_{shape}{tracks}.json"

    def words(self, args: argparse.Namespace) -> list[str]:
        """The arguments of the command that measures it."""
        words = ["--config-file", str(CONFIGS[self.model]), "--threads", str(args.threads)]
        words += ["--frames", str(self.frames), "--size", *map(str, self.size)]
        words += ["--steps", "1", "--warmup", "0"]
        words += ["--instances", str(self.tracks)] if self.tracks else ["--inference"]
        words += ["MODEL.DEVICE", args.device, *args.opts]
        if self.way == "plain":
            words += ["MODEL.META_ARCHITECTURE", "SIMPLEVTR_PLAIN"]
        if self.way == "recomputed":
            parts = RECOMPUTABLE["pixel" if self.model == "pixel" else "paper"]
            words += ["MODEL.SIMPLEVTR.RECOMPUTE", str(list(parts))]
        if self.model == "VisTR":
            words += ["MODEL.SIMPLEVTR.QUERY_FRAMES", str(self.frames)]
        return words


def cells(args: argparse.Namespace) -> list[Cell]:
    """All measurements, small ones first. Inference keeps no activations to recompute."""
    return [
        Cell(kind, model, way, length, size, tracks)
        for size in sorted(set(args.sizes), key=lambda size: (math.prod(size), size))
        for length in sorted(set(args.frames))
        for kind in KINDS
        for tracks in (sorted(set(args.tracks)) if kind == "training" else [0])
        for model in args.models
        for way in args.ways
        if (kind, way) != ("inference", "recomputed") and (model, way) != ("pixel", "plain")
    ]


def base_of(cell: Cell, results: dict[Cell, Any]) -> Cell:
    """What a cell is compared with: plain VisTR, or else the first model of the first way."""
    first = next(iter(results))
    if any((other.model, other.way) == ("VisTR", "plain") for other in results):
        first = dataclasses.replace(first, model="VisTR", way="plain")
    return dataclasses.replace(cell, model=first.model, way=first.way)


def run_cell(cell: Cell, args: argparse.Namespace) -> dict[str, Any]:
    """Measure a cell in its own process, or read what an earlier run measured.

    Returns the figures; {} if it did not fit into the memory; another "error", which is not kept.
    """
    path = args.output.resolve() / cell.file_name
    if path.is_file():
        return json.loads(path.read_text(encoding="utf-8"))
    (result,) = measured_rows(training_step.measure_words, [(cell.words(args),)])
    if any(words in result.get("error", "") for words in OUT_OF_MEMORY):
        result = {}
    if "error" not in result:
        write_json(path, result, indent=2)
    return result


def markdown(results: dict[Cell, dict[str, Any]], args: argparse.Namespace) -> str:
    """The tables: a training step, inference, FLOPs by part."""
    sizes = list(dict.fromkeys(cell.size for cell in results))
    several, base = len(sizes) > 1, base_of(next(iter(results)), results)
    opts = f", {' '.join(args.opts)}" if args.opts else ""
    parts = [
        f"{machine(args.device)}, {args.threads} CPU threads, torch {torch.__version__}; frames of "
        f"{' or '.join(map(_pixels, sizes))} pixels, random weights{opts}. Ratios are to "
        f"{base.way} {base.model} with as many frames{' of the same size' if several else ''}."
    ]
    for kind in KINDS:
        parts.append(f"**{kind.capitalize()}**" + (", one clip" if kind == "training" else ""))
        parts.append(_table([_row(c, r, results) for c, r in results.items() if c.kind == kind]))
    if rows := _flops_rows(results):
        parts.append("**GFLOPs of a clip's forward pass, by part** (every slot's mask)")
        parts.append(_table(rows))
    return "\n\n".join(parts) + "\n"


def _pixels(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def _name(cell: Cell) -> dict[str, str]:
    row = {"frames": str(cell.frames), "size": _pixels(cell.size)}
    row |= {"tracks": str(cell.tracks)} if cell.tracks else {}
    return row | {"model": cell.model, "computed": cell.way}


def _row(cell: Cell, result: dict, results: dict[Cell, dict]) -> dict[str, str]:
    base = results.get(base_of(cell, results), {})
    row = _name(cell)
    if "peak_bytes" not in result:
        return row | {"s": result.get("error", "does not fit")}
    key = "step_seconds" if cell.kind == "training" else "seconds"
    seconds, other = (r.get(key, {}).get("median") for r in (result, base))
    row |= {"s": f"{seconds:.2f}", "time": _ratio(seconds, other)}
    if cell.kind == "training":
        row["saved (MiB)"] = f"{result['saved_bytes'] / MIB:,.0f}"
        row["saved"] = _ratio(result["saved_bytes"], base.get("saved_bytes"))
    else:
        row["frames/s"] = f"{result['frames_per_second']:.2f}"
    row["peak (MiB)"] = f"{result['peak_bytes'] / MIB:,.0f}"
    row["peak"] = _ratio(result["peak_bytes"], base.get("peak_bytes"))
    return row


def _ratio(value: float, other: float | None) -> str:
    return "" if not other else f"{value / other:.2f} x"


def _flops_rows(results: dict[Cell, dict]) -> list[dict[str, str]]:
    rows = []
    for cell, result in results.items():
        if "flops" in result and cell.way != "recomputed":
            row = _name(dataclasses.replace(cell, tracks=0))
            row["parameters (M)"] = f"{result['parameters'] / 1e6:.1f}"
            for part, flops in (result["flops_by_part"] | {"all": result["flops"]}).items():
                row[part.replace("_", " ")] = f"{flops / 1e9:,.0f}"
            rows += [row] * (row not in rows)  # the same for any number of tracks
    return rows


def _table(rows: list[dict[str, str]]) -> str:
    """Without the column of sizes if there is only one size."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    if len({row["size"] for row in rows}) < 2:
        columns = [column for column in columns if column != "size"]
    cells = [[row.get(column, "") for column in columns] for row in rows]
    align = ["left" if column in ("model", "computed") else "right" for column in columns]
    return tabulate(cells, columns, tablefmt="pipe", disable_numparse=True, colalign=align)


def run(args: argparse.Namespace) -> int:
    """Measure, and write and print the tables; 1 if a measurement failed."""
    _check_settings(args)
    todo = tqdm(cells(args), unit="cell")
    results = {cell: run_cell(cell, args) for cell in todo}
    table = markdown(results, args)
    write_bytes(args.output / "table.md", table.encode(), overwrite=True)
    print(table)
    return int(any("error" in result for result in results.values()))


def _check_settings(args: argparse.Namespace) -> None:
    """Keep the settings in OUTPUT. ValueError or KeyError if they are others, or make no sense."""
    for config in map(CONFIGS.get, args.models):
        opts = ["MODEL.DEVICE", args.device, *args.opts]
        model_config(argparse.Namespace(config_file=config, opts=opts, threads=args.threads))
    settings = {name: getattr(args, name) for name in ("device", "threads", "opts")}
    path = args.output / "settings.json"
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != settings:
        raise ValueError(f"{args.output} has figures of other settings; choose another --output")
    write_json(path, settings, overwrite=True)


def _size(text: str) -> tuple[int, int]:
    """(H, W) of "HxW"."""
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not HxW in pixels, as 300x540 is")
    return int(found[1]), int(found[2])


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(__file__, __doc__)
    add = parser.add_argument
    add("--output", type=Path, required=True, help="folder of the figures")
    add("--device", default="cpu", help='"cpu" (default) or "cuda"')
    add("--frames", type=COUNT, nargs="+", default=[4, 16], metavar="T")
    add("--sizes", type=_size, nargs="+", default=[(300, 540)], metavar="HxW")
    add("--tracks", type=COUNT, nargs="+", default=[3], metavar="G", help="of a training clip")
    add("--models", nargs="+", default=list(CONFIGS), choices=CONFIGS)
    add("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    add("--threads", type=COUNT, default=1, help="CPU threads (default 1)")
    add("opts", nargs="*", metavar="KEY VALUE", help="config keys and values")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status is 1 if a measurement failed, 2 after a user's error."""
    return run_command(_parser(), run, arguments)


if __name__ == "__main__":
    sys.exit(main())
