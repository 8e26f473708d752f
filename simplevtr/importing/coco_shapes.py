"""Segmentations in COCO files of other tools: polygons with holes, and boxes in place of outlines.

A ring is the outline of a polygon or of a hole in it, ``[x0, y0, x1, y1, ...]`` in pixels.
"""

from __future__ import annotations

import reprlib
from typing import Any

from simplevtr.formats.rle import check_polygons, inverted
from simplevtr.importing.dataset import Rle
from simplevtr.importing.mask_shapes import from_polygons, from_rle

from pycocotools import mask as coco_mask


def from_shapes(segmentation: Any, size: tuple[int, int]) -> tuple[Rle, bool]:
    """The mask of a COCO segmentation, whose polygons may have holes, and whether it is a box.

    Args:
        segmentation: an RLE or polygons, not none; besides a list of numbers a polygon may be
            ``{"exterior": [[x, y], ...], "interiors": [[[x, y], ...], ...]}`` with its holes, and
            the only one need not be in a list.
        size: (H, W) of the frame in pixels.

    Returns:
        The mask, and whether it has pixels and is a single polygon that is an upright rectangle, as
        boxes look that were written as polygons.

    Raises:
        ValueError: the segmentation cannot be used; the message names no file.
    """
    if isinstance(segmentation, dict) and "exterior" in segmentation:
        segmentation = [segmentation]
    if not isinstance(segmentation, list):
        return from_rle(segmentation, size), False
    polygons = [_rings(polygon) for polygon in segmentation]
    check_polygons([ring for rings in polygons for ring in rings])  # together, not one by one
    whole = [rings[0] for rings in polygons if len(rings) == 1]
    masks = [from_polygons(whole, size)] if whole else []
    for outline, *holes in (rings for rings in polygons if len(rings) > 1):
        around = inverted(from_polygons(holes, size))
        masks.append(coco_mask.merge([from_polygons([outline], size), around], intersect=True))
    mask = coco_mask.merge(masks)
    is_box = len(polygons) == len(whole) == 1 and _is_rectangle(whole[0])
    return mask, is_box and bool(coco_mask.area(mask))


def _rings(polygon: Any) -> list[Any]:
    """The outline of a polygon and those of its holes; numbers are not checked yet."""
    if not isinstance(polygon, dict):
        return [polygon]
    holes = polygon.get("interiors") or []
    if not isinstance(holes, list):
        raise ValueError(f"polygon's 'interiors' is {reprlib.repr(holes)}; a list is needed")
    rings = (polygon.get("exterior"), *holes)
    for ring in rings:
        if not isinstance(ring, list) or not all(isinstance(p, list) and len(p) == 2 for p in ring):
            raise ValueError(
                f"polygon with 'exterior' or a hole {reprlib.repr(ring)}; a list of points [x, y] "
                "is needed"
            )
    return [[value for point in ring for value in point] for ring in rings]


def _is_rectangle(ring: list[float]) -> bool:
    """Whether the sides are level and upright in turn; the first corner may stand last again."""
    if len(ring) == 10 and ring[:2] == ring[8:]:
        ring = ring[:8]
    if len(ring) != 8:
        return False
    x0, y0, x1, y1, x2, y2, x3, y3 = ring
    level_first = y0 == y1 and x1 == x2 and y2 == y3 and x3 == x0
    upright_first = x0 == x1 and y1 == y2 and x2 == x3 and y3 == y0
    return level_first or upright_first
