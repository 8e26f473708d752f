"""AP and loss of several runs side by side, every seed a dot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_COLOUR = "#1f5fa8"


def draw_ablation(
    scores: Mapping[str, Sequence[float | None]],
    losses: Mapping[str, Sequence[float | None]],
    baseline: str | None = None,
) -> Figure:
    """Two panels, one line a run: mean and standard deviation over the seeds, and each seed.

    Args:
        scores: AP in per cent of each seed, by the title of the run, from top to bottom.
        losses: loss of each seed, by the same titles.
        baseline: title of the run whose mean and standard deviation are marked over all lines.
    """
    longest = max((len(title) for title in scores), default=0)
    size = (9 + 0.08 * longest, 1.6 + 0.34 * len(scores))
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    _panel(left, scores, baseline, "mask AP (%)")
    _panel(right, losses, baseline, "loss, last fifth of the iterations")
    left.set_yticks(range(len(scores)), list(scores))
    left.set_ylim(len(scores) - 0.5, -0.5)
    return figure


def _panel(
    axes: Axes, runs: Mapping[str, Sequence[float | None]], baseline: str | None, label: str
) -> None:
    for row, (title, values) in enumerate(runs.items()):
        known = [value for value in values if value is not None]
        if not known:
            continue
        mean, spread = fmean(known), stdev(known) if len(known) > 1 else 0.0
        if title == baseline:
            axes.axvline(mean, color="0.5", linewidth=1, zorder=0)
            axes.axvspan(mean - spread, mean + spread, color="0.9", zorder=-1)
        axes.scatter(known, [row] * len(known), s=18, color=_COLOUR, alpha=0.3, linewidths=0)
        axes.errorbar(mean, row, xerr=spread, fmt="o", color=_COLOUR, markersize=5, capsize=3)
    axes.set_xlabel(label)
    axes.grid(axis="x", alpha=0.3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
