"""Sizes of frames and pictures of labels, from image files that may be anybody's."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

from simplevtr.formats.images import UNREADABLE, open_image

import numpy as np

_MOST_PIXELS = 2**26  # of a frame, twice those of 8K; decoded, a picture takes 2 bytes a pixel


def common_size(paths: Sequence[Path]) -> tuple[int, int]:
    """(H, W) in pixels that all these images have; only their headers are read.

    Raises:
        FileNotFoundError: one of them does not exist.
        ValueError: one is no image, is unreasonably large, or has another size than the first.
    """
    first = _frame_size(paths[0])
    for path in paths[1:]:
        size = _frame_size(path)
        if size != first:
            raise ValueError(
                f"{path}: has {size[0]} x {size[1]} pixels (height x width), but {paths[0].name} "
                f"of the same video has {first[0]} x {first[1]}"
            )
    return first


def read_palette_labels(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Read an 8-bit PNG of labels: the palette's index or the grey level is the label.

    Args:
        path: the file.
        size: (H, W) in pixels that it must have.

    Returns:
        (H, W) uint8.

    Raises:
        ValueError: it is no such PNG.
    """
    return _read_png(path, size, ("P", "L", "1"), "a palette or 8-bit grey").astype(np.uint8)


def read_deep_labels(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Read a 16-bit grey PNG of labels; arguments and errors as in :func:`read_palette_labels`.

    Returns:
        (H, W) int32 in [0, 65535].
    """
    picture = _read_png(path, size, ("I;16", "I;16B", "I"), "16-bit grey")
    return picture.astype(np.int32)


def read_embedded_mask(content: bytes, size: tuple[int, int]) -> np.ndarray:
    """The (H, W) bool mask of the bytes of an 8-bit PNG of this size; not 0 is the object.

    Raises:
        ValueError: they are no such PNG.
    """
    return _read_png(io.BytesIO(content), size, ("P", "L", "1"), "8-bit grey") != 0


def _frame_size(path: Path) -> tuple[int, int]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such frame")
    try:
        with open_image(path) as file:
            width, height = file.size
    except UNREADABLE as error:
        raise ValueError(f"{path}: cannot be read as an image: {error}") from error
    if width * height > _MOST_PIXELS:
        raise ValueError(f"{path}: {height} x {width} pixels; at most {_MOST_PIXELS} are allowed")
    return height, width


def _read_png(
    file: Path | io.BytesIO, size: tuple[int, int], modes: tuple[str, ...], kind: str
) -> np.ndarray:
    """The values of a PNG; nothing is decoded before its size and kind are known to be right."""
    name = os.fspath(file) if isinstance(file, Path) else "embedded PNG"
    try:
        with open_image(file, formats=("PNG",)) as image:
            found, mode = (image.height, image.width), image.mode
            if found == tuple(size) and mode in modes:
                return np.array(image)
    except UNREADABLE as error:
        raise ValueError(f"{name}: cannot be read as a PNG: {error}") from error
    if found != tuple(size):
        raise ValueError(
            f"{name}: has {found[0]} x {found[1]} pixels (height x width), expected "
            f"{size[0]} x {size[1]}"
        )
    raise ValueError(f"{name}: is a PNG of mode {mode!r}; {kind} is needed ({', '.join(modes)})")
