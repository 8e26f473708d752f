"""Examines the list of annotations: everything but the masks themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass
class _Head:
    """What an annotation says about itself, without its lists; as ``Track``."""

    index: int
    id: int | None
    place: Place
    video_id: int
    category_id: int
    iscrowd: int | None


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
        self._heads: dict[int, list[_Head]] = {}
        heads = [self._head(index, json_value(entry)) for index, entry in enumerate(self._entries)]
        free = (i for i in count(1) if i not in self._owners)
        for head in filter(None, heads):
            if head.id is None:
                head.id = next(free)
                findings.repaired("annotations got a new id")
            self._heads.setdefault(head.video_id, []).append(head)
        if entries is not None:
            examine_use(categories, self._used, findings)
        _examine_crowds([head for head in heads if head is not None], categories, findings)

    def of(self, video: Video, *, crowds: bool) -> list[Track]:
        """The tracks of a video, once: what is wrong with their lists is counted and repaired.

        Args:
            video: the video.
            crowds: whether crowds become objects.
        """
        tracks = []
        for head in self._heads.pop(video.id, ()):
            entry = json_value(self._entries[head.index])
            lists = self._lists(entry, head.place)
            values = other_values(entry, _KNOWN, self._findings, head.place)
            if lists is None:
                self._findings.repaired(_DROPPED)
                continue
            if crowds and head.iscrowd:
                head.iscrowd = 0
                self._findings.repaired("crowds became objects")
            track = Track(
                id=head.id,
                video=video,
                place=head.place,
                category_id=head.category_id,
                iscrowd=head.iscrowd,
                values=values,
                **lists,
            )
            _fit_lists(track, self._findings)
            tracks.append(track)
        return tracks

    def _head(self, index: int, entry: Any) -> _Head | None:
        """None if the annotation cannot be used."""
        place, findings = Place(entry=f"annotations[{index}]"), self._findings
        if not isinstance(entry, dict):
            findings.add("wrong-type", place, f"{shown(entry)} is not an object")
            findings.repaired(_DROPPED)
            return None
        track_id = checked(checks.integer, entry, "id", findings, place)
        if track_id is not None:
            place = place.but(annotation=track_id)
            owner = self._owners.setdefault(track_id, index)
            if owner != index:
                copy = _same(entry, json_value(self._entries[owner]))
                what = "a copy of an earlier annotation" if copy else "that of another annotation"
                findings.add("duplicate-annotation", place, f"id {track_id} is {what}")
                if copy:
                    findings.repaired("copies of annotations were dropped")
                    return None
                track_id = None
        video_id = checked(checks.integer, entry, "video_id", findings, place)
        known = video_id in self._videos.usable
        if not known and video_id is not None and video_id not in self._videos.unusable:
            findings.add("unknown-video", place, f"there is no video {video_id}")
        category_id = checked(checks.integer, entry, "category_id", findings, place)
        alias = self._categories.alias.get(category_id)
        if alias is None and category_id is not None:
            findings.add("unknown-category", place, f"there is no category {category_id}")
        self._used.add(alias)
        iscrowd = checked(checks.flag, entry, "iscrowd", findings, place)
        findings.repaired("iscrowd that is neither 0 nor 1 became 0", iscrowd is None)
        if not known or alias is None:
            findings.repaired(_DROPPED)
            return None
        stated = int(iscrowd or 0) if "iscrowd" in entry else None
        return _Head(index, track_id, place.but(video=video_id), video_id, alias, stated)

    def _lists(self, entry: dict[str, Any], place: Place) -> dict[str, list[Any] | None] | None:
        """Copies of the lists by their keys; None if there are no segmentations."""
        lists: dict[str, list[Any] | None] = {}
        for key in _LISTS:
            value = entry.get(key)
            needed = key == "segmentations"
            lists[key] = list(value) if isinstance(value, list) else None
            if lists[key] is None and needed and key not in entry:
                self._findings.add("missing-key", place, "segmentations is missing")
            elif lists[key] is None and (needed or value is not None):
                self._findings.add("wrong-type", place, f"{key} is {shown(value)}, not a list")
                self._findings.repaired(f"{key} that are not lists were dropped", not needed)
        return None if lists["segmentations"] is None else lists


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


def _examine_crowds(heads: list[_Head], categories: Categories, findings: Findings) -> None:
    """Count crowds, and what consists of them alone: the file, else categories and videos."""
    crowds = [head for head in heads if head.iscrowd]
    way_out = (
        "nothing of it is trained on or scored; if they are objects, import again with --crowds, "
        "or write iscrowd 0 with --fix OUT --crowds"
    )
    if crowds and len(crowds) == len(heads):
        detail = f"all {len(heads):,} annotations of the file are crowds: {way_out}"
        findings.add("all-crowds", Place(), detail)
        return
    told: set[int] = set()
    for kind in ("category", "video"):
        groups: dict[int, list[_Head]] = {}
        for head in heads if crowds else ():
            groups.setdefault(getattr(head, f"{kind}_id"), []).append(head)
        for key, group in groups.items():
            if all(head.iscrowd for head in group):
                name = f" {shown(categories.entries[key]['name'])}" if kind == "category" else ""
                detail = f"all {len(group):,} annotations of the {kind}{name} are crowds: {way_out}"
                findings.add("all-crowds", Place(**{kind: key}), detail)
                told.update(head.index for head in group)
    for head in crowds:
        if head.index not in told:
            findings.add("crowd", head.place, "iscrowd is 1; YouTube-VIS and OVIS have no crowds")


def _same(first: Any, second: Any) -> bool:
    """Whether two values of the file are equal; False if they are nested too deeply to tell."""
    try:
        return first == second
    except RecursionError:
        return False


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
    filled = masks + [None] * (length - len(masks))
    visible = [not is_absent(mask) for mask in filled]
    known = [other for other in others if other is not None and len(other) == length]
    return filled if visible in [[bool(entry) for entry in other] for other in known] else None
