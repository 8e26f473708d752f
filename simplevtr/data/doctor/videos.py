"""Examines the list of videos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from simplevtr.data.doctor.findings import Findings, Place, shown
from simplevtr.data.doctor.records import Video
from simplevtr.data.doctor.values import checked, other_values
from simplevtr.formats import checks
from simplevtr.formats.paths import leads_out, natural_key, relative

MOST_PIXELS = 65535  # height and width; what a JPEG can have
_MOST_VIDEO_PIXELS = 2**32 - 1  # pycocotools holds run lengths of a whole track in 32 bits
_KNOWN = ("id", "height", "width", "length", "file_names")


@dataclass(frozen=True)
class Videos:
    """The videos of a file.

    Attributes:
        usable: by id, in the order of the file.
        unusable: ids of videos whose entries cannot be used.
    """

    usable: dict[int, Video]
    unusable: set[int]


def examine_videos(entries: list[Any], findings: Findings) -> Videos:
    """Count what is wrong with the videos of a file and give those that can be used."""
    if not entries:
        findings.add("nothing-left", Place(), "the list of videos is empty")
    videos = Videos({}, set())
    for index, entry in enumerate(entries):
        place = Place(entry=f"videos[{index}]")
        video_id = None
        if isinstance(entry, dict):
            video_id = checked(checks.integer, entry, "id", findings, place)
        else:
            findings.add("wrong-type", place, f"{shown(entry)} is not an object")
        if video_id in videos.usable or video_id in videos.unusable:
            place = place.but(video=video_id)
            detail = f"id {video_id} is that of another video"
            repair = "videos with the id of another one were dropped"
            findings.add("duplicate-video", place, detail, repair)
            continue
        video = None
        if video_id is not None:
            video = _video(entry, video_id, findings, place.but(video=video_id))
        if video is not None:
            videos.usable[video_id] = video
        else:
            findings.repaired("videos that cannot be used were dropped")
            videos.unusable.update([video_id] if video_id is not None else [])
    _examine_sharing(videos.usable, findings)
    return videos


def _video(entry: dict[str, Any], video_id: int, findings: Findings, place: Place) -> Video | None:
    values = other_values(entry, _KNOWN, findings, place)
    height, width = (_side(entry, key, findings, place) for key in ("height", "width"))
    length = None
    if "length" in entry:  # all readers count the file names where there is none
        length = checked(checks.integer, entry, "length", findings, place)
        findings.repaired("lengths of videos were counted", length is None)
    names = entry.get("file_names")
    if "file_names" not in entry:
        findings.add("missing-key", place, "file_names is missing")
    elif not isinstance(names, list):
        findings.add("wrong-type", place, f"file_names is {shown(names)}, not a list")
    if height is None or width is None or not isinstance(names, list):
        return None
    if not names:
        findings.add("empty-video", place, "file_names is empty")
        return None
    video = Video(video_id, values, [], height, width, length)
    for frame, name in enumerate(names):
        try:
            relative(name, "the image root")
            video.names.append(name)
        except ValueError as error:
            defect = "outside-root" if isinstance(name, str) and leads_out(name) else "wrong-type"
            repair = "frames without a usable file name were taken out"
            findings.add(defect, place.but(frame=frame), str(error), repair)
            video.names.append(None)
            video.lost.add(frame)
    _examine_frames(video, findings)
    return video


def _side(entry: dict[str, Any], key: str, findings: Findings, place: Place) -> int | None:
    side = checked(checks.integer, entry, key, findings, place, least=1)
    if side is None or side <= MOST_PIXELS:
        return side
    findings.add("impossible-number", place, f"{key} is {side}, not at most {MOST_PIXELS}")
    return None


def _examine_frames(video: Video, findings: Findings) -> None:
    """The number of frames, and the order of their names."""
    length, names = len(video.names), video.file_names()
    if video.stated_length not in (None, length):
        detail = f"length is {shown(video.stated_length)}, but there are {length} file_names"
        findings.add("length-mismatch", video.place, detail)
    if length == 1:
        findings.add("single-frame", video.place, "there is one frame")
    pixels = video.height * video.width * length
    if pixels > _MOST_VIDEO_PIXELS:
        detail = f"its frames have {pixels} pixels; a track can have {_MOST_VIDEO_PIXELS}"
        findings.add("too-large", video.place, detail)
    keys = [natural_key(name)[0] for name in names]
    for frame in range(1, len(keys)):
        if keys[frame] < keys[frame - 1]:
            place = video.place.but(file=names[frame])
            findings.add("unsorted-frames", place, f"comes after {shown(names[frame - 1])}")
            break


def _examine_sharing(videos: dict[int, Video], findings: Findings) -> None:
    """Files that are frames of two videos, or twice of one."""
    owner: dict[str, int] = {}
    for video in videos.values():
        told = set()  # one case for each pair of videos
        seen: set[str] = set()
        repeated = None
        for name in video.file_names():
            if name in seen:
                repeated = repeated or name
            seen.add(name)
            first = owner.setdefault(name, video.id)
            if first != video.id and first not in told:
                told.add(first)
                detail = f"is a frame of video {first} too"
                findings.add("shared-frame", video.place.but(file=name), detail)
        if repeated is not None:
            place = video.place.but(file=repeated)
            findings.add("repeated-frame", place, "is a frame of its video more than once")
