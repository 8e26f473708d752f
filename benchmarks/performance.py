"""SimpleVTR and VisTR, computed plainly and lightly, side by side: time, memory, FLOPs.

    python benchmarks/performance.py --output output/performance --threads 2
    python benchmarks/performance.py --output output/performance --frames 16 36 64 --device cuda \\
        SOLVER.AMP.ENABLED True

Every cell is a fresh process of benchmarks/training_step.py or benchmarks/inference.py, one at a
time, so that peaks of memory do not mix. Figures lie in OUTPUT as JSON, and cells that are there
are not measured again. OUTPUT also gets table.md and plot.png. What does not fit into the memory is
reported as such.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installation too

from benchmarks.measure import PARTS, REST
from simplevtr.evaluation.json_file import write_bytes

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from tabulate import tabulate
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = {
    "SimpleVTR": "configs/youtubevis_2021/simplevtr_R50.yaml",
    "VisTR": "configs/youtubevis_2021/vistr_R50.yaml",
}
RECOMPUTE = "['backbone','encoder','mask_head']"
WAYS = {
    "plain": ["MODEL.META_ARCHITECTURE", "SIMPLEVTR_PLAIN"],
    "light": [],
    "light, recomputed": ["MODEL.SIMPLEVTR.RECOMPUTE", RECOMPUTE],
}
KINDS = {"training": "benchmarks/training_step.py", "inference": "benchmarks/inference.py"}


@dataclass(frozen=True)
class Cell:
    """One measurement."""

    kind: str
    model: str
    way: str
    frames: int

    @property
    def file_name(self) -> str:
        """Where its figures lie."""
        way = self.way.replace(", ", "_")
        return f"{self.kind}_{self.model}_{way}_{self.frames}.json"

    def command(self, args: argparse.Namespace, path: Path) -> list[str]:
        """What measures it."""
        words = [sys.executable, KINDS[self.kind], "--config-file", CONFIGS[self.model]]
        words += ["--frames", str(self.frames), "--size", *map(str, args.size)]
        words += ["--threads", str(args.threads), "--warmup", str(args.warmup)]
        words += ["--steps" if self.kind == "training" else "--runs", str(args.steps)]
        words += ["--json", str(path), "MODEL.DEVICE", args.device, *WAYS[self.way], *args.opts]
        if self.model == "VisTR":
            words += ["MODEL.SIMPLEVTR.QUERY_FRAMES", str(self.frames)]
        return words


def cells(frames: list[int]) -> list[Cell]:
    """All measurements, small ones first. Inference keeps no activations to recompute."""
    return [
        Cell(kind, model, way, length)
        for length in sorted(frames)
        for kind in KINDS
        for model in CONFIGS
        for way in WAYS
        if kind == "training" or way != "light, recomputed"
    ]


def run(cell: Cell, args: argparse.Namespace) -> dict[str, Any]:
    """Measure a cell, or read what an earlier run measured; {} if it did not fit.

    Raises:
        RuntimeError: if the measurement failed for another reason.
    """
    path = args.output.resolve() / cell.file_name
    if not path.is_file():
        done = subprocess.run(
            cell.command(args, path), cwd=ROOT, capture_output=True, text=True, check=False
        )
        killed = done.returncode == -9  # by the system, for want of memory
        if killed or "out of memory" in done.stderr or "can't allocate memory" in done.stderr:
            write_bytes(path, b"{}\n", overwrite=True)
        elif done.returncode:
            raise RuntimeError(f"{cell}: exit status {done.returncode}\n{done.stderr[-2000:]}")
    return json.loads(path.read_text(encoding="utf-8"))


def markdown(results: dict[Cell, dict[str, Any]], args: argparse.Namespace) -> str:
    """The tables: a training step, inference, FLOPs by part."""
    height, width = args.size
    opts = f", {' '.join(args.opts)}" if args.opts else ""
    parts = [
        f"{machine(args.device)}, {args.threads} CPU threads, torch {torch.__version__}; frames of "
        f"{height} x {width} pixels, random weights{opts}. Ratios are to plain VisTR with as many "
        "frames."
    ]
    for kind in KINDS:
        rows = [
            _row(cell, result, results) for cell, result in results.items() if cell.kind == kind
        ]
        parts.append(f"**{kind.capitalize()}**" + (", one clip" if kind == "training" else ""))
        parts.append(_table(rows))
    parts.append("**GFLOPs of a clip's forward pass, by part** (every slot's mask)")
    parts.append(_table(_flops_rows(results)))
    return "\n\n".join(parts) + "\n"


def machine(device: str) -> str:
    """The name of the GPU or the processor."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _row(cell: Cell, result: dict, results: dict[Cell, dict]) -> dict[str, str]:
    plain = results.get(Cell(cell.kind, "VisTR", "plain", cell.frames), {})
    row = {"frames": str(cell.frames), "model": cell.model, "computed": cell.way}
    if not result:
        return row | {"s": "does not fit"}
    seconds = [
        r["step_seconds" if cell.kind == "training" else "seconds"]["median"] if r else None
        for r in (result, plain)
    ]
    row |= {"s": f"{seconds[0]:.2f}", "time": _ratio(*seconds)}
    if cell.kind == "training":
        row["saved (MiB)"] = f"{result['saved_bytes'] / 2**20:,.0f}"
        row["saved"] = _ratio(result["saved_bytes"], plain.get("saved_bytes"))
    else:
        row["frames/s"] = f"{result['frames_per_second']:.2f}"
    row["peak (MiB)"] = f"{result['peak_bytes'] / 2**20:,.0f}"
    row["peak"] = _ratio(result["peak_bytes"], plain.get("peak_bytes"))
    return row


