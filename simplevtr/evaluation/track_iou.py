"""Intersection over union of mask tracks and of the masks of one frame, computed by pycocotools."""

from __future__ import annotations

from collections.abc import Sequence

from simplevtr.formats.film_strips import FilmStrip

import numpy as np
from pycocotools import mask as coco_mask


def track_iou(first: Sequence[FilmStrip], second: Sequence[FilmStrip]) -> np.ndarray:
    """IoU of every pair of tracks of one video, as a float64 array (len(first), len(second)).

    The IoU of two tracks without any mask is 0.
    """
    if not first or not second:
        return np.zeros((len(first), len(second)))
    # Zeros: crowd tracks are compared like any other, as in the official evaluation.
    return coco_mask.iou([s.rle for s in first], [s.rle for s in second], [0] * len(second))


def frame_iou(true: Sequence[dict | None], predicted: Sequence[dict | None]) -> np.ndarray:
    """(true, predicted) float64 IoU of the masks of one frame, 0 where one of them is None.

    Args:
        true: masks as ``split_frames`` gives them.
        predicted: likewise.
    """
    iou = np.zeros((len(true), len(predicted)))
    rows = [i for i, mask in enumerate(true) if mask is not None]
    columns = [i for i, mask in enumerate(predicted) if mask is not None]
    if rows and columns:
        iou[np.ix_(rows, columns)] = coco_mask.iou(
            [true[i] for i in rows], [predicted[i] for i in columns], [0] * len(columns)
        )
    return iou
