"""Masks from what foreign files hold: polygons, ellipses, run lengths, pictures of labels.

Files may come from anybody, so all that decides how much time and memory a mask takes is bounded.
A ring is the outline of a polygon or of a hole in it, ``[x0, y0, x1, y1, ...]`` in pixels. All
functions raise ValueError, with a reason that names no file, for shapes that cannot be used.
"""

import io
import math
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simplevtr.formats import rle
from simplevtr.formats.checks import is_finite
from simplevtr.formats.images import UNREADABLE, open_image
from simplevtr.formats.polygons import MAX_COORDINATE, check_polygons, polygons_text
from simplevtr.toolbox.importing.reading import Rle, Size

import cv2
import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

Kind = tuple[tuple[str, ...], str]  # modes that Pillow reads pictures in, and what that is in words
OBJECT_NUMBERS = (("P", "L", "1", "LA", "RGB", "RGBA"), "a palette, 8-bit grey or colours")
DEEP_LABELS = (("I;16", "I;16B", "I"), "16-bit grey")
GREY = (("P", "L", "1"), "8-bit grey")

# More objects than this a picture does not have; a photograph has more colours.
_MOST_OBJECTS = 100
# So few grey levels may be any objects, and levels so low any number of them.
_FEW_LEVELS, LOW_LEVEL = 8, 64


def from_rle(segmentation: Any, size: Size) -> Rle:
    """The mask of a compressed or uncompressed RLE, whose size must be (H, W) of the frame."""
    text = rle.mask_text(segmentation, *size, allow_polygons=False)
    rle.decode_texts([text], size[0] * size[1])
    return {"size": [*size], "counts": text}


def from_polygons(polygons: Sequence[Any], size: Size) -> Rle:
    """The union of polygons ``[x0, y0, x1, y1, ...]`` in pixels."""
    return {"size": [*size], "counts": polygons_text(polygons, *size)}


def from_coco(segmentation: Any, size: Size) -> tuple[Rle, bool]:
    """The mask of a COCO segmentation, whose polygons may have holes, and whether it is a box.

    A polygon is a list of numbers, or ``{"exterior": [[x, y], ...], "interiors": [[[x, y], ...],
    ...]}`` with its holes; the only one need not be in a list. A box has pixels and is a single
    polygon that is an upright rectangle, as boxes look that were written as polygons.
    """
    if isinstance(segmentation, dict) and "exterior" in segmentation:
        segmentation = [segmentation]
    if not isinstance(segmentation, list):
        return from_rle(segmentation, size), False
    polygons = [_rings(polygon) for polygon in segmentation]
    check_polygons([ring for rings in polygons for ring in rings])  # together, not one by one
    masks = []
    for outline, *holes in polygons:
        masks.append(from_polygons([outline], size))
        if holes:
            solid, hollow = (coco_mask.decode(m) for m in (masks[-1], from_polygons(holes, size)))
            masks[-1] = rle.encode_mask(solid > hollow)
    mask = coco_mask.merge(masks)
    is_box = len(polygons) == len(polygons[0]) == 1 and _is_rectangle(polygons[0][0])
    return mask, is_box and bool(coco_mask.area(mask))


def _rings(polygon: Any) -> list[Any]:
    """The outline of a polygon and those of its holes; numbers of a list are not checked yet."""
    if not isinstance(polygon, dict):
        return [polygon]
    if "exterior" not in polygon:
        raise ValueError(f"{reprlib.repr(polygon)} is in a list; an RLE must stand alone")
    holes = polygon.get("interiors") or []
    if not isinstance(holes, list):
        raise ValueError(f"polygon's 'interiors' is {reprlib.repr(holes)}; a list is needed")
    return [flat(ring) for ring in (polygon.get("exterior"), *holes)]


def flat(points: Any) -> list[float]:
    """The ring ``[x0, y0, x1, y1, ...]`` of a list of points [x, y] whose sums do not overflow."""
    pairs = isinstance(points, list) and all(isinstance(p, list) and len(p) == 2 for p in points)
    if not points or not pairs or not all(is_finite(v) and abs(v) < 1e9 for p in points for v in p):
        found = reprlib.repr(points)
        raise ValueError(f"points are {found}; a list of points [x, y] in pixels is needed")
    return [value for point in points for value in point]


def _is_rectangle(ring: list[float]) -> bool:
    """Whether the sides are level and upright in turn; the first corner may stand last again."""
    if len(ring) == 10 and ring[:2] == ring[8:]:
        ring = ring[:8]
    if len(ring) != 8:
        return False
    x0, y0, x1, y1, x2, y2, x3, y3 = ring
    return (y0, x1, y2, x3) == (y1, x2, y3, x0) or (x0, y1, x2, y3) == (x1, y2, x3, y0)


def from_ellipse(
    centre: tuple[float, float], radii: tuple[float, float], angle: float, size: Size
) -> Rle:
    """The pixels whose centres lie in an ellipse of (x, y) and radii in pixels.

    It is turned clockwise by ``angle`` in radians; a radius of 0 gives an empty mask.
    """
    # "not": NaN as well
    if not all(abs(value) <= MAX_COORDINATE for value in (*centre, *radii)):
        raise ValueError(f"centre {centre} and radii {radii} of an ellipse are out of range")
    if min(radii) <= 0:
        return rle.encode_mask(np.zeros(size))
    rows, columns = np.ogrid[: size[0], : size[1]]
    dx, dy = columns + 0.5 - centre[0], rows + 0.5 - centre[1]
    cos, sin = math.cos(angle), math.sin(angle)
    along, across = (dx * cos + dy * sin) / radii[0], (dy * cos - dx * sin) / radii[1]
    return rle.encode_mask(np.hypot(along, across) <= 1)


