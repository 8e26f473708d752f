"""Records of the YTVIS annotation format from masks."""

from __future__ import annotations

from simplevtr.formats.rle import encode_mask, frame_lists, run_lengths

import cv2
import numpy as np
from pycocotools import mask as coco_mask

ENCODINGS = ("compressed", "uncompressed", "polygons")
POLYGON_MIN_IOU = 0.92  # a polygon that keeps less of its mask is not used
_POLYGON_TOLERANCE = 0.4  # how far, in pixels, a simplified outline may leave the mask's


def annotation_record(
    masks: np.ndarray, *, category_id: int, encoding: str, min_pixels: int
) -> dict:
    """The annotation of one track, ready for JSON, without ``id`` and ``video_id``.

    Args:
        masks: (T, H, W) bool, empty where the object is absent.
        category_id: the category's id.
        encoding: one of ``ENCODINGS``. With "polygons", the polygons are the truth: boxes and areas
            follow them. A track that polygons cannot follow (a ring's hole) becomes compressed.
        min_pixels: polygons that cover fewer pixels than this are refused too.

    Raises:
        ValueError: the encoding's name is unknown.
    """
    if encoding not in ENCODINGS:
        raise ValueError(f"unknown encoding {encoding!r}; known: {', '.join(ENCODINGS)}")
    length, height, width = masks.shape
    coded = [encode_mask(mask) if mask.any() else None for mask in masks]
    segmentations = None
    if encoding == "uncompressed":
        size = [height, width]
        segmentations = [code and {"size": size, "counts": run_lengths(code)} for code in coded]
    elif encoding == "polygons":
        drawn = [
            _polygons(mask, code, min_pixels) if code else (None, None)
            for mask, code in zip(masks, coded, strict=True)
        ]
        if all(drawn):
            segmentations, coded = zip(*drawn, strict=True)
    lists = frame_lists(coded)
    return {
        "category_id": category_id,
        "iscrowd": 0,
        "height": height,
        "width": width,
        "length": length,
        **lists,
        "segmentations": segmentations or lists["segmentations"],
    }


def _polygons(mask: np.ndarray, coded: dict, min_pixels: int) -> tuple[list, dict] | None:
    """Outlines [[x, y, x, y, ...], ...] in pixels and their coded mask; None if it is poor."""
    fine = np.kron(mask.astype(np.uint8), np.ones((4, 4), np.uint8))
    contours, _ = cv2.findContours(fine, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    smooth = [cv2.approxPolyDP(c, 4 * _POLYGON_TOLERANCE, True).reshape(-1, 2) for c in contours]
    outlines = [((c + 0.5) / 4).ravel().tolist() for c in smooth if len(c) >= 3]
    if not outlines:
        return None
    drawn = coco_mask.merge(coco_mask.frPyObjects(outlines, *mask.shape))
    close = coco_mask.iou([drawn], [coded], [0])[0, 0] >= POLYGON_MIN_IOU
    return (outlines, drawn) if close and coco_mask.area(drawn) >= min_pixels else None
