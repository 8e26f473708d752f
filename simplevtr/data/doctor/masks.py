"""Examines the masks of a video, and compares the boxes and areas of its tracks with them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from simplevtr.data.doctor.findings import shown
from simplevtr.data.doctor.tracks import is_absent
from simplevtr.data.doctor.videos import Track, Video
from simplevtr.formats.rle import decode_sound_texts, mask_text, starts_of

import numpy as np

_MOST_CHARS = 2**20  # decoded at once, which takes about 100 MB whatever the number of masks
_CHARS_A_RUN = 7
_MOST_NUMBER = 1e12  # pixels; no box or area comes near it
_AREA_TOLERANCE = 0.01  # of the mask's area; 1 pixel at least
# For each list: what a value and several are called, the defect of one that is not its mask's, and
# what is so.
_COLUMNS = {
    "bboxes": ("box", "boxes", "box-mask", "the mask's {}"),
    "areas": ("area", "areas", "wrong-area", "the mask has {} pixels"),
}


def examine_masks(video: Video, box_tolerance: float) -> int:
    """Count what is wrong with the masks, boxes and areas of a video, and repair its tracks.

    Its frames have been examined, so that its size is the right one. Returns the number of
    segmentations that are not null.
    """
    total = 0
    # Tracks of a video have one length, unless it is unclear which is the right one.
    by_length: dict[int, list[Track]] = {}
    for track in video.tracks:
        if not track.dropped:
            by_length.setdefault(len(track.entry["segmentations"]), []).append(track)
    for tracks in by_length.values():
        masks = _measured(tracks, video.size)
        for key in _COLUMNS:
            _examine_column(key, tracks, masks, box_tolerance)
        for row, frame in np.argwhere(masks.given & ~masks.usable).tolist():
            tracks[row].entry["segmentations"][frame] = None
        _examine_visibility(tracks, masks)
        _examine_repetition(tracks, masks)
        total += int(masks.given.sum())
    return total


@dataclass(frozen=True)
class _Masks:
    """What the masks of N tracks of a video, each with T entries, are like."""

    size: tuple[int, int]  # height and width of a mask in pixels
    given: np.ndarray  # (N, T) bool, whether the file has a mask
    polygons: np.ndarray  # (N, T) bool, whether it is polygons
    usable: np.ndarray  # (N, T) bool, whether a repair keeps it: readable, with pixels if need be
    texts: dict[tuple[int, int], bytes]  # compressed RLEs of the usable ones by (row, frame)
    areas: np.ndarray  # (N, T) int64 pixels, 0 where there is no mask, -1 where it cannot be read
    boxes: np.ndarray  # (N, T, 4) int64 x, y, width, height in pixels, zeros without a pixel


def _measured(tracks: Sequence[Track], size: tuple[int, int]) -> _Masks:
    """Measure the masks of tracks of one length; those that cannot be used are counted."""
    masks = [track.entry["segmentations"] for track in tracks]
    given = np.array([[not is_absent(mask) for mask in row] for row in masks], bool)
    polygons = np.array([[type(mask) is list for mask in row] for row in masks], bool)
    areas, boxes = np.where(given, -1, 0), np.zeros((*given.shape, 4), np.int64)
    texts: dict[tuple[int, int], bytes] = {}  # of RLEs that are yet to be decoded
    most = _CHARS_A_RUN * (size[0] * size[1] + 2)  # the first and last run may be empty
    repair = "masks that cannot be used became null"
    for row, frame in np.argwhere(given).tolist():
        mask = masks[row][frame]
        try:
            text = mask_text(mask, *size, allow_polygons=True)
            if len(text) > most:
                raise ValueError(f"RLE counts are too long for {size[0]} x {size[1]} pixels")
            texts[row, frame] = text
        except (ValueError, OverflowError) as error:
            stated = mask.get("size") if isinstance(mask, dict) else None
            is_size = isinstance(stated, list) and [*map(type, stated)] == [int, int]
            defect = "mask-size" if is_size and tuple(stated) != size else "bad-mask"
            tracks[row].found.at(frame=frame).add(defect, str(error), repair)
    if texts:
        places = [*texts]
        at = tuple(np.array(places).T)
        areas[at], boxes[at], reasons = _measure([*texts.values()], *size)
        for index, reason in reasons.items():
            row, frame = places[index]
            tracks[row].found.at(frame=frame).add("bad-mask", reason, repair)
    usable = given & (areas >= 0)
    for row, frame in np.argwhere(given & (areas == 0)).tolist():
        found, repair = tracks[row].found.at(frame=frame), "masks without a pixel became null"
        usable[row, frame] = not found.add("empty-mask", "the mask has no pixel", repair)
    texts = {place: text for place, text in texts.items() if usable[place]}
    return _Masks(size, given, polygons, usable, texts, areas, boxes)


def _measure(
    texts: Sequence[bytes], height: int, width: int
) -> tuple[np.ndarray, np.ndarray, dict[int, str]]:
    """Areas and boxes of N masks, as in ``_Masks``; why some cannot be read, by their index."""
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
    """(N, 4) int64 boxes of N masks from what ``decode_sound_texts`` returns, for H * W pixels.

    Not by pycocotools, which takes foreground runs of length zero for pixels.
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


