"""Compares the boxes and areas of a track with its masks."""

from __future__ import annotations

from typing import Any

from simplevtr.data.doctor.findings import Findings, Place, shown
from simplevtr.data.doctor.measures import MaskMeasure
from simplevtr.data.doctor.records import Track
from simplevtr.data.doctor.values import number_defect

_AREA_TOLERANCE = 0.01  # of the mask's area; 1 pixel at least


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
    for frame, box in enumerate(track.bboxes or ()):
        measure = truth.get(frame)
        wrong = frame in doubtful or "bboxes" in track.computed
        if "bboxes" not in track.computed:
            defect = _box_defect(box)
            if defect is not None:
                findings.add(defect, track.at(frame), f"the box is {shown(box)}")
                wrong = True
            elif not wrong and (box is None) != _is_empty(measure):
                wrong = box != [0, 0, 0, 0] and _one_is_missing(
                    "box", box, findings, track.at(frame)
                )
            elif not wrong and measure is not None:
                wrong = not _box_agrees(box, track, frame, measure, tolerance) and findings.add(
                    "box-mask",
                    track.at(frame),
                    f"the box is {shown(box)}, the mask's {[*measure.box]}",
                )
        if wrong:
            track.bboxes[frame] = None if measure is None else [*measure.box]
            _count_repair("boxes", box, measure, findings)


def examine_areas(
    track: Track, truth: dict[int, MaskMeasure], doubtful: set[int], findings: Findings
) -> None:
    """Count what is wrong with the areas of a track, and repair them; as ``examine_boxes``."""
    for frame, area in enumerate(track.areas or ()):
        measure = truth.get(frame)
        wrong = frame in doubtful or "areas" in track.computed
        if "areas" not in track.computed:
            defect = _area_defect(area)
            if defect is not None:
                findings.add(defect, track.at(frame), f"the area is {shown(area)}")
                wrong = True
            elif not wrong and (area is None) != _is_empty(measure):
                wrong = area != 0 and _one_is_missing("area", area, findings, track.at(frame))
            elif not wrong and measure is not None:
                wrong = not _area_agrees(area, track, frame, measure) and findings.add(
                    "wrong-area",
                    track.at(frame),
                    f"the area is {shown(area)}, the mask has {measure.area} pixels",
                )
        if wrong:
            track.areas[frame] = None if measure is None else measure.area
            _count_repair("areas", area, measure, findings)


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
