"""PNGs whose pixels are labels, from files that may be anybody's."""

from __future__ import annotations

import io
from pathlib import Path

from simplevtr.formats.images import UNREADABLE, open_image

import numpy as np

_MOST_COLOURS = 256  # of a picture of labels; a photograph has more


def read_object_numbers(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Read a PNG in which each object has a number or a colour of its own.

    The number is the palette's index or the grey level. Black and white pictures of one bit have
    the numbers 0 and 255, as they have grey levels. In RGB, grey is its level, and any other colour
    a number above 255 that stands for it.

    Args:
        path: the file.
        size: (H, W) in pixels that it must have.

    Returns:
        (H, W) int32; 0 is the background.

    Raises:
        ValueError: it is not such a PNG; the message names it.
    """
    kinds = ("P", "L", "1", "LA", "RGB", "RGBA")
    picture = _read_png(path, size, kinds, "a palette, 8-bit grey or colours").astype(np.int32)
    if picture.ndim == 2:
        return picture
    if picture.shape[2] in (2, 4):
        if (picture[..., -1] != 255).any():
            raise ValueError(f"{path}: is transparent in places; the background must be black")
        picture = picture[..., :-1]
    level, rest = picture[..., 0], picture[..., 1:]
    if (rest == level[..., None]).all():
        return level
    colours = (1 << 24) + picture @ np.array([1 << 16, 1 << 8, 1], np.int32)
    if len(np.unique(colours)) > _MOST_COLOURS:
        raise ValueError(f"{path}: has more than {_MOST_COLOURS} colours; one an object is needed")
    return np.where((rest == level[..., None]).all(axis=2), level, colours)


def read_deep_labels(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Read a 16-bit grey PNG of labels; arguments and errors as in :func:`read_object_numbers`.

    Returns:
        (H, W) int32 in [0, 65535].
    """
    return _read_png(path, size, ("I;16", "I;16B", "I"), "16-bit grey").astype(np.int32)


def read_embedded_mask(content: bytes, size: tuple[int, int]) -> np.ndarray:
    """The (H, W) bool mask of the bytes of an 8-bit PNG of this size; not 0 is the object.

    Raises:
        ValueError: they are not such a PNG.
    """
    return _read_png(io.BytesIO(content), size, ("P", "L", "1"), "8-bit grey") != 0


def png_size(path: Path) -> tuple[int, int] | None:
    """(H, W) in pixels of a PNG, of which the header is read; None if it cannot be read."""
    try:
        with open_image(path, formats=("PNG",)) as image:
            return image.height, image.width
    except UNREADABLE:
        return None


def _read_png(
    file: Path | io.BytesIO, size: tuple[int, int], modes: tuple[str, ...], kind: str
) -> np.ndarray:
    """The values of a PNG; nothing is decoded before its size and kind are known to be right."""
    name = "embedded PNG" if isinstance(file, io.BytesIO) else str(file)
    try:
        with open_image(file, formats=("PNG",)) as image:
            found, mode = (image.height, image.width), image.mode
            if found == tuple(size) and mode in modes:
                return np.array(image.convert("L") if mode == "1" else image)
    except UNREADABLE as error:
        raise ValueError(f"{name}: cannot be read as a PNG: {error}") from error
    if found != tuple(size):
        raise ValueError(
            f"{name}: has {found[0]} x {found[1]} pixels (height x width), expected "
            f"{size[0]} x {size[1]}"
        )
    raise ValueError(f"{name}: is a PNG of mode {mode!r}; {kind} is needed ({', '.join(modes)})")
