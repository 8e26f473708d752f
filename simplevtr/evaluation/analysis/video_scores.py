"""How well each video alone was done."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean

from simplevtr.evaluation.analysis.track_matching import IOU_THRESHOLD, match_video
from simplevtr.evaluation.scored_video import (
    SCORE_THRESHOLD,
    ScoredVideo,
    check_iou_threshold,
    tracks_by_video,
)
from simplevtr.evaluation.ytvis_eval import evaluate_tracks
from simplevtr.formats.results import PredictedTrack
from simplevtr.formats.ytvis import Category, GroundTruth, require_annotations


@dataclass(frozen=True)
class VideoScore:
    """One video's numbers.

    Attributes:
        video_id: the video.
        ap: AP in per cent as if there were no other video, the mean over the categories that are
            truly there; None if no track is true. All predictions count, whatever their score.
        ap50: the same at an IoU of 0.5.
        true_tracks: true tracks without crowds.
        predicted_tracks: predictions from the score threshold on.
        matches: predictions from there on that match a true track of their category.
        misses: true tracks without a match.
        false_positives: predictions without a match that do not lie on a crowd.
        mean_iou: mean over the true tracks of the IoU with their match in [0, 1], 0 for a miss;
            None if no track is true.
        id_switches: see ``count_id_switches``; categories do not matter.
    """

    video_id: int
    ap: float | None
    ap50: float | None
    true_tracks: int
    predicted_tracks: int
    matches: int
    misses: int
    false_positives: int
    mean_iou: float | None
    id_switches: int


def score_videos(
    gt: GroundTruth,
    results: list[PredictedTrack],
    *,
    iou_threshold: float = IOU_THRESHOLD,
    score_threshold: float = SCORE_THRESHOLD,
    switches: dict[int, int],
) -> list[VideoScore]:
    """Score every video by itself, in the order of ``gt.videos``.

    Predictions below the score threshold count for AP alone; ``switches`` are the identity switches
    by video id. Raises ValueError if there are no annotations, or of wrong thresholds.
    """
    check_iou_threshold(iou_threshold)
    require_annotations(gt)
    everything = tracks_by_video(gt, results)
    confident = tracks_by_video(gt, results, score_threshold=score_threshold)
    return [
        _score(tracks, shown, iou_threshold, switches[tracks.video.id])
        for tracks, shown in zip(everything, confident, strict=True)
    ]


def _score(tracks: ScoredVideo, shown: ScoredVideo, threshold: float, switches: int) -> VideoScore:
    matches, on_crowd, iou = match_video(shown, iou_threshold=threshold)
    ap, ap50 = _average_precision(tracks)
    matched_iou = [float(iou[row, column]) for row, column in matches.items()]
    misses = len(shown.true) - len(matches)
    return VideoScore(
        video_id=tracks.video.id,
        ap=ap,
        ap50=ap50,
        true_tracks=len(shown.true),
        predicted_tracks=len(shown.predicted),
        matches=len(matches),
        misses=misses,
        false_positives=len(shown.predicted) - len(matches) - len(on_crowd),
        mean_iou=fmean(matched_iou + [0.0] * misses) if shown.true else None,
        id_switches=switches,
    )


def _average_precision(tracks: ScoredVideo) -> tuple[float | None, float | None]:
    """AP and AP50 of one video."""
    if not tracks.true:
        return None, None
    present = {track.category_id for track in tracks.true}
    categories = [Category(category, str(category)) for category in sorted(present)]
    crowds = [track for track in tracks.crowds if track.category_id in present]
    alone = GroundTruth("", [tracks.video], categories, tracks.true + crowds)
    predicted = [track for track in tracks.predicted if track.category_id in present]
    stats = evaluate_tracks(alone, predicted).stats
    assert not math.isnan(stats["AP"])
    return stats["AP"], stats["AP50"]
