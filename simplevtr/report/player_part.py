"""What the player of one video needs: its tracks with one mask per frame."""

from __future__ import annotations

from collections.abc import Sequence

from simplevtr.evaluation.analysis.track_matching import match_tracks, match_video
from simplevtr.evaluation.scored_video import ScoredVideo, masks_by_frame

import numpy as np

MAX_TRACKS = 60  # more cannot be told apart


def player_part(
    tracks: ScoredVideo, frames: Sequence[int], categories: dict[int, int], iou_threshold: float
) -> dict:
    """One video as JSON can hold it.

    A predicted track has the colour of the true track it lies on. Tracks match as they do for the
    numbers of the video, in their category; what is left then matches regardless of category.

    Args:
        tracks: the video's tracks that are shown.
        frames: the numbers of the frames that are shown.
        categories: place of a category in the report's list by its id.
        iou_threshold: the least IoU of tracks that match.

    Returns:
        ``id``, ``height``, ``width``, ``frames``, and the lists ``true`` and ``predicted``: dicts
        with ``name`` (a number), ``category``, ``colour`` (a number) and ``masks``, the counts of a
        compressed RLE or None for each of ``frames``. A predicted one also has ``score``, ``kind``
        ("match", "category", "crowd", "alone"), ``on`` (the name of its true track or None) and
        ``iou``, with that track or, where ``on`` is None, the greatest with any; 0 without any.
    """
    video = tracks.video
    pairs, kinds, iou = _pairs(tracks, iou_threshold)
    true, predicted = tracks.true, tracks.predicted[:MAX_TRACKS]
    colours = {row: column for row, column in pairs.items() if row < len(predicted)}
    alone = [row for row in range(len(predicted)) if row not in colours]
    colours.update(zip(alone, range(len(true), len(true) + len(alone)), strict=True))
    return {
        "id": video.id,
        "height": video.height,
        "width": video.width,
        "frames": list(frames),
        "true": [
            {
                "name": column + 1,
                "category": categories[track.category_id],
                "colour": column,
                "masks": masks,
            }
            for column, (track, masks) in enumerate(
                zip(true, _counts(true, video, frames), strict=True)
            )
        ],
        "predicted": [
            {
                "name": row + 1,
                "category": categories[track.category_id],
                "colour": colours[row],
                "masks": masks,
                "score": round(float(track.score), 4),
                "kind": kinds[row],
                "on": pairs[row] + 1 if row in pairs else None,
                "iou": _shown_iou(iou[row], pairs.get(row)),
            }
            for row, (track, masks) in enumerate(
                zip(predicted, _counts(predicted, video, frames), strict=True)
            )
        ],
    }


def _pairs(
    tracks: ScoredVideo, iou_threshold: float
) -> tuple[dict[int, int], list[str], np.ndarray]:
    """predicted -> true, the kind of each prediction, and the (predicted, true) IoU."""
    pairs, on_crowd, iou = match_video(tracks, iou_threshold=iou_threshold, use_categories=True)
    kinds = ["alone"] * len(tracks.predicted)
    for row in pairs:
        kinds[row] = "match"
    for row in on_crowd:
        kinds[row] = "crowd"
    left = iou.copy()
    left[[*pairs, *on_crowd]] = 0.0
    left[:, list(pairs.values())] = 0.0
    for row, column in match_tracks(left, iou_threshold).items():
        kinds[row] = "category"
        pairs = {**pairs, row: column}
    return pairs, kinds, iou


def _shown_iou(iou: np.ndarray, column: int | None) -> float:
    value = iou.max(initial=0.0) if column is None else iou[column]
    return round(float(value), 4)


def _counts(tracks: list[dict], video: dict, frames: Sequence[int]) -> list[list[str | None]]:
    """For each track the counts of its mask in each of the frames."""
    return [[text(masks[t]) for t in frames] for masks in masks_by_frame(tracks, video)]


def text(rle: dict | None) -> str | None:
    """The counts of an RLE as JSON can hold them."""
    return None if rle is None else rle["counts"].decode("ascii")
