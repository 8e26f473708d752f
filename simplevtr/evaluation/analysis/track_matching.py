"""Predicted tracks matched with true ones, the best score first, and what they are taken for."""

from simplevtr.evaluation.scored_video import SCORE_THRESHOLD, ScoredVideo, scored_videos, track_iou
from simplevtr.formats import checks
from simplevtr.formats.results import PredictedTrack
from simplevtr.formats.ytvis import GroundTruth

import numpy as np

IOU_THRESHOLD = 0.5  # least IoU of tracks or masks that match, except for AP


def match_tracks(iou: np.ndarray, threshold: float) -> dict[int, int]:
    """Match one to one: each prediction takes the free true track with the greatest IoU.

    Of several with the same IoU it is the last, as in COCO's evaluation. From a (predicted, true)
    IoU, best scores first, and the least IoU of a match, above 0, to predicted -> true, both as
    indices into ``iou``.
    """
    free = np.array(iou, dtype=float)
    matches = {}
    for row in range(len(free)):
        column = free.shape[1] - 1 - int(free[row, ::-1].argmax()) if free.shape[1] else -1
        if column >= 0 and free[row, column] >= threshold:
            matches[row] = column
            free[:, column] = -1.0
    return matches


def match_video(
    scored: ScoredVideo, *, iou_threshold: float, use_categories: bool = True
) -> tuple[dict[int, int], list[int], np.ndarray]:
    """Match the tracks of one video, those of the same category only or of all.

    Returns predicted -> true, as indices into ``scored.predicted`` and ``scored.true``; the
    predictions without a match that lie on a crowd, which are not mistakes; and the
    (predicted, true) IoU of all pairs.
    """
    predicted, true, crowds = (
        [track.strip for track in side] for side in (scored.predicted, scored.true, scored.crowds)
    )
    iou, crowd = track_iou(predicted, true), track_iou(predicted, crowds)
    allowed = iou
    if use_categories:
        allowed = np.where(scored.same_category(scored.true), iou, 0.0)
        crowd = np.where(scored.same_category(scored.crowds), crowd, 0.0)
    matches = match_tracks(allowed, iou_threshold)
    covered = np.flatnonzero((crowd >= iou_threshold).any(axis=1)).tolist()
    return matches, [row for row in covered if row not in matches], iou


def confuse_categories(
    gt: GroundTruth,
    results: list[PredictedTrack],
    *,
    iou_threshold: float = IOU_THRESHOLD,
    score_threshold: float = SCORE_THRESHOLD,
) -> np.ndarray:
    """Match tracks by their masks alone and count the categories of the pairs.

    Predictions below the score threshold are left out, the others choose in the order of their
    scores. A second prediction of an object that is taken already finds nothing; one that lies on
    a crowd is not counted. ValueError without annotations or for a threshold out of its range.

    Returns:
        (K + 1, K + 1) int64 of the K ``categories_in_use``. ``[i, j]``: tracks of category i that
        were found as category j; ``[i, K]``: that were not found; ``[K, j]``: predictions of
        category j where nothing is. ``[K, K]`` is 0.
    """
    checks.iou_threshold(iou_threshold)
    index = {category_id: i for i, category_id in enumerate(gt.categories_in_use(results))}
    counts = np.zeros((len(index) + 1, len(index) + 1), dtype=np.int64)
    for scored in scored_videos(gt, results, "confusion", score_threshold=score_threshold):
        true = [index[track.category_id] for track in scored.true]
        predicted = [index[track.category_id] for track in scored.predicted]
        matches, on_crowd, _ = match_video(
            scored, iou_threshold=iou_threshold, use_categories=False
        )
        for row, column in matches.items():
            counts[true[column], predicted[row]] += 1
        for column in set(range(len(true))) - set(matches.values()):
            counts[true[column], -1] += 1
        for row in set(range(len(predicted))) - set(matches) - set(on_crowd):
            counts[-1, predicted[row]] += 1
    return counts
