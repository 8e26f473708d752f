"""Predicted tracks matched with true ones, the best score first."""

from __future__ import annotations

from simplevtr.evaluation.scored_video import ScoredVideo, film_strips, same_category
from simplevtr.evaluation.track_iou import track_iou

import numpy as np

IOU_THRESHOLD = 0.5


def match_tracks(iou: np.ndarray, threshold: float) -> dict[int, int]:
    """Match one to one: each prediction takes the free true track with the greatest IoU.

    Args:
        iou: (predicted, true) float in [0, 1], the predictions with the best scores first.
        threshold: the least IoU of a match, above 0.

    Returns:
        predicted -> true, both as indices into ``iou``.
    """
    free = np.array(iou, dtype=float)
    matches = {}
    for row in range(len(free)):
        column = int(free[row].argmax()) if free.shape[1] else -1
        if column >= 0 and free[row, column] >= threshold:
            matches[row] = column
            free[:, column] = -1.0
    return matches


def match_video(
    tracks: ScoredVideo, *, iou_threshold: float, use_categories: bool
) -> tuple[dict[int, int], list[int], np.ndarray]:
    """Match the tracks of one video.

    Args:
        tracks: the video's tracks.
        iou_threshold: the least track IoU of a match.
        use_categories: whether only tracks of the same category match.

    Returns:
        predicted -> true, as indices into ``tracks.predicted`` and ``tracks.true``; the predictions
        without a match that lie on a crowd, which are no mistakes; and the (predicted, true) IoU,
        of all pairs.
    """
    iou = track_iou(film_strips(tracks.predicted), film_strips(tracks.true))
    allowed = np.where(same_category(tracks, tracks.true, use_categories), iou, 0.0)
    matches = match_tracks(allowed, iou_threshold)
    on_crowd = []
    if tracks.crowds:
        crowd = track_iou(film_strips(tracks.predicted), film_strips(tracks.crowds))
        crowd = np.where(same_category(tracks, tracks.crowds, use_categories), crowd, 0.0)
        covered = np.flatnonzero((crowd >= iou_threshold).any(axis=1)).tolist()
        on_crowd = [row for row in covered if row not in matches]
    return matches, on_crowd, iou
