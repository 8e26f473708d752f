"""Examines the list of annotations: everything but the masks themselves."""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from simplevtr.data.doctor.findings import Findings, shown
from simplevtr.data.doctor.videos import Track, Video, examine_use
from simplevtr.formats import checks
from simplevtr.formats.files import json_value

_LISTS = ("segmentations", "bboxes", "areas")
_KNOWN = ("id", "video_id", "category_id", "iscrowd", *_LISTS)
_DROPPED = "annotations that cannot be used were dropped"
_WAY_OUT = (
    "nothing of it is trained on or scored; if they are objects, import again with --crowds, or "
    "write iscrowd 0 with --fix OUT --crowds"
)


def examine_annotations(
    values: Sequence[Any],
    videos: dict[int, Video | None],
    categories: dict[int, dict[str, Any]],
    findings: Findings,
) -> None:
    """Count what is wrong with ids and crowds, and give the videos their tracks, without lists.

    Items of the file's list ``values`` may be undecoded, see ``read_json``.
    """
    owners: dict[int, Any] = {}
    used: set[int] = set()
    tracks: list[Track] = []
    for index, raw in enumerate(values):
        entry, found = json_value(raw), findings.at(entry=f"annotations[{index}]")
        if not isinstance(entry, dict):
            found.add("wrong-type", f"{shown(entry)} is not an object", _DROPPED)
            continue
        track_id = found.checked(checks.integer, entry, "id")
        if track_id is not None:
            found = found.at(annotation=track_id)
            if track_id in owners:
                if _is_copy(entry, owners[track_id], found):
                    continue
                track_id = None
            else:
                owners[track_id] = raw
        video = _meant(entry, "video", videos, found)
        category = _meant(entry, "category", categories, found)
        iscrowd = found.checked(checks.flag, entry, "iscrowd")
        found.repaired("iscrowd that is neither 0 nor 1 became 0", iscrowd is None)
        if category is not None:
            used.add(category["id"])
        if video is None or category is None:
            found.repaired(_DROPPED)
            continue
        ids = {"id": track_id, "video_id": video.id, "category_id": category["id"]}
        stated = {"iscrowd": int(iscrowd or 0)} if "iscrowd" in entry else {}
        tracks.append(Track(raw, {**ids, **stated}, video, found.at(video=video.id)))
    free = (i for i in count(1) if i not in owners)
    for track in tracks:
        if track.entry["id"] is None:
            track.entry["id"] = next(free)
            findings.repaired("annotations got a new id")
        track.video.tracks.append(track)
    examine_use([entry for key, entry in categories.items() if key == entry["id"]], used, findings)
    _examine_crowds(tracks, categories, findings)


def _is_copy(entry: dict[str, Any], first: Any, found: Findings) -> bool:
    """Whether an annotation with the id of an earlier one is a copy of it; either is counted."""
    try:
        is_copy = entry == json_value(first)
    except RecursionError:
        is_copy = False
    what = "a copy of an earlier annotation" if is_copy else "that of another annotation"
    repair = "copies of annotations were dropped" if is_copy else ""
    found.add("duplicate-annotation", f"id {entry['id']} is {what}", repair)
    return is_copy


def _meant(entry: dict[str, Any], kind: str, known: Mapping[int, Any], found: Findings) -> Any:
    """The video or category that an annotation is of; None if it cannot be used."""
    own_id = found.checked(checks.integer, entry, f"{kind}_id")
    if own_id is not None and own_id not in known:
        found.add(f"unknown-{kind}", f"there is no {kind} {own_id}")
    return known.get(own_id)


