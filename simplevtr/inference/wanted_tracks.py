"""The tracks that a painter draws, picked for outputs that hold them undrawn."""

from __future__ import annotations

from typing import Any

from simplevtr.structures import FrameTracks
from simplevtr.visualization import TrackPainter


def wanted_in_frame(tracks: FrameTracks, painter: TrackPainter) -> FrameTracks:
    """The tracks of one frame that ``painter`` draws, by their scores and classes."""
    return tracks.rows(_wanted(tracks.labels, tracks.scores, painter))


def wanted_in_result(result: dict[str, Any], painter: TrackPainter) -> dict[str, Any]:
    """The result of a predictor with only the tracks that ``painter`` draws."""
    kept = _wanted(result["pred_labels"], result["pred_scores"], painter)
    columns = [name for name in result if name.startswith("pred_")]
    return result | {name: [result[name][i] for i in kept] for name in columns}


def _wanted(labels: list[int], scores: list[float], painter: TrackPainter) -> list[int]:
    return [
        i
        for i, (label, score) in enumerate(zip(labels, scores, strict=True))
        if painter.wants(label, score)
    ]
