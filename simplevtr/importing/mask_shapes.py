"""Masks from what foreign files hold: polygons, rectangles, circles, run lengths, label pictures.

Files may be anybody's, so whatever decides how much time and memory a mask takes is bounded here.
All functions raise ValueError, with a reason that names no file, for shapes that cannot be used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simplevtr.data.masks import to_rle
from simplevtr.importing.dataset import Rle

import numpy as np
from pycocotools import mask as coco_mask

_FARTHEST = 1e5  # pixels from the frame's corner; beyond 32 bits, pycocotools draws anything
# pycocotools' time and memory grow with an outline: at most so many times height + width.
_LONGEST_OUTLINE = 100


def from_segmentation(segmentation: Any, size: tuple[int, int]) -> Rle | None:
    """The mask of a COCO segmentation: polygons, an uncompressed or a compressed RLE.

    Args:
        segmentation: what the file holds.
        size: (H, W) of the frame in pixels, which an RLE must have.

    Returns:
        A mask, or None for an empty list of polygons.
    """
    if isinstance(segmentation, list):
        return from_polygons(segmentation, size)
    if isinstance(segmentation, dict) and isinstance(segmentation.get("counts"), list):
        counts = segmentation["counts"]
        if not all(type(run) is int and 0 <= run <= size[0] * size[1] for run in counts):
            raise ValueError(f"RLE counts {counts!r:.80}; integers in [0, height * width] needed")
    if isinstance(segmentation, dict) and isinstance(segmentation.get("counts"), str):
        if not segmentation["counts"].isascii():
            raise ValueError(f"RLE counts {segmentation['counts']!r:.80} are no ASCII text")
    try:
        return to_rle(segmentation, size)
    except (TypeError, OverflowError) as error:
        raise ValueError(f"malformed segmentation {segmentation!r:.80}: {error}") from error


def from_polygons(polygons: Sequence[Any], size: tuple[int, int]) -> Rle | None:
    """The union of polygons ``[x0, y0, x1, y1, ...]`` in pixels; None if there is none."""
    outline = sum(_outline(polygon) for polygon in polygons)
    longest = _LONGEST_OUTLINE * sum(size)
    if outline > longest:
        raise ValueError(
            f"polygons with an outline of {outline:.3g} pixels; at most {longest} are allowed "
            f"in a frame of {size[0]} x {size[1]} pixels"
        )
    if not polygons:
        return None
    return coco_mask.merge(coco_mask.frPyObjects([list(p) for p in polygons], *size))


def from_rectangle(x0: float, y0: float, x1: float, y1: float, size: tuple[int, int]) -> Rle:
    """The mask of a rectangle given by two opposite corners in pixels."""
    return from_polygons([[x0, y0, x1, y0, x1, y1, x0, y1]], size)


def from_circle(x: float, y: float, radius: float, size: tuple[int, int]) -> Rle:
    """The pixels whose centres lie in a circle; centre and radius in pixels."""
    if not all(np.isfinite(value) and abs(value) <= _FARTHEST for value in (x, y, radius)):
        raise ValueError(f"circle at ({x:g}, {y:g}) of radius {radius:g} is out of all bounds")
    rows, columns = np.ogrid[: size[0], : size[1]]
    square = radius**2 - (columns + 0.5 - x) ** 2
    half_height = np.where(square >= 0, np.sqrt(np.maximum(square, 0)), -1)
    return from_pixels(np.abs(rows + 0.5 - y) <= half_height)


def from_pixels(mask: np.ndarray) -> Rle:
    """The mask of (H, W) bool or 0/1 pixels."""
    return coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))


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
    return from_pixels(mask)


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
        masks[value] = coco_mask.frPyObjects(
            {"size": [height, width], "counts": counts}, height, width
        )
    return masks


def _outline(polygon: Any) -> float:
    """The pixels that a polygon's outline passes."""
    if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
        raise ValueError(f"polygon {polygon!r:.80}; a list of 3 or more points x, y is needed")
    if not all(type(value) in (int, float) for value in polygon):
        raise ValueError(f"polygon {polygon!r:.80} holds something else than numbers")
    wild = next((v for v in polygon if not abs(v) <= _FARTHEST), None)  # "not": NaN is wild too
    if wild is not None:
        raise ValueError(
            f"polygon coordinate {wild!r:.40} is out of all bounds (+-{_FARTHEST:g} pixels)"
        )
    points = np.asarray(polygon, dtype=np.float64).reshape(-1, 2)
    steps = np.abs(np.diff(points, axis=0, append=points[:1]))
    return float(steps.max(axis=1).sum())
