"""What a report shows and how, and what it is made of."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from simplevtr.evaluation.analysis.track_matching import IOU_THRESHOLD
from simplevtr.evaluation.scored_video import SCORE_THRESHOLD, ScoredVideo, tracks_by_video
from simplevtr.evaluation.ytvis_eval import AREA_LIMITS, check_area_limits
from simplevtr.formats import checks
from simplevtr.formats.results import PredictedTrack
from simplevtr.formats.ytvis import GroundTruth


@dataclass(frozen=True, kw_only=True)
class ReportSettings:
    """Settings of a report.

    Raises:
        ValueError: a number is out of its range.
    """

    title: str = "Video instance segmentation"  # the page's heading
    # The least IoU of tracks and masks that match, above 0 and at most 1.
    iou_threshold: float = IOU_THRESHOLD
    # Predictions with a lower score count for AP alone and are not shown.
    score_threshold: float = SCORE_THRESHOLD
    area_limits: Sequence[float] = AREA_LIMITS  # between small, medium and large tracks, in pixels
    videos: int = 6  # number of the worst videos shown with their frames, and of the best, each
    switches: int = 6  # number of identity switches shown
    frame_width: int = 480  # frames are made no wider than this, in pixels
    max_frames: int = 150  # of a longer video so many frames are shown, evenly spaced

    def __post_init__(self) -> None:
        checks.iou_threshold(self.iou_threshold)
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
        return {number: i for i, number in enumerate(self.gt.categories_in_use(self.results))}
