"""The table of videos of a report, and which of them are shown with their frames."""

from __future__ import annotations

import math
from statistics import fmean

from simplevtr.evaluation.analysis.id_switches import IdSwitches
from simplevtr.evaluation.analysis.video_scores import score_videos
from simplevtr.evaluation.scored_video import ScoredVideo
from simplevtr.formats.results import PredictedTrack
from simplevtr.formats.ytvis import GroundTruth, Video
from simplevtr.report.settings import ReportSettings


def scored_rows(
    gt: GroundTruth, results: list[PredictedTrack], switches: IdSwitches, settings: ReportSettings
) -> list[dict]:
    """One row per video, in the order of the annotation file, compared with the ground truth."""
    scores = score_videos(
        gt,
        results,
        iou_threshold=settings.iou_threshold,
        score_threshold=settings.score_threshold,
        switches=switches.per_video,
    )
    return [
        {
            **_about(video),
            "ap": _rounded(score.ap),
            "ap50": _rounded(score.ap50),
            "iou": _rounded(score.mean_iou),
            "true": score.true_tracks,
            "predicted": score.predicted_tracks,
            "matches": score.matches,
            "misses": score.misses,
            "falsePositives": score.false_positives,
            "switches": score.id_switches,
        }
        for video, score in zip(gt.videos, scores, strict=True)
    ]


def plain_rows(videos: list[ScoredVideo]) -> list[dict]:
    """One row per video, in the order of the annotation file, without ground truth.

    ``score`` is the mean score of the tracks, None without any.
    """
    rows = []
    for tracks in videos:
        scores = [entry.score for entry in tracks.predicted]
        rows.append(
            {
                **_about(tracks.video),
                "predicted": len(scores),
                "best": _rounded(max(scores, default=None)),
                "score": _rounded(fmean(scores) if scores else None),
            }
        )
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


def _about(video: Video) -> dict:
    return {
        "id": video.id,
        "name": _name(video),
        "length": video.length,
        "height": video.height,
        "width": video.width,
    }


def _name(video: Video) -> str:
    """The folder of the frames, which is what people know a video by."""
    first = next(iter(video.file_names or []), None)
    folders = first.split("/")[:-1] if isinstance(first, str) else []
    return folders[-1] if folders else str(video.id)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)
