"""What a report shows and how, and what it is made of."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from simplevtr.evaluation.analysis.track_matching import IOU_THRESHOLD
from simplevtr.evaluation.scored_video import (
    SCORE_THRESHOLD,
    ScoredVideo,
    categories_in_use,
    check_iou_threshold,
    tracks_by_video,
)
from simplevtr.evaluation.ytvis_eval import AREA_LIMITS, check_area_limits
from simplevtr.formats import checks
from simplevtr.formats.results import PredictedTrack
from simplevtr.formats.ytvis import GroundTruth


@dataclass(frozen=True, kw_only=True)
class ReportSettings:
    """Settings of a report.

    Attributes:
        title: the page's heading.
        iou_threshold: the least IoU of tracks and masks that match, above 0 and at most 1.
        score_threshold: predictions with a lower score count for AP alone and are not shown.
        area_limits: between small, medium and large tracks, in pixels.
        videos: number of the worst videos shown with their frames, and of the best, each.
        switches: number of identity switches shown.
        frame_width: frames are made no wider than this, in pixels.
        max_frames: of a longer video so many frames are shown, evenly spaced.

    Raises:
        ValueError: a number is out of its range.
    """

    title: str = "Video instance segmentation"
    iou_threshold: float = IOU_THRESHOLD
    score_threshold: float = SCORE_THRESHOLD
    area_limits: Sequence[float] = AREA_LIMITS
    videos: int = 6
    switches: int = 6
    frame_width: int = 480
    max_frames: int = 150

    def __post_init__(self) -> None:
        check_iou_threshold(self.iou_threshold)
        check_area_limits(self.area_limits)
        checks.score(self.score_threshold, "score_threshold")
        for name, least in (("videos", 0), ("switches", 0), ("frame_width", 16), ("max_frames", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be {least} or more")


@dataclass(frozen=True)
class Content:
    """What a report is made of; see ``write_report``."""

    gt: GroundTruth
    results: list[PredictedTrack]
    images: str | os.PathLike
    settings: ReportSettings

    @cached_property
    def shown(self) -> dict[int, ScoredVideo]:
        """The tracks that are shown, by video id in the order of the annotation file."""
        score = self.settings.score_threshold
        videos = tracks_by_video(self.gt, self.results, score_threshold=score)
        return {tracks.video.id: tracks for tracks in videos}

    @cached_property
    def categories(self) -> dict[int, int]:
        """The place of a category in the report's list by its id."""
        return {number: i for i, number in enumerate(categories_in_use(self.gt, self.results))}
