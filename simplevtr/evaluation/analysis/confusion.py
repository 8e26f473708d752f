"""Which categories are taken for which."""

from __future__ import annotations

from dataclasses import dataclass

from simplevtr.evaluation.analysis.track_matching import IOU_THRESHOLD, match_video
from simplevtr.evaluation.scored_video import (
    SCORE_THRESHOLD,
    categories_in_use,
    check_iou_threshold,
    scored_videos,
)
from simplevtr.formats.results import PredictedTrack
from simplevtr.formats.ytvis import GroundTruth

import numpy as np


@dataclass(frozen=True)
class Confusion:
    """Counts of tracks by true and predicted category.

    Attributes:
        category_ids: K ids in ascending order, of the categories with a true or predicted track.
        counts: (K + 1, K + 1) int64. ``counts[i, j]``: tracks of category i that were found as
            category j; ``counts[i, K]``: that were not found; ``counts[K, j]``: predictions of
            category j where nothing is. ``counts[K, K]`` is 0.
    """

    category_ids: list[int]
    counts: np.ndarray


def confuse_categories(
    gt: GroundTruth,
    results: list[PredictedTrack],
    *,
    iou_threshold: float = IOU_THRESHOLD,
    score_threshold: float = SCORE_THRESHOLD,
) -> Confusion:
    """Match tracks by their masks alone and count the categories of the pairs.

    Predictions choose in the order of their scores. A second prediction of an object that is taken
    already finds nothing; one that lies on a crowd is not counted.

    Args:
        gt: what ``load_ground_truth`` returned.
        results: what ``load_results`` returned for it.
        iou_threshold: the least track IoU of a match.
        score_threshold: predictions with a lower score are left out.

    Raises:
        ValueError: there are no annotations, or something is wrong in either or in the thresholds.
    """
    check_iou_threshold(iou_threshold)
    ids = categories_in_use(gt, results)
    index = {category_id: i for i, category_id in enumerate(ids)}
    counts = np.zeros((len(ids) + 1, len(ids) + 1), dtype=np.int64)
    for tracks in scored_videos(gt, results, "confusion", score_threshold=score_threshold):
        true = [index[track.category_id] for track in tracks.true]
        predicted = [index[track.category_id] for track in tracks.predicted]
        matches, on_crowd, _ = match_video(
            tracks, iou_threshold=iou_threshold, use_categories=False
        )
        for row, column in matches.items():
            counts[true[column], predicted[row]] += 1
        for column in set(range(len(true))) - set(matches.values()):
            counts[true[column], -1] += 1
        for row in set(range(len(predicted))) - set(matches) - set(on_crowd):
            counts[-1, predicted[row]] += 1
    return Confusion(ids, counts)
