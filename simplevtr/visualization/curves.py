"""Pictures of training curves."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from simplevtr.formats.metrics import Curve

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_LINES = ("-", "--", ":", "-.")


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
