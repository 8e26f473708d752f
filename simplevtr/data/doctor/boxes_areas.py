"""Compares the boxes and areas of tracks with their masks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

from simplevtr.data.doctor.findings import shown
from simplevtr.data.doctor.masks import Masks
from simplevtr.data.doctor.videos import Track

import numpy as np

_MOST_NUMBER = 1e12  # pixels; no box or area comes near it
_NOTHING = (0, [0, 0, 0, 0])  # what some files write in place of null
_AREA_TOLERANCE = 0.01  # of the mask's area; 1 pixel at least


class Areas:
    """The list of a track with the pixels of its masks, which says again what the masks say."""

    key, noun, plural = "areas", "area", "areas"
    mismatch, of_mask = "wrong-area", "the mask has {} pixels"

    def __init__(self, masks: Masks) -> None:
        """Compare with the masks of N tracks of a video."""
        self.masks = masks
        self.truth = masks.areas

    def defect(self, area: Any) -> str | None:
        """That of a value that cannot be one."""
        defect = _number_defect(area)
        return "impossible-number" if defect is None and area < 0 else defect

    def numbers(self, areas: list[Any]) -> np.ndarray | None:
        """Values as (n,) or (n, 4) float64; None if one of them may have a defect."""
        if not {*map(type, areas)} <= {int, float}:
            return None
        try:
            return np.array(areas, np.float64)
        except OverflowError:  # an int beyond float64
            return None

    def agree(self, values: np.ndarray, at: tuple[Any, Any]) -> np.ndarray:
        """(n,) bool, whether numbers are those of the masks at (rows, frames)."""
        allowed = np.maximum(1.0, _AREA_TOLERANCE * self.truth[at])
        # The area of polygons may be meant, which differs along the outline.
        allowed += self.masks.polygons[at] * self.masks.boxes[at][:, 2:].sum(axis=1)
        return np.abs(values - self.truth[at]) <= allowed

    def fault(self, value: Any, at: tuple[int, int]) -> tuple[str, str] | None:
        """Defect and detail of a value that is wrong at (row, frame)."""
        masks, noun = self.masks, self.noun
        defect = None if value is None else self.defect(value)
        if defect is not None:
            return defect, f"the {noun} is {shown(value)}"
        visible = masks.areas[at] > 0
        if value is None:
            detail = f"there is a mask, but the {noun} is null"
            return ("mask-without-box", detail) if visible else None
        if masks.given[at] and not masks.usable[at]:  # the mask is what is wrong
            return None
        if not visible:
            detail = f"there is no mask, but the {noun} is {shown(value)}"
            return None if value in _NOTHING else ("box-without-mask", detail)
        if self.agree(self.numbers([value]), ([at[0]], [at[1]])).all():
            return None
        truth = self.of_mask.format(self.truth[at].tolist())
        return self.mismatch, f"the {noun} is {shown(value)}, {truth}"


class Boxes(Areas):
    """The list of a track with the boxes x, y, width, height of its masks in pixels."""

    key, noun, plural = "bboxes", "box", "boxes"
    mismatch, of_mask = "box-mask", "the mask's {}"

    def __init__(self, masks: Masks, tolerance: float) -> None:
        """Compare with masks; each side may lie elsewhere by so many pixels."""
        super().__init__(masks)
        self.truth = masks.boxes
        self._tolerance = tolerance

    def defect(self, box: Any) -> str | None:
        """As of an area."""
        if type(box) is not list or len(box) != 4:
            return "bad-box"
        defect = next(filter(None, map(_number_defect, box)), None)
        if defect is None:
            return "impossible-number" if min(box[2:]) < 0 else None
        return "bad-box" if defect == "wrong-type" else defect

    def numbers(self, boxes: list[Any]) -> np.ndarray | None:
        """As of areas, (n, 4)."""
        if not {*map(type, boxes)} <= {list} or not {*map(len, boxes)} <= {4}:
            return None
        numbers = super().numbers([*chain.from_iterable(boxes)])
        return None if numbers is None else numbers.reshape(-1, 4)

    def agree(self, values: np.ndarray, at: tuple[Any, Any]) -> np.ndarray:
        """As of areas."""
        height, width = self.masks.size
        corners, truth = values.copy(), self.truth[at]
        for sides in (corners, truth):
            sides[:, 2:] += sides[:, :2]
        # Polygons may lead out of the frame, and their boxes too.
        clipped = np.clip(corners, 0, [width, height, width, height])
        corners = np.where(self.masks.polygons[at][:, None], clipped, corners)
        near = (np.abs(corners - truth) <= self._tolerance).all(axis=1)
        return near & (values[:, 2:] >= 0).all(axis=1)


def examine_column(column: Areas, tracks: Sequence[Track]) -> None:
    """Count what is wrong with the boxes or areas of a video's tracks, and repair them."""
    masks = column.masks
    rows = [row for row, track in enumerate(tracks) if column.key in track.entry]
    for row, frame in _suspects(column, tracks, rows) if rows else ():
        track, usable = tracks[row], masks.usable[row, frame]
        values = track.entry[column.key]
        value = values[frame]
        if column.key not in track.computed:
            fault = column.fault(value, (row, frame))
            wrong = fault is not None and track.found.at(frame=frame).add(*fault)
            if not wrong and (usable or not masks.given[row, frame]):
                continue
        values[frame] = column.truth[row, frame].tolist() if usable else None
        if usable:
            track.found.repaired(f"{column.plural} were computed from the masks")
        elif value is not None:
            track.found.repaired(f"{column.plural} without a mask became null")


def _suspects(column: Areas, tracks: Sequence[Track], rows: list[int]) -> list[list[int]]:
    """(row, frame) of the values that may be wrong: all, unless all can be compared at once."""
    masks = column.masks
    values = [value for row in rows for value in tracks[row].entry[column.key]]
    given = np.array([value is not None for value in values]).reshape(len(rows), -1)
    visible = masks.areas > 0
    numbers = column.numbers([value for value in values if value is not None])
    if numbers is None or (given != visible[rows]).any() or (masks.given != visible)[rows].any():
        return [[row, frame] for row in rows for frame in range(masks.given.shape[1])]
    at = np.argwhere(visible[rows])
    at[:, 0] = np.array(rows)[at[:, 0]]
    return at[~column.agree(numbers, tuple(at.T))].tolist()


def _number_defect(value: Any) -> str | None:
    """The defect of what should be a finite number of a size that pixels can have."""
    if type(value) not in (int, float):
        return "wrong-type"
    if type(value) is float and not math.isfinite(value):
        return "non-finite"
    return None if -_MOST_NUMBER <= value <= _MOST_NUMBER else "impossible-number"