def from_window(pixels: np.ndarray, left: int, top: int, size: Size) -> Rle:
    """The part inside the frame of (h, w) bool pixels whose upper left corner may lie outside."""
    frame = np.zeros(size, dtype=bool)
    inner = pixels[max(-top, 0) : max(size[0] - top, 0), max(-left, 0) : max(size[1] - left, 0)]
    rows, columns = max(top, 0), max(left, 0)
    frame[rows : rows + inner.shape[0], columns : columns + inner.shape[1]] = inner
    return rle.encode_mask(frame)


def from_labels(picture: np.ndarray) -> dict[int, Rle]:
    """The mask of each value but 0 of an (H, W) integer picture, by value, ascending.

    The time does not grow with the number of values.
    """
    pixels = picture.ravel(order="F")
    starts = np.flatnonzero(np.diff(pixels, prepend=~pixels[:1]))
    ends = np.append(starts[1:], pixels.size)
    values = pixels[starts]
    order = np.argsort(values, kind="stable")
    order = order[values[order] != 0]
    distinct, first = np.unique(values[order], return_index=True)
    masks: dict[int, Rle] = {}
    for value, runs in zip(distinct.tolist(), np.split(order, first)[1:], strict=True):
        edges = np.stack([starts[runs], ends[runs]], axis=1).ravel()
        counts = np.diff(edges, prepend=0, append=pixels.size).tolist()
        masks[value] = rle.encode_runs(counts, *picture.shape)
    return masks


def read_object_numbers(
    path: Path, size: Size
) -> tuple[np.ndarray, bool | None, dict[int, tuple[int, ...]]]:
    """Read a PNG of (H, W) pixels in which each object has a number or a colour of its own.

    The number is the palette's index or the grey level. Black and white pictures of one bit have
    the numbers 0 and 255, as they have grey levels. In RGB, grey is its level, and any other colour
    a number above 255 that stands for it.

    Returns:
        (H, W) int32 numbers, 0 in the background; whether colours or numbers identify the objects,
        None where it may be either; (r, g, b) of the numbers that occur, empty without a palette.
    """
    image = read_labels(path, size, OBJECT_NUMBERS)
    picture, mode, palette = np.array(image), image.mode, image.getpalette() or []
    used = np.flatnonzero(np.bincount(picture.ravel())).tolist() if palette else ()
    colours_of = {n: c for n in used if (c := tuple(palette[3 * n : 3 * n + 3]))}
    if any(palette[:3]) and (black := [n for n, colour in colours_of.items() if not any(colour)]):
        what = f"has a palette in which {black[0]} is black, the background, and 0 is not"
        raise ValueError(f"{what}; save it in RGB, or with a palette that begins with black")
    if mode in ("LA", "RGBA"):
        if (picture[..., -1] != 255).any():
            raise ValueError("is transparent in places; the background must be black")
        picture = picture[..., :-1]
    picture = picture.astype(np.int32).reshape(*size, -1)  # of one or three channels
    level = picture[..., 0]
    is_grey = (picture == level[..., None]).all(axis=2)
    if is_grey.all():
        found, what = np.setdiff1d(level, (0, 255)), "grey values other than 0 and 255"
        # Objects are numbered from 1 without large gaps, though one number may lie apart, as void;
        # smoothed edges are not.
        many = mode != "P" and len(found) > _FEW_LEVELS
        many = many and (len(found) > _MOST_OBJECTS or found[-2] > max(LOW_LEVEL, 2 * len(found)))
        by_colour = False if mode in ("P", "L", "LA") and len(found) else None
    else:
        colours = (1 << 24) + picture @ np.array([1 << 16, 1 << 8, 1], np.int32)
        found, what = np.unique(colours), "colours"
        many = len(found) > _MOST_OBJECTS
        level, by_colour = np.where(is_grey, level, colours), True
    if many:
        way = "save masks without smoothing or JPEG compression"
        raise ValueError(f"has {len(found)} {what}, each of which would be an object; {way}")
    return level, by_colour, colours_of


def has_thin(numbers: np.ndarray) -> bool:
    """Whether a value of an (H, W) picture is nowhere 3 x 3 pixels large."""
    around, exact = np.ones((3, 3), np.uint8), numbers.astype(np.float64)
    solid = cv2.erode(exact, around) == cv2.dilate(exact, around)
    return len(np.unique(numbers[solid])) < len(np.unique(numbers))


def read_labels(
    file: Path | io.BytesIO, size: Size, kind: Kind, *, formats: tuple[str, ...] = ("PNG",)
) -> Image.Image:
    """Read a picture, which is decoded only if it has (H, W) pixels of this kind.

    That of one bit becomes grey, 0 and 255.
    """
    modes, description = kind
    form = " or ".join(formats)
    try:
        with open_image(file, formats=formats) as image:
            found, mode = (image.height, image.width), image.mode
            if found == tuple(size) and mode in modes:
                return image.convert("L") if mode == "1" else image.copy()
    except UNREADABLE as error:
        raise ValueError(f"cannot be read as a {form}: {error}") from error
    if found != tuple(size):
        wanted = f"expected {size[0]} x {size[1]}"
        raise ValueError(f"has {found[0]} x {found[1]} pixels (height x width), {wanted}")
    raise ValueError(f"is a {form} of mode {mode!r}; {description} is needed ({', '.join(modes)})")