def _ratio(value: float, other: float | None) -> str:
    return "" if not other else f"{value / other:.2f} x"


def _flops_rows(results: dict[Cell, dict]) -> list[dict[str, str]]:
    rows = []
    for cell, result in results.items():
        if cell.kind == "training" and cell.way != "light, recomputed" and result:
            row = {"frames": str(cell.frames), "model": cell.model, "computed": cell.way}
            row["parameters (M)"] = f"{result['parameters'] / 1e6:.1f}"
            for part in [*PARTS, REST]:
                row[part.replace("_", " ")] = f"{result['flops_by_part'][part] / 1e9:,.0f}"
            rows.append(row | {"all": f"{result['flops'] / 1e9:,.0f}"})
    return rows


def _table(rows: list[dict[str, str]]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[row.get(column, "") for column in columns] for row in rows]
    align = ["right", "left", "left", *["right"] * (len(columns) - 3)]
    return tabulate(cells, columns, tablefmt="pipe", disable_numparse=True, colalign=align)


def draw(results: dict[Cell, dict[str, Any]]) -> Figure:
    """Bars: seconds and peak memory of every training cell that fits."""
    found = {cell: result for cell, result in results.items() if cell.kind == "training" and result}
    figure = Figure(figsize=(11, 1.2 + 0.32 * len(found)), layout="constrained")
    FigureCanvasAgg(figure)
    names = [f"{cell.model}, {cell.way}, {cell.frames} frames" for cell in found]
    colours = ["#1f5fa8" if cell.model == "SimpleVTR" else "#c2571a" for cell in found]
    left, right = figure.subplots(1, 2, sharey=True)
    left.barh(names, [r["step_seconds"]["median"] for r in found.values()], color=colours)
    left.set_xlabel("seconds a training step")
    right.barh(names, [r["peak_bytes"] / 2**30 for r in found.values()], color=colours)
    right.set_xlabel("peak memory, GiB")
    left.invert_yaxis()
    return figure


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status is 1 if a measurement failed, 2 after a user's error."""
    args = _parser().parse_args(arguments)
    if min([*args.frames, *args.size, args.threads, args.steps]) < 1 or args.warmup < 0:
        print("performance.py: error: every number must be at least 1", file=sys.stderr)
        return 2
    results = {}
    try:
        _check_settings(args)
        for cell in tqdm(cells(args.frames), unit="cell"):
            results[cell] = run(cell, args)
    except ValueError as error:
        print(f"performance.py: error: {error}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        print(f"performance.py: {error}", file=sys.stderr)
        return 1
    table = markdown(results, args)
    write_bytes(args.output / "table.md", table.encode(), overwrite=True)
    draw(results).savefig(args.output / "plot.png", dpi=110)
    print(table)
    return 0


def _check_settings(args: argparse.Namespace) -> None:
    """Keep the settings in OUTPUT, and refuse to mix figures of different ones."""
    names = ("size", "device", "threads", "steps", "warmup", "opts")
    settings = {name: getattr(args, name) for name in names}
    path = args.output / "settings.json"
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != settings:
        raise ValueError(f"{args.output} has figures of other settings; choose another --output")
    args.output.mkdir(parents=True, exist_ok=True)
    write_bytes(path, json.dumps(settings).encode(), overwrite=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of the figures")
    parser.add_argument("--device", default="cpu", help='"cpu" (default) or "cuda"')
    parser.add_argument("--frames", type=int, nargs="+", default=[4, 16], metavar="T")
    parser.add_argument("--size", type=int, nargs=2, default=[300, 540], metavar=("H", "W"))
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument("--steps", type=int, default=1, help="timed steps or runs (default 1)")
    parser.add_argument("--warmup", type=int, default=0, help="before them (default 0)")
    parser.add_argument("opts", nargs="*", metavar="KEY VALUE", help="config keys and values")
    return parser


if __name__ == "__main__":
    sys.exit(main())
