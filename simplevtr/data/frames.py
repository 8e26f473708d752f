"""Reading one frame of a video from an image file."""

from __future__ import annotations

import os

import numpy as np
from PIL import Image

# What Pillow raises on files that are no images, are cut short, broken, or unreasonably large.
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


def read_frame(
    path: str | os.PathLike[str], expected_size: tuple[int, int] | None = None
) -> np.ndarray:
    """Read an image file as RGB.

    EXIF orientation is ignored: masks and sizes of an annotation file refer to the pixels as they
    are stored, and a turned frame would no longer lie under its masks.

    Args:
        path: the image file.
        expected_size: (height, width) in pixels that the annotation file gives, or None to accept
            any.

    Returns:
        (H, W, 3) uint8 RGB, writable.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no complete image, or has another size than expected.
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"frame {path} does not exist")
    try:
        with Image.open(path) as file:
            image = np.array(file.convert("RGB"))
    except _UNREADABLE as error:
        raise ValueError(f"frame {path} cannot be read as an image: {error}") from error
    if expected_size is not None and image.shape[:2] != tuple(expected_size):
        found, wanted = image.shape[:2], tuple(expected_size)
        raise ValueError(
            f"frame {path} has {found[0]}x{found[1]} pixels (height x width), "
            f"but its annotation file says {wanted[0]}x{wanted[1]}"
        )
    return image
