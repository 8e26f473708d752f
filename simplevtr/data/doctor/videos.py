"""Examines the list of videos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from simplevtr.data.doctor.findings import Findings, Place, shown
from simplevtr.data.doctor.records import Video
from simplevtr.data.doctor.values import integer, other_values
from simplevtr.formats.paths import leads_out, natural_key

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
    videos = Videos({}, set())
    for index, entry in enumerate(entries):
        place = Place(entry=f"videos[{index}]")
        if not isinstance(entry, dict):
            findings.add("wrong-type", place, f"{shown(entry)} is no object")
            findings.repaired("videos that cannot be used were dropped")
            continue
        video_id = integer(entry, "id", findings, place)
        if video_id is None:
            findings.repaired("videos that cannot be used were dropped")
            continue
        place = place.but(video=video_id)
        if video_id in videos.usable or video_id in videos.unusable:
            findings.add("duplicate-video", place, f"id {video_id} is that of another video")
            findings.repaired("videos with the id of another one were dropped")
            continue
        video = _video(entry, video_id, findings, place)
        if video is None:
            findings.repaired("videos that cannot be used were dropped")
            videos.unusable.add(video_id)
        else:
            videos.usable[video_id] = video
    _examine_sharing(videos.usable, findings)
    return videos


def _video(entry: dict[str, Any], video_id: int, findings: Findings, place: Place) -> Video | None:
    values = other_values(entry, _KNOWN, findings, place)
    height = integer(entry, "height", findings, place, least=1, most=MOST_PIXELS)
    width = integer(entry, "width", findings, place, least=1, most=MOST_PIXELS)
    length = integer(entry, "length", findings, place)
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
        if isinstance(name, str) and name:
            video.names.append(name)
        else:
            detail = f"the file name is {shown(name)}, not text"
            findings.add("wrong-type", place.but(frame=frame), detail)
            video.names.append(None)
            video.lost.add(frame)
    findings.repaired("frames without a file name were taken out", len(video.lost))
    _examine_frames(video, findings)
    if length is None:
        findings.repaired("lengths of videos were counted")
    return video


def _examine_frames(video: Video, findings: Findings) -> None:
    """The number of frames, and the order and kind of their names."""
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
    keys = [natural_key(name) for name in names]
    for frame in range(1, len(keys)):
        if keys[frame] < keys[frame - 1]:
            place = video.place.but(file=names[frame])
            findings.add("unsorted-frames", place, f"comes after {shown(names[frame - 1])}")
            break
    for frame, name in enumerate(video.names):
        if name is not None and leads_out(name):
            place = video.place.but(frame=frame, file=name)
            findings.add("outside-root", place, "the name leads out of the image root")


def _examine_sharing(videos: dict[int, Video], findings: Findings) -> None:
    """Files that are frames of two videos, or twice of one."""
    owner: dict[str, int] = {}
    for video in videos.values():
        told = set()  # one case a pair of videos
        for name in video.file_names():
            first = owner.setdefault(name, video.id)
            if first != video.id and first not in told:
                told.add(first)
                detail = f"is a frame of video {first} too"
                findings.add("shared-frame", video.place.but(file=name), detail)
        if len(set(video.file_names())) < len(video.file_names()):
            seen: set[str] = set()
            repeated = next(n for n in video.file_names() if n in seen or seen.add(n))
            place = video.place.but(file=repeated)
            findings.add("repeated-frame", place, "is a frame of its video more than once")
