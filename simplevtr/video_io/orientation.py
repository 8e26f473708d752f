"""Turning and mirroring frames as their display matrix says (phones film lying on their side)."""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np


@dataclass(frozen=True)
class Orientation:
    """How a stored picture becomes an upright one: first the axes are swapped, then flipped."""

    swap_axes: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def apply(self, image: np.ndarray) -> np.ndarray:
        """The upright picture of an (H, W, 3) one, in memory order."""
        if self.swap_axes:
            image = image.swapaxes(0, 1)
        if self.flip_rows:
            image = image[::-1]
        if self.flip_columns:
            image = image[:, ::-1]
        return np.ascontiguousarray(image)


def orientation(frame: av.VideoFrame) -> Orientation:
    """The orientation of a decoded frame, to the nearest quarter turn, as players do it."""
    matrix = _display_matrix(frame)
    if matrix is None:
        return _TURNS[round(frame.rotation / 90) % 4]
    # x' = a x + c y and y' = b x + d y, with y pointing down.
    a, b, c, d = (int(matrix[i]) for i in (0, 1, 3, 4))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(flip_columns=a < 0, flip_rows=d < 0)
    return Orientation(swap_axes=True, flip_columns=c < 0, flip_rows=b < 0)


# By counterclockwise quarter turns.
_TURNS = (
    Orientation(),
    Orientation(swap_axes=True, flip_rows=True),
    Orientation(flip_rows=True, flip_columns=True),
    Orientation(swap_axes=True, flip_columns=True),
)


def _display_matrix(frame: av.VideoFrame) -> np.ndarray | None:
    """(9,) int32 row by row, or None if the frame has none or PyAV cannot list its side data."""
    try:
        found = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # a kind of side data that this PyAV has no name for
        return None
    return None if found is None else np.frombuffer(bytes(found), dtype=np.int32)
