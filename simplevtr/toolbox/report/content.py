"""What a report shows: tables, curves, videos with their tracks, and identity switches.

Every part is a dict as JSON can hold it, in the words of the scripts in ``page/``.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby, zip_longest
from operator import attrgetter
from statistics import fmean
from typing import Any

from simplevtr.evaluation.analysis import track_matching as matching
from simplevtr.evaluation.analysis.id_switches import IdSwitch, find_id_switches
from simplevtr.evaluation.scored_video import SCORE_THRESHOLD, ScoredVideo, tracks_by_video
from simplevtr.evaluation.ytvis_eval import (
    AREA_LIMITS,
    average_scores,
    check_area_limits,
    evaluate_tracks,
)
from simplevtr.formats import checks
from simplevtr.formats.images import evenly_spaced
from simplevtr.formats.results import PredictedTrack
from simplevtr.formats.ytvis import Category, GroundTruth, TrueTrack, Video

import numpy as np

COLUMNS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100")
MOST_TRACKS = 60  # of a video; more cannot be told apart
_AROUND = 2  # frames before a switch and frames after it


def _option(default: Any, metavar: str, help_text: str) -> Any:
    """A setting that is an option of the command too."""
    return field(default=default, metadata={"metavar": metavar, "help": help_text})


@dataclass(frozen=True, kw_only=True)
class ReportSettings:
    """Settings of a report; ValueError if a number is out of its range."""

    title: str = _option("Video instance segmentation", "TEXT", "heading of the report")
    videos: int = _option(6, "N", "show N of the worst videos and N of the best")
    switches: int = _option(6, "N", "show N identity switches")
    iou_threshold: float = _option(
        matching.IOU_THRESHOLD, "IOU", "least IoU of tracks and masks that match, except for AP"
    )
    score_threshold: float = _option(
        SCORE_THRESHOLD, "SCORE", "tracks with a lower score count for AP alone"
    )
    area_limits: Sequence[float] = AREA_LIMITS  # between small, medium and large tracks, in pixels
    frame_width: int = _option(480, "PIXELS", "greatest width of the frames in the report")
    max_frames: int = _option(150, "N", "of longer videos show N frames, evenly spaced")

    def __post_init__(self) -> None:
        checks.iou_threshold(self.iou_threshold)
        check_area_limits(self.area_limits)
        checks.score(self.score_threshold, "score_threshold")
        for name, least in (("videos", 0), ("switches", 0), ("frame_width", 16), ("max_frames", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be {least} or more")


@dataclass(frozen=True)
class Content:
    """The parts of a report; ``gt`` and ``results`` as ``write_report`` takes them."""

    gt: GroundTruth
    results: list[PredictedTrack]
    settings: ReportSettings

    @cached_property
    def shown(self) -> dict[str, ScoredVideo]:
        """The tracks that are shown, by video id as text: JavaScript rounds those above 2^53."""
        score = self.settings.score_threshold
        videos = tracks_by_video(self.gt, self.results, score_threshold=score)
        return {str(scored.video.id): scored for scored in videos}

    @cached_property
    def _categories(self) -> dict[int, int]:
        """The place of a category in the report's list by its id."""
        return {number: i for i, number in enumerate(self.gt.categories_in_use(self.results))}

    def overview(self) -> dict:
        """Everything but the players of single videos."""
        gt, settings, shown = self.gt, self.settings, self.shown.values()
        names = {category.id: category.name for category in gt.categories}
        data: dict[str, Any] = {
            "title": settings.title,
            "scored": bool(gt.tracks),
            "iouThreshold": settings.iou_threshold,
            "scoreThreshold": settings.score_threshold,
            "areaLimits": list(settings.area_limits),
            "categories": [names[number] for number in self._categories],
            "totals": {
                "videos": len(gt.videos),
                "frames": sum(video.length for video in gt.videos),
                "true": sum(len(scored.true) for scored in shown),
                "predicted": sum(len(scored.predicted) for scored in shown),
            },
        }
        if gt.tracks:
            self._add_scores(data)
        else:
            data["videos"] = [_plain_row(scored) for scored in shown]
        data["worst"], data["best"] = worst_and_best(data["videos"], settings.videos)
        return data

    def _add_scores(self, data: dict) -> None:
        """Add what needs ground truth."""
        iou_threshold = self.settings.iou_threshold
        limits = {"iou_threshold": iou_threshold, "score_threshold": self.settings.score_threshold}
        switches = find_id_switches(self.gt, self.results, **limits)
        by_video = Counter(switch.video_id for switch in switches)
        data["scores"] = self._scores()
        data["confusion"] = matching.confuse_categories(self.gt, self.results, **limits).tolist()
        data["videos"] = [
            _about(scored.video)
            | score_video(scored, self.shown[str(scored.video.id)], iou_threshold)
            | {"switches": by_video[scored.video.id]}
            for scored in tracks_by_video(self.gt, self.results)
        ]
        for key in ("matches", "misses", "falsePositives", "switches"):
            data["totals"][key] = sum(row[key] for row in data["videos"])
        events = choose_switches(switches, self.settings.switches)
        data["switches"] = [self._switch(event) for event in events]

    def _scores(self) -> dict:
        """``COLUMNS`` and precision-recall curves, of all categories and of each by its id."""
        scores = evaluate_tracks(self.gt, self.results, area_limits=self.settings.area_limits)
        true = Counter(track.category_id for track in self.gt.tracks or () if not track.iscrowd)
        least = self.settings.score_threshold
        predicted = Counter(t.category_id for t in self.results if t.score >= least)
        curves = scores.precision[..., 0, -1]  # (10 thresholds, 101 recalls, K)
        categories, by_category = [], []
        for k, number in enumerate(scores.category_ids):
            stats = average_scores(scores.precision[:, :, [k]], scores.recall[:, [k]])
            counts = {"true": true[number], "predicted": predicted[number]}
            categories.append({**counts, "values": [stats[name] for name in COLUMNS]})
            mean, half, strict = curves[:, :, k].T, curves[0, :, k, None], curves[5, :, k, None]
            by_category.append({"mean": _curve(mean), "50": _curve(half), "75": _curve(strict)})
        return {
            "columns": COLUMNS,
            "overall": [scores.stats[name] for name in COLUMNS],
            "categories": categories,
            "byIou": [
                {"iou": 0.5 + 0.05 * i, "precision": _curve(at)} for i, at in enumerate(curves)
            ],
            "byCategory": by_category,
        }

    def player(self, video_id: str) -> dict:
        """The tracks of one video in the frames that are shown.

        A predicted track has the colour of the true track that it lies ``on``, if it does. Tracks
        match as they do for the numbers of the video, in their category; what is left then matches
        regardless of category. ``iou`` is that with its true track or else the greatest with any.
        """
        scored, threshold = self.shown[video_id], self.settings.iou_threshold
        frames = evenly_spaced(scored.video.length, self.settings.max_frames)
        pairs, on_crowd, iou = matching.match_video(scored, iou_threshold=threshold)
        left = iou.copy()
        left[[*pairs, *on_crowd]] = 0.0
        left[:, list(pairs.values())] = 0.0
        others = matching.match_tracks(left, threshold)
        kinds = dict.fromkeys(pairs, "match") | dict.fromkeys(on_crowd, "crowd")
        kinds |= dict.fromkeys(others, "category")
        pairs |= others
        true = self._tracks(scored, scored.true, frames)
        for place, part in enumerate(true):
            part |= {"name": place + 1, "colour": place}
        predicted = self._tracks(scored, scored.predicted[:MOST_TRACKS], frames)
        free_colour = len(true)
        for row, part in enumerate(predicted):
            column = pairs.get(row)
            part |= {"name": row + 1, "kind": kinds.get(row, "alone")}
            if column is None:
                part |= {"on": None, "iou": iou[row].max(initial=0.0), "colour": free_colour}
                free_colour += 1
            else:
                part |= {"on": column + 1, "iou": iou[row, column], "colour": column}
        size = {"id": video_id, "height": scored.video.height, "width": scored.video.width}
        size["leftOut"] = len(scored.predicted) - len(predicted)
        return {**size, "frames": frames, "true": true, "predicted": predicted}

    def _switch(self, event: IdSwitch) -> dict:
        """One switch: up to the last match with the old track, from the first with the new."""
        scored = self.shown[str(event.video_id)]
        video, first = scored.video, max(0, event.last_frame - _AROUND + 1)
        frames = [*range(first, event.last_frame + 1)]
        frames += range(event.frame, min(video.length, event.frame + _AROUND))
        target = next(track for track in self.gt.tracks or () if track.id == event.gt_id)
        shown: list[Any] = [target, self.results[event.old], self.results[event.new]]
        true, old, new = self._tracks(scored, shown, frames)
        place = {"video": str(video.id), "frame": event.frame, "lastFrame": event.last_frame}
        size = {"height": video.height, "width": video.width, "frames": frames}
        return {**place, **size, "true": true, "old": old, "new": new}

    def _tracks(
        self,
        scored: ScoredVideo,
        tracks: Sequence[TrueTrack | PredictedTrack],
        frames: Sequence[int],
    ) -> list[dict]:
        """Of each track ``category``, of predictions ``score``, and ``masks``.

        Those are the counts of a compressed RLE or None for each of ``frames``.
        """
        parts = []
        for track, masks in zip(tracks, scored.masks_by_frame(tracks), strict=True):
            rles = [masks[t] for t in frames]
            counts = [None if rle is None else rle["counts"].decode("ascii") for rle in rles]
            part = {"category": self._categories[track.category_id], "masks": counts}
            if isinstance(track, PredictedTrack):
                part["score"] = track.score
            parts.append(part)
        return parts


