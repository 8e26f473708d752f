"""What is shown with its frames: the tracks of a video, and identity switches."""

from collections.abc import Sequence

from simplevtr.evaluation.analysis.id_switches import IdSwitch, IdSwitches
from simplevtr.evaluation.analysis.track_matching import match_tracks, match_video
from simplevtr.evaluation.scored_video import ScoredVideo
from simplevtr.formats.results import PredictedTrack
from simplevtr.formats.ytvis import TrueTrack
from simplevtr.report.settings import Content
from simplevtr.report.tables import rounded

import numpy as np

MAX_TRACKS = 60  # more cannot be told apart
_AROUND = 2  # frames before a switch and frames after it


def player_part(content: Content, video_id: int, frames: Sequence[int]) -> dict:
    """One video as JSON can hold it.

    A predicted track has the colour of the true track it lies on. Tracks match as they do for the
    numbers of the video, in their category; what is left then matches regardless of category.

    Args:
        content: has the tracks that are shown.
        video_id: the video.
        frames: the numbers of the frames that are shown.

    Returns:
        ``id``, ``height``, ``width``, ``frames``, and the lists ``true`` and ``predicted``: dicts
        with ``name`` (a number), ``category``, ``colour`` (a number) and ``masks``, the counts of a
        compressed RLE or None for each of ``frames``. A predicted one also has ``score``, ``kind``
        ("match", "category", "crowd", "alone"), ``on`` (the name of its true track or None) and
        ``iou``, with that track or, where ``on`` is None, the greatest with any; 0 without any.
    """
    tracks = content.shown[video_id]
    pairs, kinds, iou = _pairs(tracks, content.settings.iou_threshold)
    true = _shown(content, tracks, tracks.true, frames)
    for column, part in enumerate(true):
        part |= {"name": column + 1, "colour": column}
    predicted = _shown(content, tracks, tracks.predicted[:MAX_TRACKS], frames)
    free_colour = len(true)
    for row, part in enumerate(predicted):
        column = pairs.get(row)
        part |= {
            "name": row + 1,
            "colour": free_colour if column is None else column,
            "kind": kinds[row],
            "on": None if column is None else column + 1,
            "iou": rounded(iou[row].max(initial=0.0) if column is None else iou[row, column]),
        }
        free_colour += column is None
    size = {"height": tracks.video.height, "width": tracks.video.width}
    parts = {"frames": list(frames), "true": true, "predicted": predicted}
    return {"id": video_id, **size, **parts}


def choose_switches(switches: IdSwitches, number: int) -> list[IdSwitch]:
    """Some switches: the first of each video, then the second of each, and so on.

    Videos with many switches come first.
    """
    by_video: dict[int, list[IdSwitch]] = {}
    for event in switches.events:
        by_video.setdefault(event.video_id, []).append(event)
    videos = sorted(by_video.values(), key=len, reverse=True)
    rounds = range(max(map(len, videos), default=0))
    return [events[i] for i in rounds for events in videos if i < len(events)][:number]


def frames_around(event: IdSwitch, length: int) -> list[int]:
    """The frames shown: up to the last match with the old track, from the first with the new."""
    before = range(max(0, event.last_frame - _AROUND + 1), event.last_frame + 1)
    after = range(event.frame, min(length, event.frame + _AROUND))
    return [*before, *after]


def switch_part(content: Content, event: IdSwitch) -> dict:
    """One switch as JSON can hold it.

    Returns:
        ``video``, ``height``, ``width``, ``frame``, ``lastFrame``, ``frames`` (numbers), and
        ``true``, ``old`` and ``new``: dicts with ``category``, ``masks`` (counts or None for each
        of ``frames``) and, for the predicted ones, ``score``.
    """
    shown = content.shown[event.video_id]
    video = shown.video
    true = next(track for track in content.gt.tracks if track.id == event.gt_id)
    tracks = [true, content.results[event.old], content.results[event.new]]
    frames = frames_around(event, video.length)
    return {
        "video": video.id,
        "height": video.height,
        "width": video.width,
        "frame": event.frame,
        "lastFrame": event.last_frame,
        "frames": frames,
        **dict(zip(("true", "old", "new"), _shown(content, shown, tracks, frames), strict=True)),
    }


def _pairs(
    tracks: ScoredVideo, iou_threshold: float
) -> tuple[dict[int, int], list[str], np.ndarray]:
    """predicted -> true, the kind of each prediction, and the (predicted, true) IoU."""
    pairs, on_crowd, iou = match_video(tracks, iou_threshold=iou_threshold)
    left = iou.copy()
    left[[*pairs, *on_crowd]] = 0.0
    left[:, list(pairs.values())] = 0.0
    others = match_tracks(left, iou_threshold)
    kind_of = dict.fromkeys(pairs, "match") | dict.fromkeys(on_crowd, "crowd")
    kind_of |= dict.fromkeys(others, "category")
    kinds = [kind_of.get(row, "alone") for row in range(len(tracks.predicted))]
    return pairs | others, kinds, iou


def _shown(
    content: Content,
    video: ScoredVideo,
    tracks: Sequence[TrueTrack | PredictedTrack],
    frames: Sequence[int],
) -> list[dict]:
    """The category, the masks in some frames and, of predictions, the score of each track."""
    parts = []
    for track, masks in zip(tracks, video.masks_by_frame(tracks), strict=True):
        rles = [masks[t] for t in frames]
        counts = [None if rle is None else rle["counts"].decode("ascii") for rle in rles]
        parts.append({"category": content.categories[track.category_id], "masks": counts})
        if isinstance(track, PredictedTrack):
            parts[-1]["score"] = rounded(track.score)
    return parts
