"""Compares the boxes and areas of a track with its masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from simplevtr.data.doctor.findings import Findings, Place, shown
from simplevtr.data.doctor.measures import MaskMeasure
from simplevtr.data.doctor.records import Track
from simplevtr.data.doctor.values import number_defect

_AREA_TOLERANCE = 0.01  # of the mask's area; 1 pixel at least


@dataclass(frozen=True)
class _Column:
    """A list of a track with one value a frame that says again what the mask says.

    Attributes:
        key: of the list.
        noun, plural: what messages call a value, and several.
        nothing: what some files write in place of null.
        mismatch: the defect of a value that its mask contradicts.
        defect: that of a value that cannot be one, or None.
        of_mask: the value that a mask has.
        agrees: whether a value is that of the mask of a frame.
        mask_shown: what messages say of a mask.
    """

    key: str
    noun: str
    plural: str
    nothing: Any
    mismatch: str
    defect: Callable[[Any], str | None]
    of_mask: Callable[[MaskMeasure], Any]
    agrees: Callable[[Any, Track, int, MaskMeasure], bool]
    mask_shown: str


def examine_boxes(
    track: Track,
    truth: dict[int, MaskMeasure],
    doubtful: set[int],
    findings: Findings,
    *,
    tolerance: float,
) -> None:
    """Count what is wrong with the boxes of a track, and repair them.

    Args:
        track: its boxes are changed.
        truth: the measures of its masks by frame.
        doubtful: frames whose masks cannot be used, so that boxes cannot be compared.
        findings: where the defects go.
        tolerance: pixels by which each side may lie elsewhere than that of the mask.
    """
    column = _Column(
        key="bboxes",
        noun="box",
        plural="boxes",
        nothing=[0, 0, 0, 0],
        mismatch="box-mask",
        defect=_box_defect,
        of_mask=lambda measure: [*measure.box],
        agrees=partial(_box_agrees, tolerance=tolerance),
        mask_shown="the mask's {}",
    )
    _examine(column, track, track.bboxes, truth, doubtful, findings)


def examine_areas(
    track: Track, truth: dict[int, MaskMeasure], doubtful: set[int], findings: Findings
) -> None:
    """Count what is wrong with the areas of a track, and repair them; as ``examine_boxes``."""
    column = _Column(
        key="areas",
        noun="area",
        plural="areas",
        nothing=0,
        mismatch="wrong-area",
        defect=_area_defect,
        of_mask=lambda measure: measure.area,
        agrees=_area_agrees,
        mask_shown="the mask has {} pixels",
    )
    _examine(column, track, track.areas, truth, doubtful, findings)


def _examine(
    column: _Column,
    track: Track,
    values: list[Any] | None,
    truth: dict[int, MaskMeasure],
    doubtful: set[int],
    findings: Findings,
) -> None:
    computed = column.key in track.computed
    for frame, value in enumerate(values or ()):
        measure = truth.get(frame)
        if computed or _is_wrong(column, track, frame, value, measure, doubtful, findings):
            values[frame] = None if measure is None else column.of_mask(measure)
            _count_repair(column.plural, value, measure, findings)


def _is_wrong(
    column: _Column,
    track: Track,
    frame: int,
    value: Any,
    measure: MaskMeasure | None,
    doubtful: set[int],
    findings: Findings,
) -> bool:
    """Whether a value is to be computed anew; what is wrong with it is counted."""
    place, noun = track.at(frame), column.noun
    defect = column.defect(value)
    if defect is not None:
        findings.add(defect, place, f"the {noun} is {shown(value)}")
        return True
    if frame in doubtful:
        return True
    if (value is None) != _is_empty(measure):
        return value != column.nothing and _one_is_missing(noun, value, findings, place)
    if measure is None or column.agrees(value, track, frame, measure):
        return False
    mask = column.mask_shown.format(column.of_mask(measure))
    return findings.add(column.mismatch, place, f"the {noun} is {shown(value)}, {mask}")


def _is_empty(measure: MaskMeasure | None) -> bool:
    return measure is None or not measure.area


def _one_is_missing(what: str, given: Any, findings: Findings, place: Place) -> bool:
    """Count that a box or area is null where the mask is not, or the other way round."""
    if given is None:
        return findings.add("mask-without-box", place, f"there is a mask, but the {what} is null")
    detail = f"there is no mask, but the {what} is {shown(given)}"
    return findings.add("box-without-mask", place, detail)


def _count_repair(what: str, given: Any, measure: MaskMeasure | None, findings: Findings) -> None:
    if measure is not None:
        findings.repaired(f"{what} were computed from the masks")
    elif given is not None:
        findings.repaired(f"{what} without a mask became null")


def _box_defect(box: Any) -> str | None:
    if box is None:
        return None
    if type(box) is not list or len(box) != 4:
        return "bad-box"
    for value in box:
        defect = number_defect(value)
        if defect is not None:
            return "bad-box" if defect == "wrong-type" else defect
    return "impossible-number" if box[2] < 0 or box[3] < 0 else None


def _area_defect(area: Any) -> str | None:
    if area is None:
        return None
    defect = number_defect(area)
    return "impossible-number" if defect is None and area < 0 else defect


def _box_agrees(
    box: list[float], track: Track, frame: int, measure: MaskMeasure, tolerance: float
) -> bool:
    x, y, width, height = measure.box
    left, top, right, bottom = box[0], box[1], box[0] + box[2], box[1] + box[3]
    if _is_polygons(track, frame):  # which may lead out of the frame, and their boxes too
        left, right = max(left, 0), min(right, track.video.width)
        top, bottom = max(top, 0), min(bottom, track.video.height)
    return (
        abs(left - x) <= tolerance
        and abs(top - y) <= tolerance
        and abs(right - x - width) <= tolerance
        and abs(bottom - y - height) <= tolerance
    )


def _area_agrees(area: float, track: Track, frame: int, measure: MaskMeasure) -> bool:
    allowed = max(1.0, _AREA_TOLERANCE * measure.area)
    if _is_polygons(track, frame):  # their area may be meant, which differs along the outline
        allowed += measure.box[2] + measure.box[3]
    return abs(area - measure.area) <= allowed


def _is_polygons(track: Track, frame: int) -> bool:
    return type(track.segmentations[frame]) is list
