"""Polygons of masks, checked before pycocotools may draw them."""

from collections.abc import Sequence
from numbers import Real

from simplevtr.formats.checks import shown

import numpy as np
from pycocotools import mask as coco_mask

# pycocotools' time and memory grow with a polygon's outline, about 100 bytes a pixel.
MAX_COORDINATE = 1e5  # pixels from the frame's corner
_MAX_OUTLINE = 1e6  # pixels, of all polygons of a mask


def polygons_text(polygons: Sequence[object], height: int, width: int) -> bytes:
    """The text of the compressed RLE of a union of polygons, which is empty without any.

    ValueError if one is not a list ``[x0, y0, x1, y1, ...]`` in pixels, or would take much time
    and memory to draw.
    """
    check_polygons(polygons)
    if not polygons:
        empty = {"size": [height, width], "counts": [height * width]}
        return coco_mask.frPyObjects(empty, height, width)["counts"]
    return coco_mask.merge(coco_mask.frPyObjects(list(polygons), height, width))["counts"]


def check_polygons(polygons: Sequence[object]) -> None:
    """Raise ValueError as ``polygons_text`` does; nothing is drawn."""
    outline = sum(map(_outline_length, polygons))
    if outline > _MAX_OUTLINE:
        most = f"at most {_MAX_OUTLINE:g} are allowed"
        raise ValueError(f"polygons with an outline of {outline:.3g} pixels; {most}")


def _outline_length(polygon: object) -> float:
    """The pixels that a polygon's outline passes."""
    if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
        needed = "a list of at least 6 numbers x, y, ... is needed"
        raise ValueError(f"polygon {shown(polygon)}; {needed}")
    kinds = set(map(type, polygon))
    if not kinds <= {int, float} and not all(issubclass(k, Real) and k is not bool for k in kinds):
        raise ValueError(f"polygon {shown(polygon)} holds something else than numbers")
    wild = next((x for x in polygon if not abs(x) <= MAX_COORDINATE), None)  # "not": NaN as well
    if wild is not None:
        allowed = f"+-{MAX_COORDINATE:g} pixels"
        raise ValueError(f"polygon coordinate {shown(wild)} is out of range ({allowed})")
    corners = np.asarray(polygon, dtype=np.float64).reshape(-1, 2)
    return float(np.abs(corners - np.roll(corners, 1, axis=0)).max(axis=1).sum())