def score_video(scored: ScoredVideo, shown: ScoredVideo, iou_threshold: float) -> dict:
    """How well one video alone was done, with all its predictions or with those that are shown.

    Returns:
        ``ap`` and ``ap50``, per cent, of all predictions as if there were no other video, the mean
        over the categories that are truly there. The rest is of the predictions that are shown:
        numbers of tracks, of which false positives lie on no crowd either; and ``iou``, the mean
        over the true tracks of the IoU with their match, 0 for a miss. ``ap``, ``ap50`` and ``iou``
        are None if no track is true.
    """
    matches, on_crowd, iou = matching.match_video(shown, iou_threshold=iou_threshold)
    misses = len(shown.true) - len(matches)
    ap = ap50 = mean_iou = None
    if shown.true:
        present = {track.category_id for track in scored.true}
        categories = [Category(category, str(category)) for category in sorted(present)]
        sides: tuple[Sequence[Any], ...] = scored.true + scored.crowds, scored.predicted
        true, predicted = ([t for t in side if t.category_id in present] for side in sides)
        stats = evaluate_tracks(GroundTruth("", [scored.video], categories, true), predicted).stats
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


def _plain_row(scored: ScoredVideo) -> dict:
    """The row of a video without ground truth; ``score`` is the mean score, None without tracks."""
    scores = [entry.score for entry in scored.predicted]
    best, mean = (max(scores), fmean(scores)) if scores else (None, None)
    return _about(scored.video) | {"predicted": len(scores), "best": best, "score": mean}


