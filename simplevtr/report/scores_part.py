"""The tables and curves of a report: average precision and recall, and the confusion matrix."""

from __future__ import annotations

import math
from collections import Counter

from simplevtr.evaluation.analysis.confusion import confuse_categories
from simplevtr.evaluation.ytvis_eval import (
    AREAS,
    MAX_TRACKS,
    TrackScores,
    average_scores,
    evaluate_tracks,
)
from simplevtr.formats.results import PredictedTrack
from simplevtr.formats.ytvis import GroundTruth
from simplevtr.report.settings import ReportSettings

import numpy as np

COLUMNS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100")
_IOUS = [round(0.5 + 0.05 * i, 2) for i in range(10)]
_HALF, _THREE_QUARTERS = 0, 5  # places in _IOUS
_ALL, _MOST = AREAS.index("all"), len(MAX_TRACKS) - 1


def scores_part(gt: GroundTruth, results: list[PredictedTrack], settings: ReportSettings) -> dict:
    """AP by category and the precision-recall curves, as JSON can hold them.

    Returns:
        ``columns``, names; ``overall``, per cent for each column; ``categories``, for each in order
        of id a dict with ``true`` and ``predicted`` (numbers of tracks) and ``values``;
        ``byIou``, for each IoU threshold its ``iou`` and ``precision`` (101); and ``byCategory``,
        for each category the curves ``mean``, ``50`` and ``75``. None where nothing is true.
    """
    scores = evaluate_tracks(gt, results, area_limits=settings.area_limits)
    true = Counter(a.category_id for a in gt.tracks if not a.iscrowd)
    shown = [entry for entry in results if entry.score >= settings.score_threshold]
    predicted = Counter(entry.category_id for entry in shown)
    categories = [
        {
            "true": true[category_id],
            "predicted": predicted[category_id],
            "values": _row(scores, slice(k, k + 1)),
        }
        for k, category_id in enumerate(scores.category_ids)
    ]
    precision = scores.precision[..., _ALL, _MOST]  # (10, 101, K)
    return {
        "columns": list(COLUMNS),
        "overall": _row(scores, slice(None)),
        "categories": categories,
        "byIou": [{"iou": iou, "precision": _curve(precision[i])} for i, iou in enumerate(_IOUS)],
        "byCategory": [
            {
                "mean": _curve(precision[:, :, k].T),
                "50": _curve(precision[_HALF, :, k, None]),
                "75": _curve(precision[_THREE_QUARTERS, :, k, None]),
            }
            for k in range(precision.shape[2])
        ],
    }


def confusion_part(
    gt: GroundTruth, results: list[PredictedTrack], settings: ReportSettings
) -> list[list[int]]:
    """The rows of ``Confusion.counts``."""
    confusion = confuse_categories(
        gt,
        results,
        iou_threshold=settings.iou_threshold,
        score_threshold=settings.score_threshold,
    )
    return confusion.counts.tolist()


def _row(scores: TrackScores, categories: slice) -> list[float | None]:
    """The values of ``COLUMNS`` for some categories."""
    stats = average_scores(scores.precision[:, :, categories], scores.recall[:, categories])
    return [None if math.isnan(stats[name]) else round(stats[name], 4) for name in COLUMNS]


def _curve(values: np.ndarray) -> list[float] | None:
    """The mean over the columns with ground truth of (101, N), or None if there is none."""
    known = values[:, (values > -1).all(axis=0)]
    return known.mean(axis=1).round(4).tolist() if known.size else None
