"""True and predicted tracks side by side, one video at a time, and their IoU by pycocotools."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from simplevtr.formats import checks
from simplevtr.formats.film_strips import FilmStrip, split_frames
from simplevtr.formats.results import PredictedTrack
from simplevtr.formats.ytvis import GroundTruth, TrueTrack, Video, require_annotations

import numpy as np
from pycocotools import mask as coco_mask
from tqdm import tqdm

if TYPE_CHECKING:  # it imports torch
    from simplevtr.structures import FrameTracks

SCORE_THRESHOLD = 0.3  # least score that counts where a metric ignores scores, as HOTA does


@dataclass(frozen=True)
class ScoredVideo:
    """The tracks of one video."""

    video: Video  # of the annotation file
    true: list[TrueTrack]  # the annotations of single objects, in the order of the file
    crowds: list[TrueTrack]  # the annotations of crowds, which are neither found nor missed
    # The results that reach a score, best first; equal scores in the order of the file.
    predicted: list[PredictedTrack]
    positions: list[int]  # for each of ``predicted`` its 0-based place in the list of all results

    def with_predicted(self, rows: Sequence[int]) -> ScoredVideo:
        """The video with these of its predictions alone."""
        predicted = [self.predicted[row] for row in rows]
        return replace(self, predicted=predicted, positions=[self.positions[row] for row in rows])

    def masks_by_frame(
        self, tracks: Sequence[TrueTrack | PredictedTrack]
    ) -> list[list[dict | None]]:
        """The masks of some of its tracks, as ``split_frames`` gives them."""
        size = {"frames": self.video.length, "height": self.video.height, "width": self.video.width}
        return split_frames([track.strip for track in tracks], **size)

    def by_frame(
        self,
        tracks: Sequence[TrueTrack | PredictedTrack],
        numbers: Sequence[int],
        labels: Mapping[int, int],
    ) -> list[FrameTracks]:
        """Some of its tracks in each frame, under these numbers; labels are by category id."""
        from simplevtr.structures import FrameTracks

        rows = [
            (number, labels[track.category_id], getattr(track, "score", None), own)
            for number, track, own in zip(numbers, tracks, self.masks_by_frame(tracks), strict=True)
        ]
        size = (self.video.height, self.video.width)
        return list(FrameTracks.of_video(rows, size, self.video.length))

    def same_category(self, true: Sequence[TrueTrack]) -> np.ndarray:
        """(predicted, true) bool: which pairs are of one category."""
        predicted = np.array([track.category_id for track in self.predicted], dtype=np.int64)
        wanted = np.array([track.category_id for track in true], dtype=np.int64)
        return predicted[:, None] == wanted[None]


def tracks_by_video(
    gt: GroundTruth, results: list[PredictedTrack], *, score_threshold: float = 0.0
) -> list[ScoredVideo]:
    """The tracks of every video, in the order of ``gt.videos``; without annotations none is true.

    Predictions below the score threshold are left out; ValueError unless it is in [0, 1].
    """
    checks.score(score_threshold, "score_threshold")
    videos = {video.id: ScoredVideo(video, [], [], [], []) for video in gt.videos}
    for annotation in gt.tracks or ():
        scored = videos[annotation.video_id]
        (scored.crowds if annotation.iscrowd else scored.true).append(annotation)
    for position in np.argsort([-entry.score for entry in results], kind="stable").tolist():
        entry = results[position]
        if entry.score >= score_threshold:
            videos[entry.video_id].predicted.append(entry)
            videos[entry.video_id].positions.append(position)
    return list(videos.values())


def scored_videos(
    gt: GroundTruth, results: list[PredictedTrack], what: str, *, score_threshold: float = 0.0
) -> Iterable[ScoredVideo]:
    """``tracks_by_video`` under a progress bar called ``what``; ValueError without annotations."""
    require_annotations(gt)
    videos = tracks_by_video(gt, results, score_threshold=score_threshold)
    return tqdm(videos, desc=what, unit="video", disable=None)


def track_iou(first: Sequence[FilmStrip], second: Sequence[FilmStrip]) -> np.ndarray:
    """IoU of every pair of tracks of one video, as a float64 array (len(first), len(second)).

    The IoU of two tracks without any mask is 0.
    """
    if not first or not second:
        return np.zeros((len(first), len(second)))
    # Zeros: crowd tracks are compared like any other, as in the official evaluation.
    return coco_mask.iou([s.rle for s in first], [s.rle for s in second], [0] * len(second))


def frame_iou(true: Sequence[dict | None], predicted: Sequence[dict | None]) -> np.ndarray:
    """(true, predicted) float64 IoU of the masks of one frame, 0 where one of them is None."""
    iou = np.zeros((len(true), len(predicted)))
    rows = [i for i, mask in enumerate(true) if mask is not None]
    columns = [i for i, mask in enumerate(predicted) if mask is not None]
    if rows and columns:
        iou[np.ix_(rows, columns)] = coco_mask.iou(
            [true[i] for i in rows], [predicted[i] for i in columns], [0] * len(columns)
        )
    return iou