def _about(video: Video) -> dict:
    size = {"height": video.height, "width": video.width}
    return {"id": str(video.id), "name": video.name, "length": video.length, **size}


def _curve(values: np.ndarray) -> list[float] | None:
    """The mean over the columns with ground truth of (101, N), or None if there is none."""
    known = values[:, (values > -1).all(axis=0)]
    return known.mean(axis=1).tolist() if known.size else None


def worst_and_best(rows: list[dict], number: int) -> tuple[list[str], list[str]]:
    """The ids of the worst and of the best videos, each list beginning with the extreme.

    Videos go by AP, then by the mean IoU of their tracks, then by their order; or by the mean score
    of their tracks where there is no ground truth. Videos without such a value are left out, and no
    video is in both lists.
    """
    keys = ("ap", "iou") if rows and "ap" in rows[0] else ("score",)
    known = [row for row in rows if row[keys[0]] is not None and row["length"]]
    ranked = [row["id"] for row in sorted(known, key=lambda row: [row[key] for key in keys])]
    worst = ranked[: min(number, math.ceil(len(ranked) / 2))]
    return worst, ranked[len(worst) :][::-1][:number]


def choose_switches(events: Iterable[IdSwitch], number: int) -> list[IdSwitch]:
    """Some switches, given video by video: the first of each, then the second of each, and so on.

    Videos with many switches come first.
    """
    videos = [[*own] for _, own in groupby(events, key=attrgetter("video_id"))]
    rounds = zip_longest(*sorted(videos, key=len, reverse=True))
    return [event for events in rounds for event in events if event is not None][:number]
