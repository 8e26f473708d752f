"""Examines the masks of a video, and which tracks have any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from simplevtr.data.doctor.tracks import is_absent
from simplevtr.data.doctor.videos import Track
from simplevtr.formats.rle import decode_sound_texts, mask_text, starts_of

import numpy as np

_MOST_CHARS = 2**20  # decoded at once, which takes about 100 MB whatever the number of masks
_CHARS_A_RUN = 7


@dataclass(frozen=True)
class Masks:
    """What the masks of N tracks of a video, each with T entries, are like.

    Attributes:
        size: height and width of a mask in pixels.
        given: (N, T) bool, whether the file has a mask.
        usable: (N, T) bool, whether a repair keeps it: it can be read, and is not empty unless
            that is ignored.
        polygons: (N, T) bool, whether it is polygons.
        areas: (N, T) int64 pixels, 0 where there is no mask, -1 where it cannot be read.
        boxes: (N, T, 4) int64 x, y, width, height in pixels, zeros where there is no pixel.
        texts: for each track and entry the compressed RLE, None if it is not usable.
    """

    size: tuple[int, int]
    given: np.ndarray
    usable: np.ndarray
    polygons: np.ndarray
    areas: np.ndarray
    boxes: np.ndarray
    texts: list[list[bytes | None]]


def measure_masks(tracks: Sequence[Track], size: tuple[int, int]) -> Masks:
    """Measure the masks of tracks of one length; those that cannot be used are counted.

    Args:
        tracks: N, one at least, each with T segmentations.
        size: height and width of their video in pixels.
    """
    shape = (len(tracks), len(tracks[0].entry["segmentations"]))
    given, polygons = np.zeros(shape, bool), np.zeros(shape, bool)
    texts: list[list[bytes | None]] = [[None] * shape[1] for _ in tracks]
    places: list[tuple[int, int]] = []
    for row, track in enumerate(tracks):
        masks = track.entry["segmentations"]
        given[row] = [not is_absent(mask) for mask in masks]
        polygons[row] = [type(mask) is list for mask in masks]
        for frame in np.flatnonzero(given[row]).tolist():
            try:
                texts[row][frame] = _text(masks[frame], *size)
                places.append((row, frame))
            except (ValueError, OverflowError) as error:
                stated = masks[frame].get("size") if isinstance(masks[frame], dict) else None
                is_size = isinstance(stated, list) and [*map(type, stated)] == [int, int]
                defect = "mask-size" if is_size and tuple(stated) != size else "bad-mask"
                _lose(track, frame, defect, str(error))
    areas = np.where(given, -1, 0)
    boxes = np.zeros((*shape, 4), np.int64)
    if places:
        at = tuple(np.array(places).T)
        areas[at], boxes[at], reasons = _measure([texts[row][f] for row, f in places], *size)
        for index, reason in reasons.items():
            row, frame = places[index]
            _lose(tracks[row], frame, "bad-mask", reason)
    usable = given & (areas >= 0)
    for row, frame in np.argwhere(given & (areas == 0)).tolist():
        repair = "masks without a pixel became null"
        found = tracks[row].found.at(frame=frame)
        usable[row, frame] = not found.add("empty-mask", "the mask has no pixel", repair)
    for row, frame in np.argwhere(given & ~usable).tolist():
        texts[row][frame] = None
    return Masks(size, given, usable, polygons, areas, boxes, texts)


def _lose(track: Track, frame: int, defect: str, detail: str) -> None:
    track.found.at(frame=frame).add(defect, detail, "masks that cannot be used became null")


def _text(segmentation: Any, height: int, width: int) -> bytes:
    """The text of the compressed RLE of a segmentation, which is yet to be decoded."""
    text = mask_text(segmentation, height, width, allow_polygons=True)
    if len(text) > _CHARS_A_RUN * (height * width + 2):  # the first and last run may be empty
        raise ValueError(f"RLE counts are too long for {height} x {width} pixels")
    return text


def _measure(
    texts: Sequence[bytes], height: int, width: int
) -> tuple[np.ndarray, np.ndarray, dict[int, str]]:
    """Areas and boxes of N masks, as in ``Masks``, and why some cannot be read, by their index."""
    areas, boxes = np.full(len(texts), -1), np.zeros((len(texts), 4), np.int64)
    reasons: dict[int, str] = {}
    piece = np.cumsum([len(text) for text in texts]) // _MOST_CHARS
    for indices in np.split(np.arange(len(texts)), np.flatnonzero(np.diff(piece)) + 1):
        chosen = texts[indices[0] : indices[-1] + 1]
        runs, rows, bad = decode_sound_texts(chosen, height * width)
        reasons.update((int(indices[i]), reason) for i, reason in bad.items())
        if len(rows):
            sound = np.delete(indices, [*bad])
            areas[sound] = np.add.reduceat(runs[:, 1], starts_of(rows))
            boxes[sound] = _boxes(runs, rows, height, height * width)
    return areas, boxes, reasons


def _boxes(runs: np.ndarray, rows: np.ndarray, height: int, pixels: int) -> np.ndarray:
    """(N, 4) int64 boxes x, y, width, height of N masks, zeros for empty ones.

    Not by pycocotools, which takes foreground runs of length zero for pixels.

    Args:
        runs: (R, 2) int64, pairs (background, foreground) of all masks.
        rows: (N,) int64, pairs of each mask.
        height: rows of a mask.
        pixels: H * W.
    """
    first = starts_of(rows)
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


def examine_visibility(tracks: Sequence[Track], masks: Masks) -> None:
    """Count tracks without a pixel; one whose masks cannot be read is another matter."""
    for row in np.flatnonzero((masks.areas == 0).all(axis=1)).tolist():
        entries, track = len(masks.given[row]), tracks[row]
        seen = masks.given[row].any()
        detail = f"none of its {entries} segmentations has a pixel" if seen else "all are null"
        repair = "annotations that are never visible were dropped"
        track.dropped = track.found.add("never-visible", detail, repair)
        track.may_be_invisible = not track.dropped


def examine_repetition(tracks: Sequence[Track], masks: Masks) -> None:
    """Count tracks of a video with the same masks, and drop the later one of one category."""
    firsts: dict[tuple[bytes | None, ...], Track] = {}
    for row in np.flatnonzero(masks.usable.any(axis=1)).tolist():
        track = tracks[row]
        first = firsts.setdefault(tuple(masks.texts[row]), track)
        if first is track:
            continue
        one, two = first.entry, track.entry
        detail = f"has the masks of annotation {one['id']}"
        if one["category_id"] != two["category_id"]:
            detail += f", but category {two['category_id']} and not {one['category_id']}"
        if track.found.add("repeated-track", detail):
            same = one["category_id"] == two["category_id"]
            if same and one.get("iscrowd", 0) == two.get("iscrowd", 0):
                track.dropped = True
                track.found.repaired("tracks with the masks of another one were dropped")
