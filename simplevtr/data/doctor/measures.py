"""What masks are like: area and box, from their run lengths, of many masks at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from simplevtr.formats.rle import decode_sound_texts, mask_text, starts_of

import numpy as np

# A piece of so many characters takes about 100 MB, whatever the number of masks.
_MOST_CHARS = 2**20
_CHARS_A_RUN = 7


@dataclass(frozen=True)
class Masks:
    """What the masks of N tracks of a video, each with T entries, are like.

    Attributes:
        size: height and width of a mask in pixels.
        given: (N, T) bool, whether the file has a mask.
        sound: (N, T) bool, whether it can be read.
        usable: (N, T) bool, whether a repair keeps it: it is sound, and not empty unless that is
            ignored.
        polygons: (N, T) bool, whether it is polygons.
        areas: (N, T) int64 pixels.
        boxes: (N, T, 4) int64 x, y, width, height in pixels, zeros where there is no pixel.
        texts: for each track and entry the compressed RLE, None if it is not usable.
    """

    size: tuple[int, int]
    given: np.ndarray
    sound: np.ndarray
    usable: np.ndarray
    polygons: np.ndarray
    areas: np.ndarray
    boxes: np.ndarray
    texts: list[list[bytes | None]]


def text_of(segmentation: Any, height: int, width: int) -> bytes:
    """The text of a compressed RLE of a segmentation, which ``measure`` is yet to decode.

    Raises:
        ValueError, OverflowError: it is neither an RLE nor polygons.
    """
    if type(segmentation) is list:
        for polygon in segmentation:
            if isinstance(polygon, list) and any(type(x) is bool for x in polygon):
                raise ValueError("polygon coordinates must be numbers, not true or false")
    text = mask_text(segmentation, height, width, allow_polygons=True)
    if len(text) > _CHARS_A_RUN * (height * width + 2):  # the first and last run may be empty
        raise ValueError(f"RLE counts are too long for {height} x {width} pixels")
    return text


def measure(
    texts: Sequence[bytes], *, height: int, width: int
) -> tuple[np.ndarray, np.ndarray, dict[int, str]]:
    """Measure masks of one size, in pixels.

    Args:
        texts: of compressed RLEs.
        height: in pixels.
        width: in pixels.

    Returns:
        (N,) int64 areas; (N, 4) int64 boxes x, y, width, height, zeros where a mask is empty; and
        why texts cannot be decoded, by their index.
    """
    areas = np.zeros(len(texts), np.int64)
    boxes = np.zeros((len(texts), 4), np.int64)
    reasons: dict[int, str] = {}
    for start, stop in _pieces(texts):
        runs, rows, bad = decode_sound_texts(texts[start:stop], height * width)
        reasons.update((start + i, reason) for i, reason in bad.items())
        if len(rows):
            sound = np.delete(np.arange(start, stop), [*bad])
            first = starts_of(rows)
            areas[sound] = np.add.reduceat(runs[:, 1], first)
            boxes[sound] = _boxes(runs, rows, first, height, height * width)
    return areas, boxes, reasons


def _pieces(texts: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Start and stop of consecutive texts of at most so many characters, or of one text."""
    start = chars = 0
    for index, text in enumerate(texts):
        if index > start and chars + len(text) > _MOST_CHARS:
            yield start, index
            start, chars = index, 0
        chars += len(text)
    if len(texts) > start:
        yield start, len(texts)


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
