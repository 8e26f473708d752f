"""Reading one frame of a video from an image file."""

from __future__ import annotations

import os

from simplevtr.formats.images import UNREADABLE, open_image

import numpy as np
from PIL import Image


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
    return read_reduced_frame(path, expected_size, reduction=1)[0]


def read_reduced_frame(
    path: str | os.PathLike[str],
    expected_size: tuple[int, int] | None = None,
    *,
    reduction: int,
) -> tuple[np.ndarray, int]:
    """Read an image file as RGB, a JPEG at a fraction of its size.

    A JPEG's blocks of 8 x 8 pixels are decoded to smaller blocks, each pixel about the mean of the
    ``reduction`` x ``reduction`` pixels in its place: cheaper than to decode all and resize.

    Args:
        path: the image file.
        expected_size: (height, width) in pixels of the whole image, or None to accept any.
        reduction: 1, 2, 4 or 8.

    Returns:
        The image and the factor by which it is reduced: ``reduction``, or 1 for files that only
        come whole. The image is (ceil(H / factor), ceil(W / factor), 3) uint8 RGB, writable.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no complete image, or has another size than expected.
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"frame {path} does not exist")
    try:
        with open_image(path) as file:
            size = (file.height, file.width)
            if expected_size is None or size == tuple(expected_size):
                return _decode(file, reduction)
    except UNREADABLE as error:
        raise ValueError(f"frame {path} cannot be read as an image: {error}") from error
    wanted = tuple(expected_size)
    raise ValueError(
        f"frame {path} has {size[0]}x{size[1]} pixels (height x width), "
        f"but its annotation file says {wanted[0]}x{wanted[1]}"
    )


def _decode(file: Image.Image, reduction: int) -> tuple[np.ndarray, int]:
    width, height = file.size
    factor = 1
    if file.format == "JPEG" and 1 < reduction <= min(width, height):
        file.draft(None, (width // reduction, height // reduction))
        if file.size == (-(-width // reduction), -(-height // reduction)):
            factor = reduction
    return np.array(file if file.mode == "RGB" else file.convert("RGB")), factor
