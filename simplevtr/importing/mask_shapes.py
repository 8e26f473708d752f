"""Masks from what foreign files hold: polygons, rectangles, circles, run lengths, label pictures.

Files may be anybody's, so whatever decides how much time and memory a mask takes is bounded here.
All functions raise ValueError, with a reason that names no file, for shapes that cannot be used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simplevtr.formats.rle import (
    MAX_COORDINATE,
    decode_sound_texts,
    encode_mask,
    encode_runs,
    mask_text,
    polygons_text,
)
from simplevtr.importing.dataset import Rle

import numpy as np


def from_rle(rle: Any, size: tuple[int, int]) -> Rle:
    """The mask of a compressed or uncompressed RLE, whose size must be (H, W) of the frame."""
    height, width = size
    text = mask_text(rle, height, width, allow_polygons=False)
    *_, reasons = decode_sound_texts([text], height * width)
    if reasons:
        raise ValueError(reasons[0])
    return _rle(text, size)


def from_polygons(polygons: Sequence[Any], size: tuple[int, int]) -> Rle | None:
    """The union of polygons ``[x0, y0, x1, y1, ...]`` in pixels; None if there is none."""
    return _rle(polygons_text(polygons, *size), size) if polygons else None


def from_rectangle(x0: float, y0: float, x1: float, y1: float, size: tuple[int, int]) -> Rle:
    """The mask of a rectangle given by two opposite corners in pixels."""
    return from_polygons([[x0, y0, x1, y0, x1, y1, x0, y1]], size)


def from_circle(x: float, y: float, radius: float, size: tuple[int, int]) -> Rle:
    """The pixels whose centres lie in a circle; centre and radius in pixels."""
    if not all(np.isfinite(value) and abs(value) <= MAX_COORDINATE for value in (x, y, radius)):
        raise ValueError(f"circle at ({x:g}, {y:g}) of radius {radius:g} is out of all bounds")
    rows, columns = np.ogrid[: size[0], : size[1]]
    square = radius**2 - (columns + 0.5 - x) ** 2
    half_height = np.where(square >= 0, np.sqrt(np.maximum(square, 0)), -1)
    return encode_mask(np.abs(rows + 0.5 - y) <= half_height)


def from_overlapping(mask: np.ndarray, left: int, top: int, size: tuple[int, int]) -> Rle:
    """The part inside the frame of (h, w) bool pixels whose corner may lie outside it.

    Args:
        mask: (h, w) pixels.
        left: the frame's column of their first one; may be negative or beyond the frame.
        top: the frame's row of their first one, likewise.
        size: (H, W) of the frame in pixels.
    """
    pixels = np.zeros(size, dtype=bool)
    inner = mask[max(-top, 0) : max(size[0] - top, 0), max(-left, 0) : max(size[1] - left, 0)]
    rows, columns = max(top, 0), max(left, 0)
    pixels[rows : rows + inner.shape[0], columns : columns + inner.shape[1]] = inner
    return encode_mask(pixels)


def from_window(runs: list[int], window: tuple[int, int, int, int], size: tuple[int, int]) -> Rle:
    """The mask of row-major run lengths, background first, in a window of the frame.

    Args:
        runs: run lengths that fill the window.
        window: (left, top, width, height) in pixels.
        size: (H, W) of the frame in pixels; the window must lie inside.
    """
    left, top, width, height = window
    if (
        min(left, top) < 0
        or min(width, height) < 1
        or (left + width > size[1] or top + height > size[0])
    ):
        raise ValueError(
            f"mask at left {left}, top {top} of {width} x {height} pixels (width x height) leaves "
            f"the frame of {size[1]} x {size[0]}"
        )
    if any(run < 0 for run in runs) or sum(runs) != width * height:
        raise ValueError(
            f"run lengths {runs!r:.80} do not fill a mask of {width} x {height} pixels"
        )
    values = np.arange(len(runs)) % 2
    mask = np.zeros(size, dtype=np.uint8)
    filled = np.repeat(values, runs).reshape(height, width)
    mask[top : top + height, left : left + width] = filled
    return encode_mask(mask)


def from_labels(picture: np.ndarray) -> dict[int, Rle]:
    """The mask of each value but 0 of an (H, W) integer picture, by value, ascending.

    The time does not grow with the number of values.
    """
    height, width = picture.shape
    pixels = picture.ravel(order="F")
    starts = np.flatnonzero(np.diff(pixels, prepend=~pixels[:1]))
    ends = np.append(starts[1:], pixels.size)
    values = pixels[starts]
    order = np.argsort(values, kind="stable")
    order = order[values[order] != 0]
    distinct, first = np.unique(values[order], return_index=True)
    masks: dict[int, Rle] = {}
    if not len(distinct):
        return masks
    for value, runs in zip(distinct.tolist(), np.split(order, first[1:]), strict=True):
        edges = np.stack([starts[runs], ends[runs]], axis=1).ravel()
        counts = np.diff(edges, prepend=0, append=pixels.size).tolist()
        masks[value] = encode_runs(counts, height, width)
    return masks


def _rle(text: bytes, size: tuple[int, int]) -> Rle:
    return {"size": [*size], "counts": text}
