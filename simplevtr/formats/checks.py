"""The outline of an annotation file in YouTube-VIS format: an object with lists."""

from __future__ import annotations

import reprlib
from typing import Any


def check_outline(content: Any, source: str, *, empty: bool = False) -> None:
    """Refuse what is no annotation file at all; the entries of its lists are not looked at.

    Args:
        content: what the JSON file holds. ``annotations`` may be null or missing.
        source: the file, for messages.
        empty: whether ``videos`` and ``categories`` may have no entry.

    Raises:
        ValueError: it is no object with these lists.
    """
    if not isinstance(content, dict):
        raise ValueError(
            f"{source}: holds a {type(content).__name__}; an object with 'videos', 'categories' "
            "and 'annotations' is needed"
        )
    if _holds_frames_as_images(content):
        raise ValueError(
            f"{source}: is a COCO file whose images are frames of videos; to make a YouTube-VIS "
            "file of it: python tools/import_dataset.py coco-tracks FILE --output NEW.json"
        )
    for key in ("videos", "categories"):
        if not isinstance(content.get(key), list):
            hint = "; is it a COCO file of single images?" if "images" in content else ""
            found = reprlib.repr([*content])
            raise ValueError(f"{source}: has no list {key!r}, only {found}{hint}")
        if not content[key] and not empty:
            raise ValueError(f"{source}: is empty, {key!r} has no entry")
    if not isinstance(content.get("annotations"), list | None):
        kind = type(content["annotations"]).__name__
        raise ValueError(f"{source}: 'annotations' is a {kind}; a list, null or nothing is allowed")


def _holds_frames_as_images(content: dict[str, Any]) -> bool:
    """Whether it is a file as MMTracking's CocoVID, whose videos are told by its images."""
    images, videos = (
        [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
        for value in (content.get("images"), content.get("videos"))
    )
    return any("video_id" in image for image in images) and not any(
        "file_names" in video for video in videos
    )
