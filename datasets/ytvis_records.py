"""Records of the YTVIS annotation format from masks."""

from __future__ import annotations

from simplevtr.formats.rle import as_text, encode_mask

import cv2
import numpy as np
from pycocotools import mask as mask_coder

ENCODINGS = ("compressed", "uncompressed", "polygons")
POLYGON_MIN_IOU = 0.92  # a polygon that keeps less of its mask is not used
_POLYGON_TOLERANCE = 0.4  # how far, in pixels, a simplified outline may leave the mask's


def annotation_record(
    masks: np.ndarray, *, category_id: int, encoding: str, min_pixels: int
) -> dict:
    """The annotation of one track, without ``id`` and ``video_id``.

    Args:
        masks: (T, H, W) bool, empty where the object is absent.
        category_id: the category's id.
        encoding: one of ``ENCODINGS``. With "polygons", the polygons are the truth: boxes and areas
            follow them. A track that polygons cannot follow (a ring's hole) becomes compressed.
        min_pixels: polygons that cover fewer pixels than this are refused too.

    Returns:
        A JSON-ready dict; its lists have an entry a frame, None where the object is absent.

    Raises:
        ValueError: the encoding's name is unknown.
    """
    if encoding not in ENCODINGS:
        raise ValueError(f"unknown encoding {encoding!r}; known: {', '.join(ENCODINGS)}")
    length, height, width = masks.shape
    coded = [encode_mask(mask) if mask.any() else None for mask in masks]
    stored: list = [code and as_text(code) for code in coded]
    if encoding == "uncompressed":
        stored = [_uncompressed(m) if m.any() else None for m in masks]
    elif encoding == "polygons":
        stored, coded = _all_polygons(masks, coded, min_pixels) or (stored, coded)
    return {
        "category_id": category_id,
        "iscrowd": 0,
        "height": height,
        "width": width,
        "length": length,
        "segmentations": stored,
        "bboxes": [code and mask_coder.toBbox(code).tolist() for code in coded],
        "areas": [code and int(mask_coder.area(code)) for code in coded],
    }


def _uncompressed(mask: np.ndarray) -> dict:
    """Run lengths down the columns, zeros first."""
    pixels = np.concatenate([[False], mask.ravel(order="F")])
    changes = np.flatnonzero(np.diff(pixels))
    counts = np.diff(np.concatenate([[0], changes, [mask.size]]))
    return {"size": list(mask.shape), "counts": counts.tolist()}


def _all_polygons(masks: np.ndarray, coded: list, min_pixels: int) -> tuple[list, list] | None:
    """Outlines and their coded masks, an entry a frame; None if one of them would be poor."""
    stored: list = [None] * len(masks)
    drawn: list = [None] * len(masks)
    for t, code in enumerate(coded):
        if code is not None:
            stored[t], drawn[t] = _polygons(masks[t], code, min_pixels)
            if drawn[t] is None:
                return None
    return stored, drawn


def _polygons(mask: np.ndarray, coded: dict, min_pixels: int) -> tuple[list | None, dict | None]:
    """Outlines [[x, y, x, y, ...], ...] in pixels and their coded mask, or (None, None)."""
    fine = np.kron(mask.astype(np.uint8), np.ones((4, 4), np.uint8))
    contours, _ = cv2.findContours(fine, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    smooth = [cv2.approxPolyDP(c, 4 * _POLYGON_TOLERANCE, True).reshape(-1, 2) for c in contours]
    outlines = [((c + 0.5) / 4).ravel().tolist() for c in smooth if len(c) >= 3]
    if not outlines:
        return None, None
    drawn = mask_coder.merge(mask_coder.frPyObjects(outlines, *mask.shape))
    if mask_coder.area(drawn) < min_pixels:
        return None, None
    if mask_coder.iou([drawn], [coded], [0])[0, 0] < POLYGON_MIN_IOU:
        return None, None
    return outlines, drawn
