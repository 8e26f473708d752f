"""Examines the list of annotations: everything but the masks themselves."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

from simplevtr.data.doctor.categories import Categories, examine_use
from simplevtr.data.doctor.findings import Findings, Place, shown
from simplevtr.data.doctor.records import Track, Video, is_absent
from simplevtr.data.doctor.values import checked, other_values
from simplevtr.data.doctor.videos import Videos
from simplevtr.formats import checks
from simplevtr.formats.files import json_value

_LISTS = ("segmentations", "bboxes", "areas")
_KNOWN = ("id", "video_id", "category_id", "iscrowd", *_LISTS)
_DROPPED = "annotations that cannot be used were dropped"
_WAY_OUT = (
    "nothing of it is trained on or scored; if they are objects, import again with --crowds, or "
    "write iscrowd 0 with --fix OUT --crowds"
)


class Tracks:
    """The annotations of a file, decoded whole for one video at a time."""

    def __init__(
        self,
        entries: Sequence[Any] | None,
        videos: Videos,
        categories: Categories,
        findings: Findings,
    ) -> None:
        """Count what is wrong with ids and crowds.

        Args:
            entries: the file's, which ``read_json`` may have left undecoded; None if it has none.
            videos: those of the file.
            categories: those that can be used.
            findings: where the defects go.
        """
        self._entries, self._findings = entries or (), findings
        self._videos, self._categories = videos, categories
        self._owners: dict[int, int] = {}  # index of the annotation that has an id
        self._used: set[int] = set()
        tracks = [self._track(index, json_value(e)) for index, e in enumerate(self._entries)]
        tracks = [track for track in tracks if track is not None]
        free = (i for i in count(1) if i not in self._owners)
        for track in tracks:
            if track.id is None:
                track.id = next(free)
                findings.repaired("annotations got a new id")
            track.video.tracks.append(track)
        if entries is not None:
            examine_use(categories, self._used, findings)
        _examine_crowds(tracks, categories, findings)

    def load(self, video: Video, findings: Findings, *, crowds: bool) -> None:
        """Give the tracks of a video their lists; what is wrong with them is counted and repaired.

        Args:
            video: those of its tracks that have no list of masks are taken out.
            findings: where the defects go.
            crowds: whether crowds become objects.
        """
        video.tracks = [track for track in video.tracks if self._load(track, findings)]
        for track in video.tracks:
            if crowds and track.iscrowd:
                track.iscrowd = 0
                findings.repaired("crowds became objects")
            _fit_lists(track, findings)

    def _track(self, index: int, entry: Any) -> Track | None:
        """None if the annotation cannot be used."""
        place, findings = Place(entry=f"annotations[{index}]"), self._findings
        if not isinstance(entry, dict):
            findings.add("wrong-type", place, f"{shown(entry)} is not an object", _DROPPED)
            return None
        track_id = checked(checks.integer, entry, "id", findings, place)
        if track_id is not None:
            place = place.but(annotation=track_id)
            owner = self._owners.setdefault(track_id, index)
            if owner != index:
                copy = _same(entry, json_value(self._entries[owner]))
                what = "a copy of an earlier annotation" if copy else "that of another annotation"
                repair = "copies of annotations were dropped" if copy else ""
                findings.add("duplicate-annotation", place, f"id {track_id} is {what}", repair)
                if copy:
                    return None
                track_id = None
        video_id = checked(checks.integer, entry, "video_id", findings, place)
        video = self._videos.usable.get(video_id)
        if video is None and video_id is not None and video_id not in self._videos.unusable:
            findings.add("unknown-video", place, f"there is no video {video_id}")
        category_id = checked(checks.integer, entry, "category_id", findings, place)
        alias = self._categories.alias.get(category_id)
        if alias is None and category_id is not None:
            findings.add("unknown-category", place, f"there is no category {category_id}")
        self._used.add(alias)
        iscrowd = checked(checks.flag, entry, "iscrowd", findings, place)
        findings.repaired("iscrowd that is neither 0 nor 1 became 0", iscrowd is None)
        if video is None or alias is None:
            findings.repaired(_DROPPED)
            return None
        stated = int(iscrowd or 0) if "iscrowd" in entry else None
        return Track(index, track_id, video, place.but(video=video_id), alias, stated)

    def _load(self, track: Track, findings: Findings) -> bool:
        """Give a track copies of its lists; False if there are no segmentations."""
        entry, place = json_value(self._entries[track.index]), track.place
        track.values = other_values(entry, _KNOWN, findings, place)
        for key in _LISTS:
            value, needed = entry.get(key), key == "segmentations"
            if isinstance(value, list):
                setattr(track, key, list(value))
            elif needed and key not in entry:
                findings.add("missing-key", place, "segmentations is missing", _DROPPED)
                return False
            elif needed or value is not None:
                repair = _DROPPED if needed else f"{key} that are not lists were dropped"
                detail = f"{key} is {shown(value)}, not a list"
                findings.add("wrong-type", place, detail, repair)
                if needed:
                    return False
        return True


def settle_length(video: Video, findings: Findings) -> None:
    """Correct a stated length that the tracks of a video speak against, else drop the video."""
    length = len(video.names)
    if video.stated_length in (None, length):
        return
    if all(len(track.segmentations) == length for track in video.tracks if not track.dropped):
        findings.repaired("lengths of videos were counted")
    else:
        video.dropped = True
        findings.repaired("videos were dropped whose length is unclear")


def _examine_crowds(tracks: list[Track], categories: Categories, findings: Findings) -> None:
    """Count crowds, and what consists of them alone: the file, else categories and videos."""
    crowds = [track for track in tracks if track.iscrowd]
    if not crowds:
        return
    groups: dict[tuple[str, int], list[Track]] = {("file", 0): tracks}
    if len(crowds) < len(tracks):
        groups.clear()
        for track in tracks:
            groups.setdefault(("category", track.category_id), []).append(track)
            groups.setdefault(("video", track.video.id), []).append(track)
    told: set[int] = set()
    for (kind, key), group in groups.items():
        if all(track.iscrowd for track in group):
            name = f" {shown(categories.entries[key]['name'])}" if kind == "category" else ""
            detail = f"all {len(group):,} annotations of the {kind}{name} are crowds: {_WAY_OUT}"
            place = Place() if kind == "file" else Place({kind: key})
            findings.add("all-crowds", place, detail)
            told.update(track.index for track in group)
    for track in crowds:
        if track.index not in told:
            findings.add("crowd", track.place, "iscrowd is 1; YouTube-VIS and OVIS have no crowds")


def _same(first: Any, second: Any) -> bool:
    """Whether two values of the file are equal; False if they are nested too deeply to tell."""
    try:
        return first == second
    except RecursionError:
        return False


def _fit_lists(track: Track, findings: Findings) -> None:
    """Compare the lists' lengths with the video's, and make them fit where it is clear how."""
    video, length = track.video, len(track.video.names)
    # A wrong length of the video is not a defect of the tracks that agree with it.
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
    filled = masks + [None] * (length - len(masks))
    visible = [not is_absent(mask) for mask in filled]
    known = [other for other in others if other is not None and len(other) == length]
    return filled if visible in [[bool(entry) for entry in other] for other in known] else None
