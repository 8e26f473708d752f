"""Images as frames: a folder, a pattern or several files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from simplevtr.formats.images import UNREADABLE, open_image
from simplevtr.video_io.frame_source import FrameSource

import numpy as np
from PIL import ImageOps

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


class ImageSource(FrameSource):
    """One frame an image; can be iterated any number of times, and holds one frame at a time."""

    def __init__(self, paths: list[Path], shown: str):
        """Read the first image for its size.

        Args:
            paths: image files, in order.
            shown: what the user wrote.

        Raises:
            ValueError: the first file is not an image.
        """
        self.files = paths
        self.path = shown
        self.length = len(paths)
        self.size = _read_image(paths[0]).shape[:2]
        names = [path.name for path in paths]
        # Images from several folders may share names, which then cannot name output files.
        self.names = names if len(set(names)) == len(names) else None

    def __iter__(self) -> Iterator[np.ndarray]:
        for path in self.files:
            frame = _read_image(path)
            if frame.shape[:2] != self.size:
                (h, w), (first_h, first_w) = frame.shape[:2], self.size
                raise ValueError(
                    f"{path} is {w}x{h} pixels, but the first frame {self.files[0]} is "
                    f"{first_w}x{first_h}; all frames of a video must have one size"
                )
            yield frame


def is_image(path: Path) -> bool:
    """Whether the suffix is one of ``IMAGE_SUFFIXES``."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def _read_image(path: Path) -> np.ndarray:
    try:
        with open_image(path) as image:
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except UNREADABLE as error:
        raise ValueError(
            f"{path}: not a video or image that PyAV/PIL can read ({error})"
        ) from error
