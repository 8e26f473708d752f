"""Plots: training curves, runs side by side, what a dataset holds, memory over time."""

import io
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simplevtr.formats.files import write_bytes
from simplevtr.formats.metrics import Curve
from simplevtr.terminal import mean_and_deviation, one_line

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_COLOUR = "#1f5fa8"
_LINES = ("-", "--", ":", "-.")
_LONGEST_NAME = 40
_MIB = 2**20
_Seeds = Mapping[str, Sequence[float | None]]


def draw_curves(runs: Mapping[str, Mapping[str, Curve]]) -> Figure:
    """Three panels over the iteration: total loss, its parts, and mask AP with AP50.

    A run has one colour (total loss) or one kind of line (parts), a test set of a run one colour
    (AP). Losses of inner decoder layers, whose names end in a number, are left out.
    """
    figure, scored = _figure(16, 5), itertools.count()
    total, parts, accuracy = figure.subplots(1, 3)
    losses = {name for curves in runs.values() for name in curves if "loss" in name}
    part_names = sorted(n for n in losses if n != "total_loss" and not re.search(r"_\d+$", n))
    for i, (run, curves) in enumerate(runs.items()):
        colour = f"C{i % 10}"
        _draw(total, curves.get("total_loss", []), run, color=colour)
        for j, name in enumerate(part_names):
            label = name if len(runs) == 1 else f"{name} ({run})"
            line = _LINES[i % len(_LINES)]
            _draw(parts, curves.get(name, []), label, color=f"C{j % 10}", linestyle=line)
        for name in sorted(name for name in curves if re.search(r"(^|/)segm/AP$", name)):
            colour = f"C{next(scored) % 10}"
            for label, line in ((name, "-"), (f"{name}50", "--")):
                style = {"color": colour, "linestyle": line, "marker": "."}
                _draw(accuracy, curves.get(label, []), f"{run}: {label}", **style)
    for axes, title in ((total, "total loss"), (parts, "losses"), (accuracy, "mask AP (%)")):
        _label_curves(axes, title, log=axes is not accuracy)
    return figure


def draw_ablation(scores: _Seeds, losses: _Seeds, baseline: str | None = None) -> Figure:
    """Two panels, one line per run: mean and standard deviation over the seeds, and each seed.

    ``scores`` (AP in per cent) and ``losses`` of each seed are by the title of the run, from top to
    bottom; the mean and deviation of the one called ``baseline`` are marked over all lines.
    """
    longest = max((len(title) for title in scores), default=0)
    figure = _figure(9 + 0.08 * longest, 1.6 + 0.34 * len(scores))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    _draw_seeds(left, scores, baseline, "mask AP (%)")
    _draw_seeds(right, losses, baseline, "loss, last fifth of the iterations")
    left.set_yticks(range(len(scores)), list(scores), parse_math=False)
    left.set_ylim(len(scores) - 0.5, -0.5)
    return figure


def draw_counts(counts: Sequence[tuple[str, int]], *, title: str, label: str) -> Figure:
    """A bar for each (name, number of videos), at least one (SimpleVTR, Figures 2, 3).

    Names may repeat; ``label`` is what they are.
    """
    figure = _figure(max(5.0, 1.5 + 0.32 * len(counts)), 4.2)
    axes = figure.subplots()
    places = range(len(counts))
    bars = axes.bar(places, [number for _, number in counts], color=_COLOUR, width=0.75)
    axes.bar_label(bars, fontsize="x-small", padding=1)
    names = [_plain(name) for name, _ in counts]
    names = [n if len(n) <= _LONGEST_NAME else f"{n[: _LONGEST_NAME - 1]}…" for n in names]
    upright: dict[str, Any] = {} if max(map(len, names)) <= 3 else {"rotation": 90}
    axes.set_xticks(places, names, fontsize="small", **upright)
    for tick in axes.get_xticklabels():
        tick.set_parse_math(False)
    axes.set(xlim=(-0.6, len(counts) - 0.4), xlabel=label, ylabel="videos")
    axes.set_title(title, parse_math=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_memory(curves: Mapping[str, Sequence[tuple[int, int]]]) -> Figure:
    """Resident memory over frames: (frame, bytes) by the run's name."""
    figure = _figure(7, 3.2)
    axes = figure.subplots()
    for name, curve in curves.items():
        frames, sizes = zip(*curve, strict=True)
        axes.plot([max(1, frame) for frame in frames], [size / _MIB for size in sizes], label=name)
    axes.set(xscale="log", xlabel="frame", ylabel="resident memory (MiB)")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    _name_lines(axes)
    return figure


def write_figure(figure: Figure, path: Path, *, overwrite: bool) -> None:
    """Write a ``.png``, ``.pdf`` or ``.svg`` as ``write_bytes`` does."""
    picture = io.BytesIO()
    figure.savefig(picture, format=path.suffix[1:].lower(), dpi=110)
    write_bytes(path, picture.getvalue(), overwrite=overwrite)


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained")


def _draw(axes: Axes, curve: Curve, label: str, **style: Any) -> None:
    if curve:
        axes.plot(*zip(*curve, strict=True), label=label, linewidth=1.3, **style)


def _plain(name: str) -> str:
    """A name, perhaps a folder's, as far as it can be drawn."""
    return one_line("".join(c if c.isprintable() else " " for c in name))


def _name_lines(axes: Axes, **style: Any) -> None:
    """A legend with all names as they are: matplotlib leaves out "_a", and "$" begins a formula."""
    names = [_plain(str(line.get_label())) for line in axes.lines]
    legend = axes.legend(axes.lines, ["x" * len(name) for name in names], **style)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set(text=name, parse_math=False)


def _label_curves(axes: Axes, title: str, *, log: bool) -> None:
    axes.set(title=title, xlabel="iteration")
    if not axes.lines:
        axes.text(0.5, 0.5, "nothing recorded", transform=axes.transAxes, ha="center", color="gray")
        return
    if log and any(np.any(np.asarray(line.get_ydata()) > 0) for line in axes.lines):
        axes.set_yscale("log")
    axes.grid(alpha=0.3)
    _name_lines(axes, fontsize="small")


def _draw_seeds(axes: Axes, runs: _Seeds, baseline: str | None, label: str) -> None:
    for row, (title, values) in enumerate(runs.items()):
        mean, spread = mean_and_deviation(values)
        if mean is None:
            continue
        spread, known = spread or 0.0, [value for value in values if value is not None]
        if title == baseline:
            axes.axvline(mean, color="0.5", linewidth=1, zorder=0)
            axes.axvspan(mean - spread, mean + spread, color="0.9", zorder=-1)
        axes.scatter(known, [row] * len(known), s=18, color=_COLOUR, alpha=0.3, linewidths=0)
        axes.errorbar(mean, row, xerr=spread, fmt="o", color=_COLOUR, markersize=5, capsize=3)
    axes.set_xlabel(label)
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