def _examine_visibility(tracks: Sequence[Track], masks: _Masks) -> None:
    """A track whose masks cannot be read is another matter."""
    for row in np.flatnonzero((masks.areas == 0).all(axis=1)).tolist():
        entries, track = masks.given.shape[1], tracks[row]
        seen = masks.given[row].any()
        detail = f"none of its {entries} segmentations has a pixel" if seen else "all are null"
        repair = "annotations that are never visible were dropped"
        track.dropped = track.found.add("never-visible", detail, repair)
        track.may_be_invisible = not track.dropped


def _examine_repetition(tracks: Sequence[Track], masks: _Masks) -> None:
    """The later one of two tracks with the same masks is dropped if it has the same category."""
    firsts: dict[tuple[bytes | None, ...], Track] = {}
    frames = range(masks.given.shape[1])
    for row in np.flatnonzero(masks.usable.any(axis=1)).tolist():
        track = tracks[row]
        first = firsts.setdefault(tuple(masks.texts.get((row, f)) for f in frames), track)
        if first is track:
            continue
        one, two = first.entry, track.entry
        same = one["category_id"] == two["category_id"]
        detail = f"has the masks of annotation {one['id']}"
        if not same:
            detail += f", but category {two['category_id']} and not {one['category_id']}"
        counted = track.found.add("repeated-track", detail)
        if counted and same and one.get("iscrowd", 0) == two.get("iscrowd", 0):
            track.dropped = True
            track.found.repaired("tracks with the masks of another one were dropped")


def _examine_column(key: str, tracks: Sequence[Track], masks: _Masks, tolerance: float) -> None:
    """Count what is wrong with the boxes or areas of tracks, and compute them from the masks."""
    noun, plural, mismatch, of_mask = _COLUMNS[key]
    truth = masks.boxes if key == "bboxes" else masks.areas
    rows = [row for row, track in enumerate(tracks) if key in track.entry]
    values = [value for row in rows for value in tracks[row].entry[key]]
    shape = (len(rows), masks.given.shape[1])
    given = np.array([value is not None for value in values], bool).reshape(shape)
    defects = np.array([_defect(key, value) for value in values], object).reshape(shape)
    agree, nothing = _compared(key, values, defects, masks, rows, tolerance)
    visible = masks.areas[rows] > 0
    unreadable = (masks.given & ~masks.usable)[rows]
    wrong = np.where(visible, ~(given & agree), ~nothing) | unreadable | defects.astype(bool)
    wrong |= np.array([key in tracks[row].computed for row in rows], bool)[:, None]
    for index, frame in np.argwhere(wrong).tolist():
        track, usable = tracks[rows[index]], masks.usable[rows[index], frame]
        right = truth[rows[index], frame].tolist()
        value = track.entry[key][frame]
        case, detail = None, f"the {noun} is {shown(value)}"
        if defects[index, frame]:
            case = (defects[index, frame], detail)
        elif key not in track.computed and not unreadable[index, frame]:
            if value is None:
                case = ("mask-without-box", f"there is a mask, but the {noun} is null")
            elif not visible[index, frame]:
                case = ("box-without-mask", f"there is no mask, but {detail}")
            else:
                case = (mismatch, f"{detail}, {of_mask.format(right)}")
        if case is not None and not track.found.at(frame=frame).add(*case):
            continue
        track.entry[key][frame] = right if usable else None
        if usable:
            track.found.repaired(f"{plural} were computed from the masks")
        elif value is not None:
            track.found.repaired(f"{plural} without a mask became null")


def _compared(
    key: str,
    values: list[Any],
    defects: np.ndarray,
    masks: _Masks,
    rows: list[int],
    tolerance: float,
) -> tuple[np.ndarray, np.ndarray]:
    """(n, T) bool, whether the values of n rows are those of their masks, and are zeros or null."""
    zeros = [0, 0, 0, 0] if key == "bboxes" else [0]  # which some files write in place of null
    sides = [
        zeros if value is None or defect else value if key == "bboxes" else [value]
        for value, defect in zip(values, defects.flat, strict=True)
    ]
    numbers = np.array(sides, np.float64).reshape(*defects.shape, len(zeros))
    nothing = ~numbers.any(axis=-1)
    areas, boxes, polygons = masks.areas[rows], masks.boxes[rows], masks.polygons[rows]
    if key == "areas":
        # The area of polygons may be meant, which differs along the outline.
        allowed = np.maximum(1.0, _AREA_TOLERANCE * areas) + polygons * boxes[..., 2:].sum(axis=-1)
        return np.abs(numbers[..., 0] - areas) <= allowed, nothing
    for corners in (numbers, boxes):
        corners[..., 2:] += corners[..., :2]
    # Polygons may lead out of the frame, and their boxes too.
    clipped = np.clip(numbers, 0, [*masks.size[::-1]] * 2)
    corners = np.where(polygons[..., None], clipped, numbers)
    return (np.abs(corners - boxes) <= tolerance).all(axis=-1), nothing


def _defect(key: str, value: Any) -> str | None:
    """The defect of a value that cannot be a box or an area of a size that pixels can have."""
    if value is None:
        return None
    is_box = key == "bboxes"
    if is_box and (type(value) is not list or len(value) != 4):
        return "bad-box"
    for number in value if is_box else (value,):
        if type(number) not in (int, float):
            return "bad-box" if is_box else "wrong-type"
        if type(number) is float and not math.isfinite(number):
            return "non-finite"
        if abs(number) > _MOST_NUMBER:
            return "impossible-number"
    return "impossible-number" if (min(value[2:]) if is_box else value) < 0 else None
