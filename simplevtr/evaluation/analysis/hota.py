"""HOTA (Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking", 2021).

The metric is TrackEval's, the reference implementation, an optional package; the IoUs of masks are
ours. HOTA knows no scores, so predictions below one are left out first, and tracks are compared
within their category. Crowds are left out. All scores are means over the IoU thresholds 0.05, 0.1,
..., 0.95, in per cent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from simplevtr.evaluation.report import or_none
from simplevtr.evaluation.scored_video import (
    SCORE_THRESHOLD,
    ScoredVideo,
    categories_in_use,
    masks_by_frame,
    tracks_by_video,
)
from simplevtr.evaluation.track_iou import frame_iou
from simplevtr.formats.results import PredictedTrack
from simplevtr.formats.ytvis import GroundTruth, require_annotations
from simplevtr.terminal import table_cell

import numpy as np
from tabulate import tabulate
from tqdm import tqdm

METRICS = ("HOTA", "DetA", "AssA", "DetRe", "DetPr", "AssRe", "AssPr", "LocA")


@dataclass(frozen=True)
class HotaScores:
    """Scores by name of ``METRICS``, in per cent; NaN where there is nothing to score.

    Attributes:
        all_masks: every mask counts the same, TrackEval's detection average.
        all_categories: every category with true or predicted masks counts the same, its class
            average.
        per_category: by name, of the categories with true or predicted masks.
        score_threshold: predictions with a lower score were left out.
    """

    all_masks: dict[str, float]
    all_categories: dict[str, float]
    per_category: dict[str, dict[str, float]]
    score_threshold: float


def check_trackeval() -> None:
    """Raise ValueError unless TrackEval is installed."""
    _metric()


def score_hota(
    gt: GroundTruth, results: list[PredictedTrack], *, score_threshold: float = SCORE_THRESHOLD
) -> HotaScores:
    """Score predicted tracks.

    Args:
        gt: what ``load_ground_truth`` returned.
        results: what ``load_results`` returned for it.
        score_threshold: predictions with a lower score are left out.

    Raises:
        ValueError: there are no annotations, something is wrong in either or in the threshold, or
            TrackEval is not installed.
    """
    metric = _metric()
    require_annotations(gt)
    names = {category.id: category.name for category in gt.categories}
    found: dict[str, dict[int, dict[str, Any]]] = {
        names[category_id]: {} for category_id in categories_in_use(gt, results)
    }
    videos = tracks_by_video(gt, results, score_threshold=score_threshold)
    for tracks in tqdm(videos, desc="hota", unit="video", disable=None):
        for number, sequence in _sequences(tracks).items():
            found[names[number]][tracks.video.id] = metric.eval_sequence(sequence)
    combined = {
        name: metric.combine_sequences(by_video) for name, by_video in found.items() if by_video
    }
    nothing = dict.fromkeys(METRICS, math.nan)
    return HotaScores(
        all_masks=_means(metric.combine_classes_det_averaged(combined)) if combined else nothing,
        all_categories=(
            _means(metric.combine_classes_class_averaged(combined)) if combined else nothing
        ),
        per_category={name: _means(of) for name, of in combined.items()},
        score_threshold=score_threshold,
    )


def hota_table(scores: HotaScores) -> str:
    """A Markdown table: the two averages, then the categories."""
    rows = [("all masks", scores.all_masks), ("all categories", scores.all_categories)]
    rows += [(table_cell(name), row) for name, row in scores.per_category.items()]
    cells = [[name, *(f"{row[metric]:.3f}" for metric in METRICS)] for name, row in rows]
    align = ("left", *["right"] * len(METRICS))
    heads = [f"score >= {scores.score_threshold:g}", *METRICS]
    return tabulate(cells, heads, tablefmt="pipe", disable_numparse=True, colalign=align)


def hota_as_json(scores: HotaScores) -> dict[str, Any]:
    """The scores as JSON can hold them (None for NaN)."""

    def plain(row: dict[str, float]) -> dict[str, float | None]:
        return {name: or_none(value) for name, value in row.items()}

    return {
        "score_threshold": scores.score_threshold,
        "all_masks": plain(scores.all_masks),
        "all_categories": plain(scores.all_categories),
        "per_category": {name: plain(row) for name, row in scores.per_category.items()},
    }


def _metric() -> Any:
    try:
        from trackeval.metrics import HOTA
    except ImportError as error:
        raise ValueError(
            f"HOTA needs TrackEval ({error}): pip install --no-deps trackeval==1.3.0"
        ) from None
    return HOTA()


def _sequences(tracks: ScoredVideo) -> dict[int, dict[str, Any]]:
    """What TrackEval takes for one video, by category id; a mask that is empty is none."""
    if not tracks.true and not tracks.predicted:
        return {}  # and a length that nothing vouches for
    frames = tracks.video.length
    sides = [masks_by_frame(side, tracks.video) for side in (tracks.true, tracks.predicted)]
    ious = [frame_iou(*([track[t] for track in side] for side in sides)) for t in range(frames)]
    categories = [
        np.array([track.category_id for track in side], dtype=np.int64)
        for side in (tracks.true, tracks.predicted)
    ]
    present = [
        np.array([[mask is not None for mask in track] for track in side]).reshape(-1, frames)
        for side in sides
    ]
    sequences = {}
    for number in np.unique(np.concatenate(categories)).tolist():
        own = [
            np.flatnonzero((side == number) & seen.any(axis=1))
            for side, seen in zip(categories, present, strict=True)
        ]
        if not own[0].size and not own[1].size:
            continue
        # For each side and frame, which of the category's tracks have a mask.
        ids = [
            [np.flatnonzero(seen[rows, t]) for t in range(frames)]
            for seen, rows in zip(present, own, strict=True)
        ]
        sequences[number] = {
            "num_timesteps": frames,
            "gt_ids": ids[0],
            "tracker_ids": ids[1],
            "similarity_scores": [
                iou[np.ix_(own[0][true], own[1][predicted])]
                for iou, true, predicted in zip(ious, *ids, strict=True)
            ],
            "num_gt_ids": len(own[0]),
            "num_tracker_ids": len(own[1]),
            "num_gt_dets": sum(map(len, ids[0])),
            "num_tracker_dets": sum(map(len, ids[1])),
        }
    return sequences


def _means(scores: dict[str, Any]) -> dict[str, float]:
    return {name: 100 * float(np.mean(scores[name])) for name in METRICS}
