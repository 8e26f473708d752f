"""Reading run-length encoded masks at a grid of pixels.

A run-length encoding (RLE) counts pixels down the columns, from left to right, in runs of
background and foreground by turns, the first of background.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from detectron2.data.transforms import Transform


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

    def read(self, lengths: np.ndarray) -> np.ndarray:
        """The (h, w) uint8 mask, 0 or 1, of an RLE's (R,) int64 run lengths, for ``size``."""
        edges = np.cumsum(lengths)
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


def _distinct(picked: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """The different values in ascending order, and where each is among them, None if in order."""
    distinct, place = np.unique(picked, return_inverse=True)
    in_order = len(distinct) == len(picked) and bool((distinct == picked).all())
    return distinct, None if in_order else place
