"""Training curves from the metrics.json that detectron2 writes into a run's output folder."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

logger = logging.getLogger(__name__)

Curve = list[tuple[int, float]]
"""(iteration, value) pairs with rising iterations."""

_LINES = ("-", "--", ":", "-.")


def read_metrics(folder: str | os.PathLike) -> dict[str, Curve]:
    """The curves of one run, by the name of the metric.

    Lines that are not whole are left out with a warning: a run that was stopped may leave its last
    line torn, and a resumed run appends to it. Where a resumed run repeats an iteration, its later
    value counts.

    Args:
        folder: a run's output folder, or the metrics.json itself.

    Raises:
        FileNotFoundError: there is no metrics.json.
        ValueError: it holds no record of the form {"iteration": ..., ...}.
    """
    path = Path(folder)
    if path.is_dir():
        path = path / "metrics.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file; expected the output folder of a training run"
        )
    values: dict[str, dict[int, float]] = {}
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
        record = _record(line)
        if record is None:
            if line.strip():
                logger.warning("%s: line %d is not a whole record and is left out", path, number)
            continue
        for name, value in record.items():
            if isinstance(value, (int, float)) and name != "iteration":
                values.setdefault(name, {})[record["iteration"]] = float(value)
    if not values:
        raise ValueError(f'{path}: no line of the form {{"iteration": 19, "total_loss": 3.2, ...}}')
    return {name: sorted(curve.items()) for name, curve in values.items()}


def _record(line: str) -> dict | None:
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        return None
    whole = isinstance(record, dict) and isinstance(record.get("iteration"), int)
    return record if whole else None


def draw_curves(runs: Mapping[str, Mapping[str, Curve]]) -> Figure:
    """Three panels over the iteration: total loss, its parts, and mask AP with AP50.

    A run has one colour (total loss, AP) or one kind of line (parts). Losses of inner decoder
    layers, whose names end in a number, are left out.

    Args:
        runs: the curves of ``read_metrics`` by the name of the run.
    """
    figure = Figure(figsize=(16, 5), layout="constrained")
    FigureCanvasAgg(figure)
    total, parts, accuracy = figure.subplots(1, 3)
    part_names = sorted({name for curves in runs.values() for name in curves if _is_part(name)})
    for i, (run, curves) in enumerate(runs.items()):
        colour = f"C{i % 10}"
        _draw(total, curves.get("total_loss", []), run, color=colour)
        for j, name in enumerate(part_names):
            label = name if len(runs) == 1 else f"{name} ({run})"
            line = _LINES[i % len(_LINES)]
            _draw(parts, curves.get(name, []), label, color=f"C{j % 10}", linestyle=line)
        for name, curve in sorted(curves.items()):
            if re.search(r"(^|/)segm/AP(50)?$", name):
                line = "--" if name.endswith("50") else "-"
                _draw(accuracy, curve, f"{run}: {name}", color=colour, linestyle=line, marker=".")
    for axes, title in ((total, "total loss"), (parts, "losses"), (accuracy, "mask AP (%)")):
        _finish(axes, title, log=axes is not accuracy)
    return figure


def _is_part(name: str) -> bool:
    return "loss" in name and name != "total_loss" and not re.search(r"_\d+$", name)


def _draw(axes: Axes, curve: Sequence[tuple[int, float]], label: str, **style: str) -> None:
    if curve:
        axes.plot([i for i, _ in curve], [v for _, v in curve], label=label, linewidth=1.3, **style)


def _finish(axes: Axes, title: str, *, log: bool) -> None:
    axes.set_title(title)
    axes.set_xlabel("iteration")
    if not axes.lines:
        axes.text(0.5, 0.5, "nothing recorded", transform=axes.transAxes, ha="center", color="gray")
        return
    if log and any(value > 0 for line in axes.lines for value in line.get_ydata()):
        axes.set_yscale("log")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
