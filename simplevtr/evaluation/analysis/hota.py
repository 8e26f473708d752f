"""HOTA (Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking", 2021).

The metric is TrackEval's, the reference implementation, an optional package; the IoUs of masks are
ours. HOTA ignores scores, so predictions below one are left out first, and tracks are compared
within their category. Crowds are left out, and predictions that lie on one. All scores are means
over the IoU thresholds 0.05, 0.1, ..., 0.95, in per cent.
"""

import math
from dataclasses import dataclass
from typing import Any

from simplevtr.evaluation.analysis.track_matching import IOU_THRESHOLD, match_video
from simplevtr.evaluation.scored_video import SCORE_THRESHOLD, ScoredVideo, frame_iou, scored_videos
from simplevtr.formats.results import PredictedTrack
from simplevtr.formats.ytvis import GroundTruth
from simplevtr.terminal import markdown_table, table_cell

import numpy as np

METRICS = ("HOTA", "DetA", "AssA", "DetRe", "DetPr", "AssRe", "AssPr", "LocA")


@dataclass(frozen=True)
class HotaScores:
    """Scores by name of ``METRICS``, in per cent; NaN where there is nothing to score."""

    score_threshold: float  # predictions with a lower score were left out
    all_masks: dict[str, float]  # every mask counts the same, TrackEval's detection average
    # Every category with true or predicted masks counts the same, its class average.
    all_categories: dict[str, float]
    # By name, of the categories with true or predicted masks.
    per_category: dict[str, dict[str, float]]


def trackeval_hota() -> Any:
    """TrackEval's metric; ValueError unless TrackEval is installed."""
    try:
        from trackeval.metrics import HOTA
    except ImportError as error:
        raise ValueError(
            f"HOTA needs TrackEval ({error}): pip install --no-deps trackeval==1.3.0"
        ) from None
    return HOTA()


def score_hota(
    gt: GroundTruth, results: list[PredictedTrack], *, score_threshold: float = SCORE_THRESHOLD
) -> HotaScores:
    """Score the predicted tracks that reach the score threshold.

    ValueError if there are no annotations, the threshold is not in [0, 1], or TrackEval is missing.
    """
    metric = trackeval_hota()
    names = {category.id: category.name for category in gt.categories}
    found: dict[str, dict[int, dict[str, Any]]] = {
        names[category_id]: {} for category_id in gt.categories_in_use(results)
    }
    for scored in scored_videos(gt, results, "hota", score_threshold=score_threshold):
        if scored.crowds:
            _, on_crowd, _ = match_video(scored, iou_threshold=IOU_THRESHOLD)
            rows = range(len(scored.predicted))
            scored = scored.with_predicted([row for row in rows if row not in on_crowd])
        for category_id in sorted({t.category_id for t in scored.true + scored.predicted}):
            if sequence := _sequence(scored, category_id):
                found[names[category_id]][scored.video.id] = metric.eval_sequence(sequence)
    combined = {name: metric.combine_sequences(by) for name, by in found.items() if by}
    nothing = dict.fromkeys(METRICS, math.nan)
    over_masks, over_categories = (
        _means(average(combined)) if combined else nothing
        for average in (metric.combine_classes_det_averaged, metric.combine_classes_class_averaged)
    )
    by_name = {name: _means(scores) for name, scores in combined.items()}
    return HotaScores(score_threshold, over_masks, over_categories, by_name)


def hota_table(scores: HotaScores) -> str:
    """A Markdown table: the two averages, then the categories."""
    rows = [("all masks", scores.all_masks), ("all categories", scores.all_categories)]
    rows += [(table_cell(name), row) for name, row in scores.per_category.items()]
    cells = [[name, *(f"{row[metric]:.3f}" for metric in METRICS)] for name, row in rows]
    return markdown_table([f"score >= {scores.score_threshold:g}", *METRICS], cells)


def _sequence(scored: ScoredVideo, category_id: int) -> dict[str, Any] | None:
    """What TrackEval takes for one video and category; None if nothing of it has a mask."""
    sides, frames = [], range(scored.video.length)
    for side in (scored.true, scored.predicted):
        own = [track for track in side if track.category_id == category_id]
        sides.append([masks for masks in scored.masks_by_frame(own) if any(masks)])
    if not any(sides):
        return None
    # For each side and frame, which of the tracks have a mask, and these.
    ids = [[np.flatnonzero([bool(track[t]) for track in side]) for t in frames] for side in sides]
    masks = [[[track[t] for track in side if track[t]] for t in frames] for side in sides]
    return {
        "num_timesteps": len(frames),
        "gt_ids": ids[0],
        "tracker_ids": ids[1],
        "similarity_scores": [frame_iou(*pair) for pair in zip(*masks, strict=True)],
        "num_gt_ids": len(sides[0]),
        "num_tracker_ids": len(sides[1]),
        "num_gt_dets": sum(map(len, ids[0])),
        "num_tracker_dets": sum(map(len, ids[1])),
    }


def _means(scores: dict[str, Any]) -> dict[str, float]:
    return {name: 100 * float(np.mean(scores[name])) for name in METRICS}
