"""Examines whether videos stand in another split as well."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simplevtr.data.doctor.findings import shown_name
from simplevtr.data.doctor.videos import Video
from simplevtr.formats.images import read_frame
from simplevtr.formats.paths import below, existing

import numpy as np
from tqdm import tqdm

_LEAST_CONTRAST = 16  # of 255; a first frame with less shows nothing, as videos that fade in


@dataclass(frozen=True)
class Split:
    """What another split shares its videos by.

    Attributes:
        title: its path.
        image_root: the folder that its file names start at, None if unknown.
        files: its file names.
        folders: the folders in them.
        first_frames: path of a first frame by its content's digest; empty without image root.
    """

    title: str
    image_root: str | None
    files: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    first_frames: dict[bytes, str] = field(default_factory=dict)


def read_split(content: dict[str, Any], title: str, image_root: str | None) -> Split:
    """What is needed of the content of an annotation file; entries that are broken have nothing."""
    split = Split(title, image_root)
    names_of_videos = [
        [name for name in video["file_names"] if isinstance(name, str) and name]
        for video in content["videos"]
        if isinstance(video, dict) and isinstance(video.get("file_names"), list)
    ]
    for names in tqdm(names_of_videos, unit="video", desc="other split", disable=None):
        split.files.update(names)
        split.folders.update(filter(None, map(os.path.dirname, names)))
        if image_root is not None and names:
            path, digest = _first_frame(image_root, names)
            if digest is not None:
                split.first_frames.setdefault(digest, str(path))
    return split


def examine_leaks(videos: Sequence[Video], split: Split, image_root: str | None) -> None:
    """Count the videos that another split has too, and drop those whose images are the same.

    Where the images of both are known, they decide; else names do, which may be equal by chance.
    """
    compare_images = image_root is not None and split.image_root is not None
    for video in tqdm(videos, unit="video", desc="leaks", disable=None):
        names = video.file_names()
        if compare_images and names:
            path, digest = _first_frame(image_root, names)
            other = split.first_frames.get(digest)
            if other is not None and _shows_something(path):
                found, repair = (
                    video.found.at(file=names[0]),
                    "videos of another split were dropped",
                )
                video.dropped |= found.add("leaked-frame", f"is {shown_name(other)} too", repair)
            continue
        shared = [name for name in names if name in split.files]
        folders = [folder for folder in map(os.path.dirname, names) if folder in split.folders]
        if shared:
            detail = f"{len(shared)} of its file names are in {split.title} too"
            video.found.at(file=shared[0]).add("leaked-file", detail)
        elif folders:
            detail = f"a folder of this name is in {split.title} too"
            video.found.at(file=folders[0]).add("leaked-name", detail)


def _first_frame(image_root: str, names: list[str]) -> tuple[Path | None, bytes | None]:
    """The path of a first frame and the digest of its content; without one if it cannot be read."""
    try:
        path = existing(below(image_root, names[0]))
        if not path.is_file():  # pipes and devices could block
            return None, None
        with path.open("rb") as file:
            return path, hashlib.file_digest(file, "blake2b").digest()
    except (ValueError, OSError):  # which is a matter of its own
        return None, None


def _shows_something(path: Path) -> bool:
    try:
        return int(np.ptp(read_frame(path), axis=(0, 1)).max()) >= _LEAST_CONTRAST
    except (ValueError, OSError):
        return False
