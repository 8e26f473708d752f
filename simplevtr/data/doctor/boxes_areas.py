"""Compares the boxes and areas of tracks with their masks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

from simplevtr.data.doctor.findings import Findings, Place, shown
from simplevtr.data.doctor.measures import Masks
from simplevtr.data.doctor.records import Track
from simplevtr.data.doctor.values import number_defect

import numpy as np

_AREA_TOLERANCE = 0.01  # of the mask's area; 1 pixel at least


@dataclass(frozen=True)
class _Column:
    """A list of a track with one value for each frame that says again what the mask says.

    Attributes:
        key: of the list; what messages call several values is ``plural``, and one ``noun``.
        nothing: what some files write in place of null.
        mismatch: the defect of a value that its mask contradicts.
        mask_shown: what messages say of a mask.
        defect: that of a value that cannot be one, or None.
        numbers: values, none of them None, as (n, ...) float64; None if one may have a defect.
        truth: (N, T, ...) int64, the values that the masks have.
        agrees: (n,) bool, whether numbers are those of masks, from both, from (n, 4) int64 boxes
            and from (n,) bool, whether a mask is polygons.
    """

    key: str
    noun: str
    plural: str
    nothing: Any
    mismatch: str
    mask_shown: str
    defect: Callable[[Any], str | None]
    numbers: Callable[[list[Any]], np.ndarray | None]
    truth: np.ndarray
    agrees: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def examine_boxes(
    tracks: list[Track], masks: Masks, findings: Findings, *, tolerance: float
) -> None:
    """Count what is wrong with the boxes of tracks, and repair them.

    Args:
        tracks: N tracks of one video; their boxes are changed.
        masks: of these tracks.
        findings: where the defects go.
        tolerance: pixels by which each side may lie elsewhere than that of the mask.
    """
    column = _Column(
        key="bboxes",
        noun="box",
        plural="boxes",
        nothing=[0, 0, 0, 0],
        mismatch="box-mask",
        mask_shown="the mask's {}",
        defect=_box_defect,
        numbers=_box_numbers,
        truth=masks.boxes,
        agrees=partial(_boxes_agree, masks.size, tolerance),
    )
    _examine(column, tracks, masks, findings)


def examine_areas(tracks: list[Track], masks: Masks, findings: Findings) -> None:
    """Count what is wrong with the areas of tracks, and repair them; as ``examine_boxes``."""
    column = _Column(
        key="areas",
        noun="area",
        plural="areas",
        nothing=0,
        mismatch="wrong-area",
        mask_shown="the mask has {} pixels",
        defect=_area_defect,
        numbers=_area_numbers,
        truth=masks.areas,
        agrees=_areas_agree,
    )
    _examine(column, tracks, masks, findings)


def _examine(column: _Column, tracks: list[Track], masks: Masks, findings: Findings) -> None:
    for row, track in enumerate(tracks):
        values = getattr(track, column.key)
        if values is None:
            continue
        computed = column.key in track.computed
        for frame in range(len(values)) if computed else _suspects(column, values, row, masks):
            value, usable = values[frame], masks.usable[row, frame]
            if not computed and not _is_wrong(column, track, row, frame, masks, findings):
                continue
            values[frame] = column.truth[row, frame].tolist() if usable else None
            if usable:
                findings.repaired(f"{column.plural} were computed from the masks")
            elif value is not None:
                findings.repaired(f"{column.plural} without a mask became null")


def _suspects(column: _Column, values: list[Any], row: int, masks: Masks) -> Iterable[int]:
    """The frames whose values may be wrong: all of them, unless all can be compared at once."""
    visible = masks.usable[row] & (masks.areas[row] > 0)
    given = np.array([value is not None for value in values])
    numbers = column.numbers([value for value in values if value is not None])
    if numbers is None or (given != visible).any() or (masks.given[row] != visible).any():
        return range(len(values))
    boxes, polygons = masks.boxes[row, visible], masks.polygons[row, visible]
    agree = column.agrees(numbers, column.truth[row, visible], boxes, polygons)
    return np.flatnonzero(visible)[~agree].tolist()


def _is_wrong(
    column: _Column, track: Track, row: int, frame: int, masks: Masks, findings: Findings
) -> bool:
    """Whether a value is to be computed anew; what is wrong with it is counted."""
    value, place, at = getattr(track, column.key)[frame], track.place.but(frame=frame), (row, frame)
    defect = None if value is None else column.defect(value)
    if defect is not None:
        findings.add(defect, place, f"the {column.noun} is {shown(value)}")
        return True
    if masks.given[at] and not masks.usable[at]:
        return True
    if (value is None) != (masks.areas[at] == 0 or not masks.usable[at]):
        return value != column.nothing and _one_is_missing(column.noun, value, findings, place)
    if value is None:
        return False
    of_mask = (column.truth[at], masks.boxes[at], masks.polygons[at])
    if column.agrees(column.numbers([value]), *(part[None] for part in of_mask)).all():
        return False
    mask = column.mask_shown.format(column.truth[at].tolist())
    return findings.add(column.mismatch, place, f"the {column.noun} is {shown(value)}, {mask}")


def _one_is_missing(noun: str, given: Any, findings: Findings, place: Place) -> bool:
    """Count that a box or area is null where the mask is not, or the other way round."""
    if given is None:
        return findings.add("mask-without-box", place, f"there is a mask, but the {noun} is null")
    detail = f"there is no mask, but the {noun} is {shown(given)}"
    return findings.add("box-without-mask", place, detail)


def _box_defect(box: Any) -> str | None:
    if type(box) is not list or len(box) != 4:
        return "bad-box"
    for value in box:
        defect = number_defect(value)
        if defect is not None:
            return "bad-box" if defect == "wrong-type" else defect
    return "impossible-number" if box[2] < 0 or box[3] < 0 else None


def _area_defect(area: Any) -> str | None:
    defect = number_defect(area)
    return "impossible-number" if defect is None and area < 0 else defect


def _box_numbers(boxes: list[Any]) -> np.ndarray | None:
    if not {*map(type, boxes)} <= {list} or not {*map(len, boxes)} <= {4}:
        return None
    numbers = _area_numbers([*chain.from_iterable(boxes)])
    return None if numbers is None else numbers.reshape(-1, 4)


def _area_numbers(areas: list[Any]) -> np.ndarray | None:
    if not {*map(type, areas)} <= {int, float}:
        return None
    try:
        return np.array(areas, np.float64)
    except OverflowError:  # an int beyond float64
        return None


def _boxes_agree(
    size: tuple[int, int],
    tolerance: float,
    values: np.ndarray,
    truth: np.ndarray,
    _: np.ndarray,
    polygons: np.ndarray,
) -> np.ndarray:
    corners, true_corners = values.copy(), truth.copy()
    for sides in (corners, true_corners):
        sides[:, 2:] += sides[:, :2]
    if polygons.any():  # which may lead out of the frame, and their boxes too
        clipped = np.clip(corners, 0, [size[1], size[0]] * 2)
        corners = np.where(polygons[:, None], clipped, corners)
    near = np.abs(corners - true_corners) <= tolerance
    return near.all(axis=1) & (values[:, 2:] >= 0).all(axis=1)


def _areas_agree(
    values: np.ndarray, truth: np.ndarray, boxes: np.ndarray, polygons: np.ndarray
) -> np.ndarray:
    allowed = np.maximum(1.0, _AREA_TOLERANCE * truth)
    allowed += polygons * boxes[:, 2:].sum(axis=1)  # polygons' area differs along the outline
    return np.abs(values - truth) <= allowed
