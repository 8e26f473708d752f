"""The masks of CVAT's shapes: XML elements ``polygon``, ``mask`` and ``ellipse``."""

from __future__ import annotations

import math
from collections import Counter
from xml.etree import ElementTree

from simplevtr.formats.checks import whole_number
from simplevtr.formats.rle import MAX_COORDINATE
from simplevtr.importing.dataset import Rle, Size
from simplevtr.importing.shapes import from_ellipse, from_polygons, from_window

MASKS = ("polygon", "mask", "ellipse")
OTHER_SHAPES = ("box", "polyline", "points", "cuboid", "skeleton")
_SMALLEST = 0.01  # of a radius in pixels; CVAT writes two decimals


def shape_mask(shape: ElementTree.Element, size: Size, notes: Counter[str]) -> Rle | None:
    """The mask of a shape whose tag is one of MASKS, None if it is outside.

    Shapes between keyframes are counted in ``notes``.
    """
    if _flag(shape, "outside", missing="0"):
        return None
    if not _flag(shape, "keyframe", missing="1"):
        notes["shapes interpolated by CVAT, imported"] += 1
    if shape.tag == "polygon":
        return from_polygons([_points(shape)], size)
    if shape.tag == "ellipse":
        centre = _number(shape, "cx"), _number(shape, "cy")
        radii = (_number(shape, "rx", least=_SMALLEST), _number(shape, "ry", least=_SMALLEST))
        angle = math.radians(_number(shape, "rotation", missing="0"))
        return from_ellipse(centre, radii, angle, size)
    keys = ("left", "top", "width", "height")
    window = tuple(whole_number(shape.attrib, key) for key in keys)
    runs = shape.get("rle", "").split(",")
    return from_window([whole_number({"rle": run.strip()}, "rle") for run in runs], window, size)


def _points(shape: ElementTree.Element) -> list[float]:
    text = shape.get("points", "")
    pairs = [pair.split(",") for pair in text.split(";")]
    try:
        points = [float(value) for pair in pairs for value in pair]
    except ValueError as error:
        raise ValueError(f"points are {text!r:.80}: {error!s:.80}") from error
    if any(len(pair) != 2 for pair in pairs) or not all(map(math.isfinite, points)):
        raise ValueError(f"points are {text!r:.80}; x,y;x,y;... are needed")
    return points


def _number(
    shape: ElementTree.Element, key: str, *, least: float = -MAX_COORDINATE, missing: str = ""
) -> float:
    text = shape.get(key, missing)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= MAX_COORDINATE:
        raise ValueError(
            f"{key} is {text!r:.40}; a number from {least:g} to {MAX_COORDINATE:g} is needed"
        )
    return value


def _flag(shape: ElementTree.Element, key: str, *, missing: str) -> bool:
    text = shape.get(key, missing)
    if text not in ("0", "1"):
        raise ValueError(f"{key} must be 0 or 1, got {text!r:.40}")
    return text == "1"
