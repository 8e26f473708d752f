"""The content of an annotation file without the defects that can be repaired."""

from __future__ import annotations

from typing import Any

from simplevtr.data.doctor.categories import Categories
from simplevtr.data.doctor.findings import Findings
from simplevtr.data.doctor.records import Track, Video, is_absent


def repaired_content(
    content: dict[str, Any],
    values: dict[str, Any],
    categories: Categories,
    videos: dict[int, Video],
    findings: Findings,
) -> dict[str, Any]:
    """Put together what the examinations have left.

    Args:
        content: the file's.
        values: its values that the format does not know.
        categories: those that can be used.
        videos: those that can be used, with their tracks.
        findings: where repairs are counted that become necessary here.
    """
    kept_videos, kept_tracks = [], []
    for video in videos.values():
        frames = [f for f in range(len(video.names)) if f not in video.lost]
        tracks = [track for track in video.tracks if not track.dropped]
        if video.dropped or not frames:
            findings.repaired("videos without a frame were dropped", not video.dropped)
            findings.repaired("annotations were dropped with their videos", len(tracks))
            continue
        kept_videos.append(_video_entry(video, frames))
        for track in tracks:
            entry = _track_entry(track, frames)
            if track.may_be_invisible or not all(map(is_absent, entry["segmentations"])):
                kept_tracks.append(entry)
            else:
                findings.repaired("annotations that were left without a mask were dropped")
    parts = {
        **values,
        "videos": kept_videos,
        "categories": categories.entries,
        "annotations": None if content.get("annotations") is None else kept_tracks,
    }
    return {key: parts[key] for key in content if key in parts}


def _video_entry(video: Video, frames: list[int]) -> dict[str, Any]:
    return {
        "id": video.id,
        "width": video.width,
        "height": video.height,
        "length": len(frames),
        "file_names": [video.names[f] for f in frames],
        **video.values,
    }


def _track_entry(track: Track, frames: list[int]) -> dict[str, Any]:
    entry = {"id": track.id, "video_id": track.video.id, "category_id": track.category_id}
    if track.iscrowd is not None:
        entry["iscrowd"] = track.iscrowd
    for key in ("segmentations", "bboxes", "areas"):
        values = getattr(track, key)
        if values is not None:
            entry[key] = [values[f] for f in frames]
    return {**entry, **track.values}
