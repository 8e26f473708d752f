"""Bars of what a dataset holds, such as the videos of each category (SimpleVTR, Figures 2, 3)."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_COLOUR = "#1f5fa8"
_LONGEST_NAME = 40


def draw_counts(counts: Sequence[tuple[str, int]], *, title: str, label: str) -> Figure:
    """A bar for each name with its number above it, from left to right.

    Args:
        counts: at least one (name, number); names may repeat, and "$" is shown as it is.
        title: heading.
        label: what the names are, below them.
    """
    figure = Figure(figsize=(max(5.0, 1.5 + 0.32 * len(counts)), 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    places = range(len(counts))
    bars = axes.bar(places, [number for _, number in counts], color=_COLOUR, width=0.75)
    axes.bar_label(bars, fontsize="x-small", padding=1)
    names = [_shown(name) for name, _ in counts]
    upright = {} if max(map(len, names)) <= 3 else {"rotation": 90}
    axes.set_xticks(places, names, fontsize="small", **upright)
    for tick in axes.get_xticklabels():
        tick.set_parse_math(False)
    axes.set_xlim(-0.6, len(counts) - 0.4)
    axes.set_xlabel(label)
    axes.set_ylabel("videos")
    axes.set_title(title, parse_math=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure


def _shown(name: str) -> str:
    name = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
