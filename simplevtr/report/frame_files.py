"""Frames of a dataset as small JPEG files."""

from __future__ import annotations

import os
from pathlib import Path

from simplevtr.formats.images import read_reduced_frame
from simplevtr.formats.paths import below
from simplevtr.formats.ytvis import Video

from PIL import Image

_QUALITY = 80


def frame_path(images: str | os.PathLike, video: Video, number: int) -> Path:
    """The image file of a frame.

    Raises:
        ValueError: the video has no such file name, or the name leads out of ``images``.
    """
    names = video.file_names
    if names is None:
        raise ValueError(f"video {video.id} has no file_names in its annotation file")
    try:
        return below(images, names[number])
    except ValueError as error:
        raise ValueError(f"video {video.id}, file_names[{number}]: {error}") from error


def write_small_frame(source: Path, target: Path, video: Video, most_width: int) -> None:
    """Write a frame as a JPEG of at most ``most_width`` pixels' width; it is never enlarged.

    Raises:
        FileNotFoundError: there is no such frame.
        ValueError: it is not an image, or has another size than the video.
    """
    reduction = next((r for r in (8, 4, 2) if video.width // r >= most_width), 1)
    pixels, _ = read_reduced_frame(source, (video.height, video.width), reduction=reduction)
    picture = Image.fromarray(pixels)
    picture.thumbnail((most_width, video.height))
    target.parent.mkdir(parents=True, exist_ok=True)
    picture.save(target, "JPEG", quality=_QUALITY)
