"""True and predicted tracks side by side, one video at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from simplevtr.formats import checks
from simplevtr.formats.film_strips import FilmStrip, split_frames
from simplevtr.formats.results import PredictedTrack
from simplevtr.formats.ytvis import GroundTruth, TrueTrack, Video, require_annotations

import numpy as np
from tqdm import tqdm

SCORE_THRESHOLD = 0.3  # of what counts where tracks have no score, as in HOTA and identity switches


@dataclass(frozen=True)
class ScoredVideo:
    """The tracks of one video.

    Attributes:
        video: of the annotation file.
        true: the annotations of single objects, in the order of the file.
        crowds: the annotations of crowds, which are neither found nor missed.
        predicted: the results from a score on, best first; equal scores in the order of the file.
        positions: for each of ``predicted`` its 0-based place in the list of all results.
    """

    video: Video
    true: list[TrueTrack]
    crowds: list[TrueTrack]
    predicted: list[PredictedTrack]
    positions: list[int]


def tracks_by_video(
    gt: GroundTruth, results: list[PredictedTrack], *, score_threshold: float = 0.0
) -> list[ScoredVideo]:
    """The tracks of every video, in the order of ``gt.videos``.

    Args:
        gt: what ``load_ground_truth`` returned; without annotations no track is true.
        results: what ``load_results`` returned for it.
        score_threshold: predictions with a lower score are left out.

    Raises:
        ValueError: the threshold is not in [0, 1].
    """
    checks.score(score_threshold, "score_threshold")
    videos = {video.id: ScoredVideo(video, [], [], [], []) for video in gt.videos}
    for annotation in gt.tracks or ():
        tracks = videos[annotation.video_id]
        (tracks.crowds if annotation.iscrowd else tracks.true).append(annotation)
    for position in np.argsort([-entry.score for entry in results], kind="stable").tolist():
        entry = results[position]
        if entry.score >= score_threshold:
            videos[entry.video_id].predicted.append(entry)
            videos[entry.video_id].positions.append(position)
    return list(videos.values())


def scored_videos(
    gt: GroundTruth, results: list[PredictedTrack], what: str, *, score_threshold: float = 0.0
) -> Iterable[ScoredVideo]:
    """``tracks_by_video`` under a progress bar called ``what``.

    Raises:
        ValueError: there are no annotations, or the threshold is not in [0, 1].
    """
    require_annotations(gt)
    videos = tracks_by_video(gt, results, score_threshold=score_threshold)
    return tqdm(videos, desc=what, unit="video", disable=None)


def film_strips(tracks: Sequence[TrueTrack | PredictedTrack]) -> list[FilmStrip]:
    """The film strips of annotations or predictions."""
    return [track.strip for track in tracks]


def masks_by_frame(
    tracks: Sequence[TrueTrack | PredictedTrack], video: Video
) -> list[list[dict | None]]:
    """The masks of annotations or predictions of a video, as ``split_frames`` gives them."""
    size = {"frames": video.length, "height": video.height, "width": video.width}
    return split_frames(film_strips(tracks), **size)


def same_category(tracks: ScoredVideo, true: list[TrueTrack], use_categories: bool) -> np.ndarray:
    """(predicted, true) bool: which pairs may match; all if categories do not count."""
    if not use_categories:
        return np.ones((len(tracks.predicted), len(true)), dtype=bool)
    predicted = np.array([track.category_id for track in tracks.predicted], dtype=np.int64)
    wanted = np.array([track.category_id for track in true], dtype=np.int64)
    return predicted[:, None] == wanted[None]


def categories_in_use(gt: GroundTruth, results: Sequence[PredictedTrack]) -> list[int]:
    """The ids of the categories that have a true or predicted track, in ascending order."""
    return sorted({track.category_id for track in (*(gt.tracks or ()), *results)})


def check_iou_threshold(threshold: float) -> None:
    """Raise ValueError unless the threshold lies in (0, 1]."""
    if not 0 < threshold <= 1:
        raise ValueError(f"iou_threshold is {threshold}; it must be above 0 and at most 1")
