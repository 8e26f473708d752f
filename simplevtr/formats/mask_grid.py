"""Reading run-length encoded masks at a grid of pixels.

A run-length encoding (RLE) counts pixels down the columns, from left to right, in runs of
background and foreground by turns, the first of background.
"""

import cv2
import numpy as np


class MaskGrid:
    """Reads masks at picked rows and columns, without decoding the others.

    Args:
        rows: (h,) of the masks' rows, in any order.
        columns: (w,) of the masks' columns, likewise.
        size: (height, width) of the masks in pixels.
    """

    def __init__(self, rows: np.ndarray, columns: np.ndarray, size: tuple[int, int]) -> None:
        self._height, width = size
        # The picked ones in ascending order, and the place of each pixel among them.
        self._rows, self._row_place = _distinct(rows)
        self._columns, self._column_place = _distinct(columns)
        # How many picked rows (columns) come before each row (column).
        self._rows_before = np.searchsorted(self._rows, np.arange(self._height + 1))
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
