"""Examines the list of annotations: everything but the masks themselves."""

from itertools import count
from typing import Any

from simplevtr.formats import checks
from simplevtr.formats.ytvis import is_absent
from simplevtr.toolbox.doctor.findings import Findings
from simplevtr.toolbox.doctor.videos import Categories, Track, Video, examine_use, objects

TO_COMPUTE = object()  # in the place of a box or an area that is computed from the mask
_LISTS = ("segmentations", "bboxes", "areas")
_KNOWN = ("id", "video_id", "category_id", "iscrowd", *_LISTS)
_DROPPED = "annotations that cannot be used were dropped"
_WAY_OUT = (
    "nothing of it is trained on or scored; if they are objects, import again with --crowds, or "
    "write iscrowd 0 with --fix OUT --crowds"
)


def examine_annotations(
    values: list[Any], videos: dict[int, Video | None], categories: Categories, findings: Findings
) -> None:
    """Count what is wrong with ids and crowds, and give the videos their tracks, without lists."""
    owners: dict[int, Any] = {}
    used: set[int] = set()
    tracks: list[Track] = []
    for entry, found in objects(values, "annotations", findings):
        track_id = found.read(checks.integer, entry, "id")
        if track_id is not None:
            found = found.at(annotation=track_id)
            if track_id not in owners:
                owners[track_id] = entry
            elif entry == owners[track_id]:
                detail = f"id {track_id} is a copy of an earlier annotation"
                found.add("duplicate-annotation", detail, "copies of annotations were dropped")
                continue
            else:
                found.add("duplicate-annotation", f"id {track_id} is that of another annotation")
                track_id = None
        video = _meant("video", videos, entry, found)
        category = _meant("category", categories, entry, found)
        repair = "iscrowd that is neither 0 nor 1 became 0"
        iscrowd = found.read(checks.flag, entry, "iscrowd", repair)
        if category is not None:
            used.add(category["id"])
        if video is None or category is None:
            found.repaired(_DROPPED)
            continue
        own = {"id": track_id, "video_id": video.id, "category_id": category["id"]}
        if "iscrowd" in entry:
            own["iscrowd"] = int(iscrowd or 0)
        tracks.append(Track(entry, own, video, found.at(video=video.id)))
    free = (i for i in count(1) if i not in owners)
    for track in tracks:
        if track.entry["id"] is None:
            track.entry["id"] = next(free)
            findings.repaired("annotations got a new id")
        track.video.tracks.append(track)
    examine_use(categories, used, findings)
    _examine_crowds(tracks, categories, findings)


def _meant(kind: str, known: dict[int, Any], entry: dict[str, Any], found: Findings) -> Any:
    """The video or category of an annotation, None if it is not known or cannot be used."""
    own_id = found.read(checks.integer, entry, f"{kind}_id")
    if own_id is not None and own_id not in known:
        found.add(f"unknown-{kind}", f"there is no {kind} {own_id}")
    return known.get(own_id)


def _examine_crowds(tracks: list[Track], categories: dict[int, Any], findings: Findings) -> None:
    """Count crowds, and what consists of them alone: the file, else categories and videos."""
    crowds = [track for track in tracks if track.entry.get("iscrowd")]
    kinds = ("category", "video") if len(crowds) < len(tracks) else ("file",)
    groups: dict[tuple[str, Any], list[Track]] = {}
    for track in tracks if crowds else ():
        for kind in kinds:
            groups.setdefault((kind, track.entry.get(f"{kind}_id")), []).append(track)
    counted: set[Track] = set()
    for (kind, key), group in groups.items():
        if all(track.entry.get("iscrowd") for track in group):
            name = f" {checks.shown(categories[key]['name'])}" if kind == "category" else ""
            found = findings if kind == "file" else findings.at(**{kind: key})
            detail = f"all {len(group):,} annotations of the {kind}{name} are crowds: {_WAY_OUT}"
            found.add("all-crowds", detail)
            counted.update(group)
    for track in crowds:
        if track not in counted:
            track.found.add("crowd", "iscrowd is 1; YouTube-VIS and OVIS have no crowds")


def load_lists(video: Video, *, crowds: bool) -> None:
    """Give the tracks of a video their lists, and make lists and length fit where it is clear how.

    Tracks whose masks cannot be assigned to frames are taken out; with ``crowds``, crowds become
    objects.
    """
    tracks, video.tracks = video.tracks, []
    for track in tracks:
        entry, found = track.raw, track.found
        track.entry |= found.other_values(entry, _KNOWN)
        for key in _LISTS:
            needed = key == "segmentations"
            if needed or entry.get(key) is not None:
                repair = _DROPPED if needed else f"{key} that are not lists were dropped"
                values = found.read(checks.items, entry, key, repair)
                if values is not None:
                    track.entry[key] = [*values]
        if "segmentations" not in track.entry:
            continue
        if crowds and track.entry.get("iscrowd"):
            track.entry["iscrowd"] = 0
            found.repaired("crowds became objects")
        if _fit_lists(track):
            video.tracks.append(track)
    length = len(video.names)
    if video.stated_length in (None, length):
        return
    if all(len(track.entry["segmentations"]) == length for track in video.tracks):
        video.found.repaired("lengths of videos were counted")
    else:
        video.dropped = True
        video.found.repaired("videos whose length is unclear were dropped")


def _fit_lists(track: Track) -> bool:
    """Make a track's lists as long as its masks; return whether these can be assigned to frames."""
    entry, found, length = track.entry, track.found, len(track.video.names)
    # A wrong length of the video is not a defect of the tracks that agree with it.
    stated = track.video.stated_length
    allowed = {length, length if stated is None else stated}
    for key in _LISTS:
        if key in entry and len(entry[key]) not in allowed:
            detail = f"there are {len(entry[key])} {key}, but the video has {length} frames"
            found.add("list-length", detail)
    masks = entry["segmentations"]
    if len(masks) not in allowed:
        seen = [not is_absent(mask) for mask in masks] + [False] * (length - len(masks))
        others = [entry.get(key) or [] for key in ("bboxes", "areas")]
        # Masks beyond the frames may be cut off if they are null; if some are missing, boxes or
        # areas must say that the object is not visible there.
        fits = len(masks) > length or seen in [[*map(bool, o)] for o in others if len(o) == length]
        if not fits or any(seen[length:]):
            found.repaired("annotations whose masks cannot be assigned to frames were dropped")
            return False
        entry["segmentations"] = masks = (masks + [None] * length)[:length]
        found.repaired("lists of masks were cut or filled up with null")
    for key in ("bboxes", "areas"):
        if key in entry and len(entry[key]) != len(masks):
            entry[key] = [TO_COMPUTE] * len(masks)
            found.repaired(f"lists of {key} of a wrong length were computed")
    return True
