"""Run-length encoded masks: what segmentations of a file become, and reading them at a grid.

A run-length encoding (RLE) counts pixels down the columns, from left to right, in runs of
background and foreground by turns, the first of background.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from detectron2.data.transforms import Transform
from pycocotools import mask as mask_util


def to_rle(segmentation: Any, size: tuple[int, int]) -> dict[str, Any]:
    """Polygons, uncompressed or compressed RLE to a compressed RLE that covers exactly ``size``.

    Args:
        segmentation: as in an annotation file.
        size: (height, width) of the frame in pixels.

    Returns:
        ``{"size": [height, width], "counts": bytes}``, as pycocotools takes it.

    Raises:
        ValueError: for anything else; some malformed values raise TypeError or OverflowError.
    """
    height, width = size
    if isinstance(segmentation, list):
        _check_polygons(segmentation)
        return mask_util.merge(mask_util.frPyObjects(segmentation, height, width))
    if not isinstance(segmentation, dict) or not {"size", "counts"} <= segmentation.keys():
        raise ValueError(
            f"{segmentation!r:.80}; polygons or an RLE with 'size' and 'counts' are needed"
        )
    if list(segmentation["size"]) != [height, width]:
        raise ValueError(f"RLE of size {segmentation['size']} in frames of {[height, width]}")
    counts = segmentation["counts"]
    if isinstance(counts, list):
        runs = np.asarray(counts)
        if runs.dtype.kind != "i" or runs.min(initial=0) < 0:
            raise ValueError(f"RLE counts {counts!r:.80}; integers >= 0 are needed")
        covered = int(runs.sum())
    elif isinstance(counts, str | bytes):
        counts = counts.encode("ascii") if isinstance(counts, str) else counts
        runs = uncompressed(counts)
        covered = -1 if runs is None else int(runs.sum())
    else:
        raise ValueError(f"RLE counts {counts!r:.80}; a list or a string is needed")
    # pycocotools would leave the pixels after the last run at what happened to be in memory.
    if covered != height * width:
        raise ValueError(f"RLE counts cover {covered} pixels, not {height} x {width}")
    if isinstance(counts, list):
        return mask_util.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    return {"size": [height, width], "counts": counts}


def uncompressed(counts: bytes) -> np.ndarray | None:
    """The runs of a compressed RLE, (R,) int64, or None if it is none.

    COCO writes runs as base-32 digits, lowest first, in characters from "0" on; bit 5 says that
    another digit follows and bit 4 of the last digit is the sign. From the fourth run on, a number
    is the difference to the run two before.
    """
    digits = np.frombuffer(counts, dtype=np.uint8).astype(np.int64) - 48
    if not len(digits) or digits.min() < 0 or digits.max() > 63 or digits[-1] & 32:
        return None
    last = np.flatnonzero((digits & 32) == 0)
    first = np.append(0, last[:-1] + 1)
    place = np.arange(len(digits)) - np.repeat(first, last - first + 1)
    if place.max() > 6:  # more than 32 bits
        return None
    values = np.add.reduceat((digits & 31) << (5 * place), first)
    values -= ((digits[last] >> 4) & 1) << (5 * (last - first + 1))
    runs = values.copy()
    runs[1::2] = np.cumsum(values[1::2])
    runs[2::2] = np.cumsum(values[2::2])
    return runs if runs.min() >= 0 else None


class MaskGrid:
    """Reads masks at the rows and columns that a geometry picks, without decoding the others.

    Args:
        geometry: its ``apply_segmentation`` must pick whole rows and columns, as crops, flips and
            nearest-neighbour resizes do.
        size: (height, width) of the masks in pixels.

    Attributes:
        shape: (h, w) of the masks read, in pixels.
    """

    def __init__(self, geometry: Transform, size: tuple[int, int]) -> None:
        height, width = size
        rows = np.broadcast_to(np.arange(height, dtype=np.int32)[:, None], size)
        columns = np.broadcast_to(np.arange(width, dtype=np.int32), size)
        rows, columns = (geometry.apply_segmentation(index) for index in (rows, columns))
        assert (rows == rows[:, :1]).all(), "the geometry bends rows"
        assert (columns == columns[:1]).all(), "the geometry bends columns"
        self.shape: tuple[int, int] = rows.shape
        self._height = height
        # The picked ones in ascending order, and the place of each pixel among them.
        self._rows, self._row_place = _distinct(rows[:, 0])
        self._columns, self._column_place = _distinct(columns[0])
        # How many picked rows (columns) come before each row (column).
        self._rows_before = np.searchsorted(self._rows, np.arange(height + 1))
        self._columns_before = np.searchsorted(self._columns, np.arange(width + 2))

    def read(self, rle: dict[str, Any]) -> np.ndarray:
        """The (h, w) uint8 mask, 0 or 1, of a compressed RLE of the grid's ``size``."""
        edges = np.cumsum(uncompressed(rle["counts"]))
        # The picked pixels, in the RLE's order, that come before each edge between two runs.
        column, row = np.divmod(edges, self._height)
        before, after = self._columns_before[column], self._columns_before[column + 1]
        places = before * len(self._rows) + (after - before) * self._rows_before[row]
        runs = np.diff(places, prepend=0)
        values = np.zeros(len(runs), dtype=np.uint8)
        values[1::2] = 1
        picked = np.repeat(values, runs).reshape(len(self._columns), len(self._rows))
        if self._row_place is not None:
            picked = np.take(picked, self._row_place, axis=1)
        mask = cv2.transpose(picked)
        if self._column_place is not None:
            mask = np.take(mask, self._column_place, axis=1)
        return mask


def _check_polygons(polygons: list[Any]) -> None:
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            raise ValueError(
                f"polygon {polygon!r:.80}; a list of at least 6 numbers x, y, ... is needed"
            )
        if not all(isinstance(value, int | float) for value in polygon):
            raise ValueError(f"polygon {polygon!r:.80} holds something else than numbers")


def _distinct(picked: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """The different values in ascending order, and where each is among them, None if in order."""
    distinct, place = np.unique(picked, return_inverse=True)
    in_order = len(distinct) == len(picked) and bool((distinct == picked).all())
    return distinct, None if in_order else place
