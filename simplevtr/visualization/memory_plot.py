"""Memory over the frames of a video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

MIB = 2**20


def memory_plot(curves: Mapping[str, Sequence[tuple[int, int]]], path: Path) -> None:
    """Draw resident memory over frames, a line a run, into a PNG file.

    Args:
        curves: by the run's name, (frame, bytes) in the order of the frames.
        path: where to write.
    """
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name, curve in curves.items():
        frames, sizes = zip(*curve, strict=True)
        axes.plot([max(1, frame) for frame in frames], [size / MIB for size in sizes], label=name)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("frame")
    axes.set_ylabel("resident memory (MiB)")
    axes.grid(alpha=0.3)
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
