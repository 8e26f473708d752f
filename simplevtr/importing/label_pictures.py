"""PNGs whose pixels are labels, from files that may be anybody's.

All functions raise ValueError, with a reason that names no file, for PNGs that cannot be used.
"""

from __future__ import annotations

import io
from pathlib import Path

from simplevtr.formats.images import UNREADABLE, open_image
from simplevtr.importing.dataset import Size

import numpy as np

_WHITE = 255  # void, or the object of pictures that know no other
# More objects than this a picture does not have; a photograph has more colours.
_MOST_OBJECTS = 100
# So few grey levels may be any objects, and levels so low any number of them.
_FEW_LEVELS, _LOW_LEVEL = 8, 64


def read_object_numbers(path: Path, size: Size) -> tuple[np.ndarray, bool | None]:
    """Read a PNG of (H, W) pixels in which each object has a number or a colour of its own.

    The number is the palette's index or the grey level. Black and white pictures of one bit have
    the numbers 0 and 255, as they have grey levels. In RGB, grey is its level, and any other colour
    a number above 255 that stands for it.

    Returns:
        (H, W) int32, where 0 is the background; and whether colours (True) or numbers (False) tell
        the objects, None where it may be either.
    """
    kinds = ("P", "L", "1", "LA", "RGB", "RGBA")
    picture, mode = _read_png(path, size, kinds, "a palette, 8-bit grey or colours")
    picture = picture.astype(np.int32)
    if mode in ("LA", "RGBA"):
        if (picture[..., -1] != 255).any():
            raise ValueError("is transparent in places; the background must be black")
        picture = picture[..., :-1]  # of one or three channels
    level = picture if picture.ndim == 2 else picture[..., 0]
    if picture.ndim == 3 and (picture != level[..., None]).any():
        colours = (1 << 24) + picture @ np.array([1 << 16, 1 << 8, 1], np.int32)
        count = len(np.unique(colours))
        if count > _MOST_OBJECTS:
            raise _too_many(count, "colours")
        return np.where((picture == level[..., None]).all(axis=2), level, colours), True
    levels = np.setdiff1d(level, (0, _WHITE))
    if mode != "P" and _are_shades(levels):
        raise _too_many(len(levels), "grey values besides 0 and 255")
    return level, False if mode in ("P", "L", "LA") and len(levels) else None


def read_deep_labels(path: Path, size: Size) -> np.ndarray:
    """The (H, W) int32 labels in [0, 65535] of a 16-bit grey PNG of this size."""
    return _read_png(path, size, ("I;16", "I;16B", "I"), "16-bit grey")[0].astype(np.int32)


def read_embedded_mask(content: bytes, size: Size) -> np.ndarray:
    """The (H, W) bool mask of the bytes of an 8-bit PNG; not 0 is the object."""
    return _read_png(io.BytesIO(content), size, ("P", "L", "1"), "8-bit grey")[0] != 0


def png_size(path: Path) -> Size | None:
    """(H, W) in pixels of a PNG, of which the header is read; None if it cannot be read."""
    try:
        with open_image(path, formats=("PNG",)) as image:
            return image.height, image.width
    except UNREADABLE:
        return None


def _are_shades(levels: np.ndarray) -> bool:
    """Whether ascending grey levels are those of smoothed edges rather than objects' numbers.

    Objects are numbered from 1 without large gaps; one number may lie apart, as void.
    """
    if len(levels) <= _FEW_LEVELS:
        return False
    return len(levels) > _MOST_OBJECTS or levels[-2] > max(_LOW_LEVEL, 2 * len(levels))


def _too_many(count: int, what: str) -> ValueError:
    return ValueError(
        f"has {count} {what}, each of which would be an object; save masks without "
        "smoothing or JPEG compression, or as palette PNGs of object numbers"
    )


def _read_png(
    file: Path | io.BytesIO, size: Size, modes: tuple[str, ...], kind: str
) -> tuple[np.ndarray, str]:
    """The values and mode of a PNG, which is decoded only if its size and mode are right."""
    try:
        with open_image(file, formats=("PNG",)) as image:
            found, mode = (image.height, image.width), image.mode
            if found == tuple(size) and mode in modes:
                return np.array(image.convert("L") if mode == "1" else image), mode
    except UNREADABLE as error:
        raise ValueError(f"cannot be read as a PNG: {error}") from error
    if found != tuple(size):
        raise ValueError(
            f"has {found[0]} x {found[1]} pixels (height x width), expected {size[0]} x {size[1]}"
        )
    raise ValueError(f"is a PNG of mode {mode!r}; {kind} is needed ({', '.join(modes)})")
