"""Compares the boxes and areas of tracks with their masks."""

from __future__ import annotations

from itertools import chain
from typing import Any

from simplevtr.data.doctor.findings import Findings, Place, shown
from simplevtr.data.doctor.measures import Masks
from simplevtr.data.doctor.records import Track
from simplevtr.data.doctor.values import number_defect

import numpy as np

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
        defect = number_defect(area)
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
        defect = next(filter(None, map(number_defect, box)), None)
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


def examine_column(column: Areas, tracks: list[Track], findings: Findings) -> None:
    """Count what is wrong with the boxes or areas of a video's tracks, and repair them."""
    rows = [row for row, track in enumerate(tracks) if getattr(track, column.key) is not None]
    for row, frame in _suspects(column, tracks, rows) if rows else ():
        track, usable = tracks[row], column.masks.usable[row, frame]
        values = getattr(track, column.key)
        value, place = values[frame], track.place.but(frame=frame)
        computed = column.key in track.computed
        if not computed and not _is_wrong(column, value, (row, frame), place, findings):
            continue
        values[frame] = column.truth[row, frame].tolist() if usable else None
        if usable:
            findings.repaired(f"{column.plural} were computed from the masks")
        elif value is not None:
            findings.repaired(f"{column.plural} without a mask became null")


def _suspects(column: Areas, tracks: list[Track], rows: list[int]) -> list[list[int]]:
    """(row, frame) of the values that may be wrong: all, unless all can be compared at once."""
    masks = column.masks
    values = [value for row in rows for value in getattr(tracks[row], column.key)]
    given = np.zeros(masks.given.shape, bool)
    given[rows] = np.array([value is not None for value in values]).reshape(len(rows), -1)
    visible = np.zeros(masks.given.shape, bool)
    visible[rows] = (masks.usable & (masks.areas > 0))[rows]
    numbers = column.numbers([value for value in values if value is not None])
    if numbers is None or (given != visible).any() or (masks.given != visible)[rows].any():
        return [[row, frame] for row in rows for frame in range(masks.given.shape[1])]
    at = np.nonzero(visible)
    return np.argwhere(visible)[~column.agree(numbers, at)].tolist()


def _is_wrong(
    column: Areas, value: Any, at: tuple[int, int], place: Place, findings: Findings
) -> bool:
    """Whether a value is to be computed anew; what is wrong with it is counted."""
    masks, noun = column.masks, column.noun
    defect = None if value is None else column.defect(value)
    if defect is not None:
        findings.add(defect, place, f"the {noun} is {shown(value)}")
        return True
    if masks.given[at] and not masks.usable[at]:
        return True
    visible = masks.usable[at] and masks.areas[at] > 0
    if value is None:
        detail = f"there is a mask, but the {noun} is null"
        return bool(visible) and findings.add("mask-without-box", place, detail)
    if not visible:
        detail = f"there is no mask, but the {noun} is {shown(value)}"
        return value not in _NOTHING and findings.add("box-without-mask", place, detail)
    if column.agree(column.numbers([value]), ([at[0]], [at[1]])).all():
        return False
    detail = f"the {noun} is {shown(value)}, {column.of_mask.format(column.truth[at].tolist())}"
    return findings.add(column.mismatch, place, detail)
