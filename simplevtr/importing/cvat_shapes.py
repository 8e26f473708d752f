"""The masks of CVAT's shapes: XML elements ``polygon``, ``mask`` and ``ellipse``."""

from __future__ import annotations

import math
from collections import Counter
from xml.etree import ElementTree

from simplevtr.formats.rle import MAX_COORDINATE
from simplevtr.importing.dataset import Rle
from simplevtr.importing.mask_shapes import from_ellipse, from_polygons, from_window

MASKS = ("polygon", "mask", "ellipse")
OTHER_SHAPES = ("box", "polyline", "points", "cuboid", "skeleton")
_FARTHEST = MAX_COORDINATE  # of radii and degrees too
_SMALLEST = 0.01  # of a radius in pixels; CVAT writes two decimals


def shape_mask(
    shape: ElementTree.Element, size: tuple[int, int], notes: Counter[str]
) -> Rle | None:
    """The mask of a shape whose tag is one of MASKS, None if it is outside.

    Args:
        shape: the element.
        size: (H, W) of the frame in pixels.
        notes: where shapes between keyframes are counted.

    Raises:
        ValueError: an attribute cannot be used.
    """
    if _flag(shape, "outside"):
        return None
    if not _flag(shape, "keyframe", missing=1):
        notes["shapes interpolated by CVAT, imported"] += 1
    if shape.tag == "polygon":
        return from_polygons([_points(shape)], size)
    if shape.tag == "ellipse":
        return _ellipse(shape, size)
    window = tuple(whole_number(shape, key) for key in ("left", "top", "width", "height"))
    text = shape.get("rle") or ""
    runs = [part.strip() for part in text.split(",")]
    if not all(run.isascii() and run.isdecimal() and len(run) < 12 for run in runs):
        raise ValueError(f"rle is {text!r:.80}; run lengths with commas between are needed")
    return from_window([int(run) for run in runs], window, size)


def whole_number(shape: ElementTree.Element, key: str) -> int:
    """An attribute that must be a whole number, 0 or more."""
    text = shape.get(key, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise ValueError(f"{key} of {shape.tag} is {text!r:.40}; a number >= 0 is needed")
    return int(text)


def _ellipse(shape: ElementTree.Element, size: tuple[int, int]) -> Rle:
    centre = _number(shape, "cx"), _number(shape, "cy")
    radii = (_number(shape, "rx", least=_SMALLEST), _number(shape, "ry", least=_SMALLEST))
    angle = math.radians(_number(shape, "rotation", missing="0"))
    return from_ellipse(centre, radii, angle, size)


def _points(shape: ElementTree.Element) -> list[float]:
    text = shape.get("points") or ""
    pairs = [pair.split(",") for pair in text.split(";")]
    try:
        points = [float(value) for pair in pairs for value in pair]
    except ValueError as error:
        raise ValueError(f"points are {text!r:.80}: {error!s:.80}") from error
    if any(len(pair) != 2 for pair in pairs) or not all(map(math.isfinite, points)):
        raise ValueError(f"points are {text!r:.80}; x,y;x,y;... are needed")
    return points


def _number(
    shape: ElementTree.Element, key: str, *, least: float = -_FARTHEST, missing: str = ""
) -> float:
    text = shape.get(key, missing)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= _FARTHEST:
        raise ValueError(
            f"{key} of {shape.tag} is {text!r:.40}; a number from {least:g} to {_FARTHEST:g} is "
            "needed"
        )
    return value


def _flag(shape: ElementTree.Element, key: str, *, missing: int = 0) -> bool:
    text = shape.get(key, str(missing))
    if text not in ("0", "1"):
        raise ValueError(f"{key} of {shape.tag} is {text!r:.40}; 0 or 1 is needed")
    return text == "1"
