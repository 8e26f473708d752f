"""The tables and curves of a report: scores, the confusion matrix, and the list of videos."""

import math
from collections import Counter
from statistics import fmean

from simplevtr.evaluation.analysis.id_switches import IdSwitches
from simplevtr.evaluation.analysis.track_matching import match_video
from simplevtr.evaluation.scored_video import ScoredVideo, tracks_by_video
from simplevtr.evaluation.ytvis_eval import (
    AREAS,
    MAX_TRACKS,
    TrackScores,
    average_scores,
    evaluate_tracks,
)
from simplevtr.formats.ytvis import Category, GroundTruth, Video
from simplevtr.report.settings import Content

import numpy as np

COLUMNS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100")
_IOUS = [round(0.5 + 0.05 * i, 2) for i in range(10)]
_HALF, _THREE_QUARTERS = 0, 5  # places in _IOUS


def scores_part(content: Content) -> dict:
    """AP by category and the precision-recall curves, as JSON can hold them.

    Returns:
        ``columns``, names; ``overall``, per cent for each column; ``categories``, for each in order
        of id a dict with ``true`` and ``predicted`` (numbers of tracks) and ``values``;
        ``byIou``, for each IoU threshold its ``iou`` and ``precision`` (101); and ``byCategory``,
        for each category the curves ``mean``, ``50`` and ``75``. None where nothing is true.
    """
    gt, results, settings = content.gt, content.results, content.settings
    scores = evaluate_tracks(gt, results, area_limits=settings.area_limits)
    true = Counter(track.category_id for track in gt.tracks if not track.iscrowd)
    predicted = Counter(
        entry.category_id for entry in results if entry.score >= settings.score_threshold
    )
    precision = scores.precision[..., AREAS.index("all"), len(MAX_TRACKS) - 1]  # (10, 101, K)
    return {
        "columns": list(COLUMNS),
        "overall": _row(scores, slice(None)),
        "categories": [
            {"true": true[number], "predicted": predicted[number], "values": _row(scores, [k])}
            for k, number in enumerate(scores.category_ids)
        ],
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


def scored_rows(content: Content, switches: IdSwitches) -> list[dict]:
    """One row per video, in the order of the annotation file, compared with the ground truth."""
    rows = []
    for tracks in tracks_by_video(content.gt, content.results):
        video = tracks.video
        scores = score_video(tracks, content.shown[video.id], content.settings.iou_threshold)
        scores |= {key: rounded(scores[key]) for key in ("ap", "ap50", "iou")}
        rows.append({**_about(video), **scores, "switches": switches.per_video[video.id]})
    return rows


def score_video(tracks: ScoredVideo, shown: ScoredVideo, iou_threshold: float) -> dict:
    """How well one video alone was done, with all its predictions or with those that are shown.

    Returns:
        ``ap`` and ``ap50``, per cent, of all predictions as if there were no other video, the mean
        over the categories that are truly there; ``true`` (tracks, without crowds), ``predicted``,
        ``matches`` (with a true track of their category), ``misses`` and ``falsePositives`` (which
        lie on no crowd either), of those shown; ``iou``, the mean over the true tracks of the IoU
        with their match, 0 for a miss. ``ap``, ``ap50`` and ``iou`` are None if no track is true.
    """
    matches, on_crowd, iou = match_video(shown, iou_threshold=iou_threshold)
    misses = len(shown.true) - len(matches)
    ap = ap50 = mean_iou = None
    if shown.true:
        present = {track.category_id for track in tracks.true}
        categories = [Category(category, str(category)) for category in sorted(present)]
        true, predicted = (
            [track for track in side if track.category_id in present]
            for side in (tracks.true + tracks.crowds, tracks.predicted)
        )
        stats = evaluate_tracks(GroundTruth("", [tracks.video], categories, true), predicted).stats
        ap, ap50 = stats["AP"], stats["AP50"]
        mean_iou = fmean([float(iou[pair]) for pair in matches.items()] + [0.0] * misses)
    return {
        "ap": ap,
        "ap50": ap50,
        "iou": mean_iou,
        "true": len(shown.true),
        "predicted": len(shown.predicted),
        "matches": len(matches),
        "misses": misses,
        "falsePositives": len(shown.predicted) - len(matches) - len(on_crowd),
    }


def plain_rows(content: Content) -> list[dict]:
    """One row per video, in the order of the annotation file, without ground truth.

    ``score`` is the mean score of the tracks, None without any.
    """
    rows = []
    for tracks in content.shown.values():
        scores = [entry.score for entry in tracks.predicted]
        best, mean = (max(scores), fmean(scores)) if scores else (None, None)
        numbers = {"predicted": len(scores), "best": rounded(best), "score": rounded(mean)}
        rows.append(_about(tracks.video) | numbers)
    return rows


def worst_and_best(rows: list[dict], number: int) -> tuple[list[int], list[int]]:
    """The ids of the worst and of the best videos, each list beginning with the extreme.

    Videos go by AP, then by the mean IoU of their tracks, then by their order; or by the mean score
    of their tracks where there is no ground truth. Videos without such a value are left out, and no
    video is in both lists.
    """
    keys = ("ap", "iou") if rows and "ap" in rows[0] else ("score",)
    known = [row for row in rows if row[keys[0]] is not None and row["length"]]
    ranked = [row["id"] for row in sorted(known, key=lambda row: [row[key] for key in keys])]
    worst = ranked[: min(number, math.ceil(len(ranked) / 2))]
    best = ranked[len(worst) :][::-1][:number]
    return worst, best


def rounded(value: float | None) -> float | None:
    """A number with four decimals, so that the page loads fast."""
    return None if value is None else round(float(value), 4)


def _row(scores: TrackScores, categories: slice | list[int]) -> list[float | None]:
    """The values of ``COLUMNS`` for some categories."""
    stats = average_scores(scores.precision[:, :, categories], scores.recall[:, categories])
    return [None if math.isnan(stats[name]) else rounded(stats[name]) for name in COLUMNS]


def _curve(values: np.ndarray) -> list[float] | None:
    """The mean over the columns with ground truth of (101, N), or None if there is none."""
    known = values[:, (values > -1).all(axis=0)]
    return known.mean(axis=1).round(4).tolist() if known.size else None


def _about(video: Video) -> dict:
    # People know a video by the folder of its frames.
    folders = next(iter(video.file_names or []), "").split("/")[:-1]
    name = folders[-1] if folders else str(video.id)
    size = {"height": video.height, "width": video.width}
    return {"id": video.id, "name": name, "length": video.length, **size}
