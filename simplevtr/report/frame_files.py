"""Frames of a data set as small JPEG files."""

from __future__ import annotations

import os
from pathlib import Path

from simplevtr.formats.images import UNREADABLE, open_image
from simplevtr.formats.paths import below
from simplevtr.formats.ytvis import Video

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
        ValueError: it is no image, or has another size than the video.
    """
    if not source.is_file():
        raise FileNotFoundError(f"frame {source} does not exist")
    expected = (video.width, video.height)
    try:
        with open_image(source) as file:
            size = file.size
            if size == expected:
                file.thumbnail((most_width, file.height))  # reads a large JPEG at a reduced size
                picture = file.convert("RGB")
    except UNREADABLE as error:
        raise ValueError(f"frame {source} cannot be read as an image: {error}") from error
    if size != expected:
        raise ValueError(
            f"frame {source} has {size[1]}x{size[0]} pixels (height x width), "
            f"but its annotation file says {expected[1]}x{expected[0]}"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    picture.save(target, "JPEG", quality=_QUALITY)
