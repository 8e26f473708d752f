"""What masks are like: area and box, from their run lengths, of many masks at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from simplevtr.formats.rle import decode_sound_texts, mask_text, starts_of

import numpy as np

# A piece of so many characters takes about 100 MB, whatever the number of masks.
_MOST_CHARS = 2**20
_CHARS_A_RUN = 7


@dataclass(frozen=True, slots=True)
class MaskMeasure:
    """A mask that can be read.

    Attributes:
        text: its compressed run lengths.
        area: in pixels.
        box: x, y, width, height in pixels; zeros if the mask is empty.
    """

    text: bytes
    area: int
    box: tuple[int, int, int, int]


def measure_masks(segmentations: list[Any], *, height: int, width: int) -> list[MaskMeasure | str]:
    """Measure masks of one size.

    Args:
        segmentations: RLEs or polygons, or anything else.
        height: in pixels.
        width: in pixels.

    Returns:
        A measure each, or why the segmentation cannot be read.
    """
    measures: list[MaskMeasure | str] = []
    texts: dict[int, bytes] = {}
    chars = 0
    for segmentation in segmentations:
        try:
            text = _text(segmentation, height, width)
        except (ValueError, OverflowError) as error:
            measures.append(str(error))
            continue
        if chars + len(text) > _MOST_CHARS:
            _measure(texts, measures, height, width)
            texts, chars = {}, 0
        texts[len(measures)] = text
        chars += len(text)
        measures.append("")
    _measure(texts, measures, height, width)
    return measures


def _text(segmentation: Any, height: int, width: int) -> bytes:
    if isinstance(segmentation, dict):
        counts = segmentation.get("counts")
        most = height * width + 2  # runs, the first and the last may have no pixel
        if isinstance(counts, str | list):
            longest = most * (_CHARS_A_RUN if isinstance(counts, str) else 1)
            if len(counts) > longest:
                raise ValueError(f"RLE counts are too long for {height} x {width} pixels")
    elif isinstance(segmentation, list):
        for polygon in segmentation:
            if isinstance(polygon, list) and any(type(x) is bool for x in polygon):
                raise ValueError("polygon coordinates must be numbers, not true or false")
    return mask_text(segmentation, height, width, allow_polygons=True)


def _measure(
    texts: dict[int, bytes], measures: list[MaskMeasure | str], height: int, width: int
) -> None:
    """Fill in the measures of the texts, which are given by their index."""
    places, given = [*texts], [*texts.values()]
    runs, rows, reasons = decode_sound_texts(given, height * width)
    for i, reason in reasons.items():
        measures[places[i]] = reason
    if not len(rows):
        return
    first = starts_of(rows)
    areas = np.add.reduceat(runs[:, 1], first).tolist()
    boxes = _boxes(runs, rows, first, height, height * width).tolist()
    sound = [i for i in range(len(given)) if i not in reasons]
    for i, area, box in zip(sound, areas, boxes, strict=True):
        measures[places[i]] = MaskMeasure(given[i], area, tuple(box))


def _boxes(
    runs: np.ndarray, rows: np.ndarray, first: np.ndarray, height: int, pixels: int
) -> np.ndarray:
    """(N, 4) int64 boxes x, y, width, height of N masks, zeros for empty ones.

    Not by pycocotools, which takes foreground runs of length zero for pixels.

    Args:
        runs: (R, 2) int64, pairs (background, foreground) of all masks.
        rows: (N,) int64, pairs of each mask.
        first: (N,) int64, first pair of each mask.
        height: rows of a mask.
        pixels: H * W.
    """
    ends = np.cumsum(runs[:, 0] + runs[:, 1])
    ends -= np.repeat(np.arange(len(rows)) * pixels, rows)
    begins = ends - runs[:, 1]
    drawn = runs[:, 1] > 0
    left, right = begins // height, (ends - 1) // height
    several = right > left  # columns: the run reaches the bottom of one and the top of the next
    top = np.where(several, 0, begins - left * height)
    bottom = np.where(several, height - 1, ends - 1 - right * height)
    low = [np.minimum.reduceat(np.where(drawn, side, pixels), first) for side in (left, top)]
    high = [np.maximum.reduceat(np.where(drawn, side, -1), first) for side in (right, bottom)]
    boxes = np.stack([*low, *high], axis=1)
    boxes[:, 2:] += 1 - boxes[:, :2]
    boxes[high[0] < 0] = 0
    return boxes
