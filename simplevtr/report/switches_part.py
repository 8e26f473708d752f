"""Examples of identity switches: the frames before and after, with the three masks in question."""

from __future__ import annotations

from simplevtr.evaluation.analysis.id_switches import IdSwitch, IdSwitches
from simplevtr.evaluation.scored_video import masks_by_frame
from simplevtr.formats.results import PredictedTrack
from simplevtr.formats.ytvis import GroundTruth
from simplevtr.report.player_part import text

_AROUND = 2  # frames before and frames after


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


def switch_part(
    event: IdSwitch, gt: GroundTruth, results: list[PredictedTrack], categories: dict[int, int]
) -> dict:
    """One switch as JSON can hold it.

    Args:
        event: the switch.
        gt: what ``load_ground_truth`` returned.
        results: what ``load_results`` returned.
        categories: place of a category in the report's list by its id.

    Returns:
        ``video``, ``height``, ``width``, ``frame``, ``lastFrame``, ``frames`` (numbers), and
        ``true``, ``old`` and ``new``: dicts with ``category``, ``masks`` (counts or None for each
        of ``frames``) and, for the predicted ones, ``score``.
    """
    video = next(video for video in gt.videos if video.id == event.video_id)
    true = next(a for a in gt.tracks if a.id == event.gt_id)
    tracks = {"true": true, "old": results[event.old], "new": results[event.new]}
    frames = frames_around(event, video.length)
    split = masks_by_frame([*tracks.values()], video)
    part = {
        "video": video.id,
        "height": video.height,
        "width": video.width,
        "frame": event.frame,
        "lastFrame": event.last_frame,
        "frames": frames,
    }
    for (name, track), masks in zip(tracks.items(), split, strict=True):
        part[name] = {
            "category": categories[track.category_id],
            "masks": [text(masks[t]) for t in frames],
        }
        if name != "true":
            part[name]["score"] = round(float(track.score), 4)
    return part
