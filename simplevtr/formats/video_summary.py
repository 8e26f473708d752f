"""What splitting and counting need to know of each video of an annotation file, and no more.

Nothing here looks at frames or decodes masks, and nothing needs torch or detectron2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from simplevtr.formats.checks import check_outline


@dataclass(frozen=True)
class VideoSummary:
    """One video.

    Attributes:
        name: the folder of its frames; where that is empty or several videos share it, the file
            name of its first frame. No two videos of a file have the same name.
        length: frames.
        categories: ids of the categories that its instances have.
        instances: annotated instances (tracks).
        most_in_frame: the most instances that one of its frames shows.
    """

    name: str
    length: int
    categories: frozenset[int] = frozenset()
    instances: int = 0
    most_in_frame: int = 0


def summarize_videos(content: Any, source: str) -> list[VideoSummary]:
    """The videos of an annotation file, in its order.

    Args:
        content: what the JSON file holds. ``annotations`` may be null or missing.
        source: the file, for messages.

    Raises:
        ValueError: if the content is not what the format asks for; the message says where.
    """
    names = category_names(content, source)
    videos = _videos(content, source)
    categories: dict[int, set[int]] = {video_id: set() for video_id in videos}
    shown: dict[int, list[int]] = {key: [0] * len(files) for key, files in videos.items()}
    instances: Counter[int] = Counter()
    for video_id, category_id, segmentations in _tracks(content, videos, names, source):
        categories[video_id].add(category_id)
        instances[video_id] += 1
        for frame, segmentation in enumerate(segmentations):
            if segmentation:  # null, and an empty list of polygons, mean absence
                shown[video_id][frame] += 1
    return [
        VideoSummary(
            name=name,
            length=len(videos[video_id]),
            categories=frozenset(categories[video_id]),
            instances=instances[video_id],
            most_in_frame=max(shown[video_id]),
        )
        for video_id, name in zip(videos, _video_names([*videos.values()], source), strict=True)
    ]


def category_names(content: Any, source: str) -> dict[int, str]:
    """Names by category id, in the order of the file; ValueError as for the videos."""
    check_outline(content, source)
    names: dict[int, str] = {}
    for index, category in enumerate(content["categories"]):
        where = f"{source}: categories[{index}]"
        category_id = _new_id(category, names, where)
        names[category_id] = _text(category.get("name"), f"{where}: name")
    return names


def has_annotations(content: dict[str, Any]) -> bool:
    """Whether there are annotations, be it an empty list; null and a missing key mean none."""
    return content.get("annotations") is not None


def _new_id(entry: Any, known: Any, where: str) -> int:
    if not isinstance(entry, dict):
        raise ValueError(f"{where}: must be an object, got {type(entry).__name__}")
    number = _integer(entry.get("id"), f"{where}: id")
    if number in known:
        raise ValueError(f"{where}: id {number} is used already")
    return number


def _integer(value: Any, where: str) -> int:
    if type(value) is not int:  # a bool is none
        raise ValueError(f"{where} must be an integer, got {_short(value)}")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{where} must be text, got {_short(value)}")
    return value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _videos(content: dict[str, Any], source: str) -> dict[int, list[str]]:
    """File names by video id."""
    videos: dict[int, list[str]] = {}
    for index, video in enumerate(content["videos"]):
        where = f"{source}: videos[{index}]"
        video_id = _new_id(video, videos, where)
        files = video.get("file_names")
        if not isinstance(files, list) or not files:
            raise ValueError(f"{where}: file_names must be a list with an entry a frame")
        for file in files:
            _text(file, f"{where}: each of file_names")
        if video.get("length", len(files)) != len(files):
            raise ValueError(
                f"{where}: {len(files)} file_names, but length {_short(video['length'])}"
            )
        videos[video_id] = files
    return videos


def _tracks(
    content: dict[str, Any], videos: dict[int, list[str]], names: dict[int, str], source: str
) -> list[tuple[int, int, list[Any]]]:
    """(video id, category id, segmentations) of each annotation."""
    if not has_annotations(content):
        return []
    tracks, seen = [], set()
    for index, annotation in enumerate(content["annotations"]):
        where = f"{source}: annotations[{index}]"
        seen.add(_new_id(annotation, seen, where))
        video_id = _integer(annotation.get("video_id"), f"{where}: video_id")
        category_id = _integer(annotation.get("category_id"), f"{where}: category_id")
        if video_id not in videos:
            raise ValueError(f"{where}: unknown video_id {video_id}")
        if category_id not in names:
            raise ValueError(f"{where}: unknown category_id {category_id}")
        segmentations, frames = annotation.get("segmentations"), len(videos[video_id])
        if not isinstance(segmentations, list) or len(segmentations) != frames:
            raise ValueError(
                f"{where}: segmentations must be a list with one entry for each of the {frames} "
                f"frames of video {video_id}, null where the instance is not visible"
            )
        tracks.append((video_id, category_id, segmentations))
    return tracks


def _video_names(videos: Sequence[list[str]], source: str) -> list[str]:
    firsts = [files[0].replace("\\", "/") for files in videos]
    folders = [first.rpartition("/")[0] for first in firsts]
    shared = Counter(folders)
    names = [
        folder if folder and shared[folder] == 1 else first
        for folder, first in zip(folders, firsts, strict=True)
    ]
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise ValueError(f"{source}: {count} videos start with the same frame, {name}")
    return names
