"""Examines the list of annotations: everything but the masks themselves."""

from __future__ import annotations

from typing import Any

from simplevtr.data.doctor.categories import Categories
from simplevtr.data.doctor.findings import Findings, Place, shown
from simplevtr.data.doctor.records import Track, Video, is_absent
from simplevtr.data.doctor.values import MOST_ID, as_integer, flag, integer, other_values, same
from simplevtr.data.doctor.videos import Videos

_LISTS = ("segmentations", "bboxes", "areas")
_KNOWN = ("id", "video_id", "category_id", "iscrowd", *_LISTS)
_DROPPED = "annotations that cannot be used were dropped"


def examine_tracks(
    entries: list[Any], videos: Videos, categories: Categories, findings: Findings
) -> None:
    """Count what is wrong with the annotations of a file and give those usable to their videos."""
    ids = _Ids(entries, findings)
    used: set[int] = set()
    for index, entry in enumerate(entries):
        place = Place(entry=f"annotations[{index}]")
        if not isinstance(entry, dict):
            findings.add("wrong-type", place, f"{shown(entry)} is no object")
            findings.repaired(_DROPPED)
            continue
        track_id, place = ids.next(entry, place)
        if track_id is None:
            continue
        video = _video(entry, videos, findings, place)
        category_id = integer(entry, "category_id", findings, place)
        if category_id is not None:
            used.add(categories.alias.get(category_id, category_id))
            if category_id not in categories.alias:
                detail = f"there is no category {category_id}"
                findings.add("unknown-category", place, detail)
        iscrowd = flag(entry, "iscrowd", findings, place)
        if video is None or category_id not in categories.alias or iscrowd is None:
            findings.repaired(_DROPPED)
            continue
        place = place.but(video=video.id)
        lists = _lists(entry, findings, place)
        values = other_values(entry, _KNOWN, findings, place)
        if lists is None:
            findings.repaired(_DROPPED)
            continue
        track = Track(
            id=track_id,
            video=video,
            place=place,
            category_id=categories.alias[category_id],
            values=values,
            iscrowd=iscrowd if "iscrowd" in entry else None,
            **lists,
        )
        _fit_lists(track, findings)
        video.tracks.append(track)
    categories.report_unused(used, findings)


def settle_lengths(videos: Videos, findings: Findings) -> None:
    """Correct the stated lengths that tracks speak against, else drop the video."""
    for video in videos.usable.values():
        length = len(video.names)
        if video.stated_length in (None, length):
            continue
        tracks = [track for track in video.tracks if not track.dropped]
        if all(len(track.segmentations) == length for track in tracks):
            findings.repaired("lengths of videos were counted")
        else:
            video.dropped = True
            findings.repaired("videos were dropped whose length is unclear")


class _Ids:
    """Gives each annotation its own id or, where that cannot be used, a new one."""

    def __init__(self, entries: list[Any], findings: Findings) -> None:
        self._findings = findings
        self._owners: dict[int, dict[str, Any]] = {}
        given = [as_integer(e.get("id"))[0] or 0 for e in entries if isinstance(e, dict)]
        self._free = max((i for i in given if i < MOST_ID // 2), default=0)

    def next(self, entry: dict[str, Any], place: Place) -> tuple[int | None, Place]:
        """The id of the next entry, None if the entry is a copy of an earlier one, and its place.

        The place names the id that the file gives, if it gives one.
        """
        track_id = integer(entry, "id", self._findings, place)
        if track_id is None:
            self._findings.repaired("annotations got a new id")
            track_id = self._new()
        else:
            place = place.but(annotation=track_id)
        if track_id in self._owners:
            copy = same(entry, self._owners[track_id])
            what = "a copy of an earlier annotation" if copy else "that of another annotation"
            self._findings.add("duplicate-annotation", place, f"id {track_id} is {what}")
            if copy:
                self._findings.repaired("copies of annotations were dropped")
                return None, place
            self._findings.repaired("annotations got a new id")
            track_id = self._new()
        self._owners[track_id] = entry
        return track_id, place

    def _new(self) -> int:
        self._free += 1
        while self._free in self._owners:
            self._free += 1
        return self._free


def _video(entry: dict[str, Any], videos: Videos, findings: Findings, place: Place) -> Video | None:
    video_id = integer(entry, "video_id", findings, place)
    if video_id is not None and video_id not in videos.usable and video_id not in videos.unusable:
        findings.add("unknown-video", place, f"there is no video {video_id}")
    return videos.usable.get(video_id)


def _lists(
    entry: dict[str, Any], findings: Findings, place: Place
) -> dict[str, list[Any] | None] | None:
    """Copies of the lists by their keys; None if there are no segmentations."""
    lists: dict[str, list[Any] | None] = {}
    for key in _LISTS:
        value = entry.get(key)
        needed = key == "segmentations"
        if isinstance(value, list):
            lists[key] = list(value)
            continue
        lists[key] = None
        if needed and key not in entry:
            findings.add("missing-key", place, "segmentations is missing")
        elif needed or value is not None:
            findings.add("wrong-type", place, f"{key} is {shown(value)}, not a list")
            findings.repaired(f"lists of {key} that are none were dropped", 0 if needed else 1)
    return None if lists["segmentations"] is None else lists


def _fit_lists(track: Track, findings: Findings) -> None:
    """Compare the lists' lengths with the video's, and make them fit where it is clear how."""
    video, length = track.video, len(track.video.names)
    # A wrong length of the video is no defect of the tracks that agree with it.
    allowed = {length, length if video.stated_length is None else video.stated_length}
    for key in _LISTS:
        entries = getattr(track, key)
        if entries is not None and len(entries) not in allowed:
            detail = f"there are {len(entries)} {key}, but the video has {length} frames"
            findings.add("list-length", track.place, detail)
    if len(track.segmentations) not in allowed:
        fitted = _fitted(track.segmentations, length, (track.bboxes, track.areas))
        if fitted is None:
            track.dropped = True
            findings.repaired("annotations were dropped whose masks cannot be told to frames")
            return
        track.segmentations = fitted
        findings.repaired("lists of masks were cut or filled up with null")
    for key in ("bboxes", "areas"):
        entries = getattr(track, key)
        if entries is not None and len(entries) != len(track.segmentations):
            setattr(track, key, [None] * len(track.segmentations))
            track.computed.add(key)
            findings.repaired(f"lists of {key} of a wrong length were computed")


def _fitted(masks: list[Any], length: int, others: tuple[list[Any] | None, ...]) -> list | None:
    """Masks cut or filled up to a length, or None if it is unclear which frames they belong to."""
    if len(masks) > length:
        return masks[:length] if all(map(is_absent, masks[length:])) else None
    visible = [not is_absent(mask) for mask in masks]
    for other in others:
        if other is None or len(other) != length:
            continue
        seen = [bool(entry) for entry in other]
        if seen == visible + [False] * (length - len(masks)):
            return masks + [None] * (length - len(masks))
    return None