def _examine_crowds(
    tracks: list[Track], categories: dict[int, dict[str, Any]], findings: Findings
) -> None:
    """Count crowds, and what consists of them alone: the file, else categories and videos."""
    crowds = [track for track in tracks if track.entry.get("iscrowd")]
    groups: dict[tuple[str, int], list[Track]] = {}
    if crowds and len(crowds) == len(tracks):
        groups["file", 0] = tracks
    elif crowds:
        for track in tracks:
            for kind in ("category", "video"):
                groups.setdefault((kind, track.entry[f"{kind}_id"]), []).append(track)
    told: set[Track] = set()
    for (kind, key), group in groups.items():
        if all(track.entry.get("iscrowd") for track in group):
            name = f" {shown(categories[key]['name'])}" if kind == "category" else ""
            found = findings if kind == "file" else findings.at(**{kind: key})
            detail = f"all {len(group):,} annotations of the {kind}{name} are crowds: {_WAY_OUT}"
            found.add("all-crowds", detail)
            told.update(group)
    for track in crowds:
        if track not in told:
            track.found.add("crowd", "iscrowd is 1; YouTube-VIS and OVIS have no crowds")


def load_lists(video: Video, *, crowds: bool) -> None:
    """Give the tracks of a video their lists, and make lists and length fit where it is clear how.

    Tracks that have no list of masks are taken out; with ``crowds``, crowds become objects.
    """
    video.tracks = [track for track in video.tracks if _load(track)]
    for track in video.tracks:
        if crowds and track.entry.get("iscrowd"):
            track.entry["iscrowd"] = 0
            track.found.repaired("crowds became objects")
        _fit_lists(track)
    length = len(video.names)
    if video.stated_length in (None, length):
        return
    if all(len(t.entry["segmentations"]) == length for t in video.tracks if not t.dropped):
        video.found.repaired("lengths of videos were counted")
    else:
        video.dropped = True
        video.found.repaired("videos were dropped whose length is unclear")


def _load(track: Track) -> bool:
    """Give a track copies of its lists; False if there are no segmentations."""
    entry, found = json_value(track.raw), track.found
    track.entry.update(found.other_values(entry, _KNOWN))
    for key in _LISTS:
        needed = key == "segmentations"
        if needed or entry.get(key) is not None:
            repair = _DROPPED if needed else f"{key} that are not lists were dropped"
            values = found.list_in(entry, key, repair)
            if values is not None:
                track.entry[key] = values
    return "segmentations" in track.entry


def _fit_lists(track: Track) -> None:
    entry, found, video = track.entry, track.found, track.video
    length = len(video.names)
    # A wrong length of the video is not a defect of the tracks that agree with it.
    allowed = {length, length if video.stated_length is None else video.stated_length}
    for key in _LISTS:
        if key in entry and len(entry[key]) not in allowed:
            detail = f"there are {len(entry[key])} {key}, but the video has {length} frames"
            found.add("list-length", detail)
    masks = entry["segmentations"]
    if len(masks) not in allowed:
        fitted = _fitted(masks, length, [entry.get("bboxes"), entry.get("areas")])
        if fitted is None:
            track.dropped = True
            found.repaired("annotations were dropped whose masks cannot be told to frames")
            return
        entry["segmentations"] = masks = fitted
        found.repaired("lists of masks were cut or filled up with null")
    for key in ("bboxes", "areas"):
        if key in entry and len(entry[key]) != len(masks):
            entry[key] = [None] * len(masks)
            track.computed.add(key)
            found.repaired(f"lists of {key} of a wrong length were computed")


def _fitted(masks: list[Any], length: int, others: list[list[Any] | None]) -> list | None:
    """Masks cut or filled up to a length, or None if it is unclear which frames they belong to."""
    if len(masks) > length:
        return masks[:length] if all(map(is_absent, masks[length:])) else None
    filled = masks + [None] * (length - len(masks))
    visible = [not is_absent(mask) for mask in filled]
    known = [other for other in others if other is not None and len(other) == length]
    return filled if visible in [[bool(entry) for entry in other] for other in known] else None


def is_absent(segmentation: Any) -> bool:
    """Whether a segmentation says that the instance is not visible: null, or no polygons."""
    return segmentation is None or segmentation == []
