"""Examines the masks of a video, and compares the boxes and areas of its tracks with them."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from simplevtr.formats.checks import shown
from simplevtr.formats.images import Size
from simplevtr.formats.rle import decode_valid_texts, mask_text, starts_of
from simplevtr.formats.ytvis import is_absent
from simplevtr.toolbox.doctor.tracks import TO_COMPUTE
from simplevtr.toolbox.doctor.videos import Track, Video

import numpy as np

_MOST_CHARS = 2**20  # decoded at once, which takes about 100 MB whatever the number of masks
_CHARS_A_RUN = 7
_MOST_NUMBER = 1e12  # pixels; no box or area comes near it
_AREA_TOLERANCE = 0.01  # of the mask's area; 1 pixel at least
# For each list: a value's name, its plural, the defect of a value that does not match its mask, and
# how a message gives the mask's own.
_COLUMNS = {
    "bboxes": ("box", "boxes", "box-mask", "the mask's {}"),
    "areas": ("area", "areas", "wrong-area", "the mask has {} pixels"),
}


class _Mask(NamedTuple):
    """A mask of a frame as it can be used."""

    text: bytes  # its compressed RLE
    area: int  # pixels
    box: list[int]  # x, y, width, height in pixels, zeros without a pixel
    is_polygons: bool


_LOST = _Mask(b"", 0, [0] * 4, False)  # one that is given but cannot be used


def examine_masks(video: Video, box_tolerance: float) -> int:
    """Count what is wrong with the masks, boxes and areas of a video, and repair its tracks.

    Its frames have been examined, so that its size is the right one. Returns the number of
    segmentations that are not null.
    """
    total, kept = 0, []
    firsts: dict[tuple[bytes | None, ...], Track] = {}  # tracks by the masks that they have
    for track, masks in zip(video.tracks, _measured(video), strict=True):
        given = [mask for mask in masks if mask is not None]
        total += len(given)
        for frame, mask in enumerate(masks):
            if mask and mask is not _LOST and not mask.area:
                found, repair = track.found.at(frame=frame), "masks without a pixel became null"
                if found.add("empty-mask", "the mask has no pixel", repair):
                    masks[frame] = _LOST
            if masks[frame] is _LOST:
                track.entry["segmentations"][frame] = None
        for key in _COLUMNS:
            if key in track.entry:
                _examine_values(key, track, masks, video.size, box_tolerance)
        if not any(mask is _LOST or mask.area for mask in given):
            nothing = f"none of its {len(masks)} segmentations has a pixel"
            repair = "annotations that are never visible were dropped"
            if track.found.add("never-visible", nothing if given else "all are null", repair):
                continue
        if not all(mask is None or mask is _LOST for mask in masks):
            first = firsts.setdefault(tuple(mask and mask.text for mask in masks), track)
            if first is not track and _is_copy(track, first):
                continue
        kept.append(track)
    video.tracks = kept
    return total


def _is_copy(track: Track, first: Track) -> bool:
    """Count a track with the masks of an earlier one; whether a repair drops it as a copy."""
    one, two = first.entry, track.entry
    same = one["category_id"] == two["category_id"]
    detail = f"has the masks of annotation {one['id']}"
    if not same:
        detail += f", but category {two['category_id']} and not {one['category_id']}"
    counted = track.found.add("repeated-track", detail)
    is_copy = counted and same and one.get("iscrowd", 0) == two.get("iscrowd", 0)
    track.found.repaired("tracks with the masks of another one were dropped", is_copy)
    return is_copy


def _measured(video: Video) -> list[list[_Mask | None]]:
    """For each track and frame the mask, None if there is none; defects of others are counted."""
    size, texts = video.size, {}  # of RLEs that are yet to be decoded, by (track, frame)
    most = _CHARS_A_RUN * (size[0] * size[1] + 2)  # the first and last run may be empty
    repair = "masks that cannot be used became null"
    measured: list[list[_Mask | None]] = []
    for row, track in enumerate(video.tracks):
        segmentations = track.entry["segmentations"]
        measured.append([None if is_absent(mask) else _LOST for mask in segmentations])
        for frame, mask in enumerate(segmentations):
            if is_absent(mask):
                continue
            try:
                text = mask_text(mask, *size, allow_polygons=True)
                if len(text) > most:
                    raise ValueError(f"RLE counts are too long for {size[0]} x {size[1]} pixels")
                texts[row, frame] = text
            except ValueError as error:
                stated: Any = mask.get("size") if isinstance(mask, dict) else None
                is_size = isinstance(stated, list) and [*map(type, stated)] == [int, int]
                defect = "mask-size" if is_size and tuple(stated) != size else "bad-mask"
                track.found.at(frame=frame).add(defect, str(error), repair)
    results = _measure([*texts.values()], *size)
    for ((row, frame), text), result in zip(texts.items(), results, strict=True):
        track = video.tracks[row]
        if isinstance(result, str):
            track.found.at(frame=frame).add("bad-mask", result, repair)
        else:
            is_polygons = isinstance(track.entry["segmentations"][frame], list)
            measured[row][frame] = _Mask(text, *result, is_polygons)
    return measured


def _measure(texts: Sequence[bytes], height: int, width: int) -> list[tuple[int, list[int]] | str]:
    """Area and box of each mask, as in ``_Mask``; or why it cannot be read."""
    results: list[tuple[int, list[int]] | str] = []
    piece = np.cumsum([len(text) for text in texts]) // _MOST_CHARS
    for some in np.split(np.arange(len(texts)), np.flatnonzero(np.diff(piece)) + 1):
        runs, rows, bad = decode_valid_texts([texts[i] for i in some], height * width)
        areas = np.add.reduceat(runs[:, 1], starts_of(rows)).tolist()
        good = zip(areas, _boxes(runs, rows, height, height * width).tolist(), strict=True)
        results += [bad[place] if place in bad else next(good) for place in range(len(some))]
    return results


def _boxes(runs: np.ndarray, rows: np.ndarray, height: int, pixels: int) -> np.ndarray:
    """(N, 4) int64 boxes of N masks from what ``decode_valid_texts`` returns, for H * W pixels.

    Not by pycocotools, which takes foreground runs of length zero for pixels.
    """
    mask = np.repeat(np.arange(len(rows)), rows)
    ends = np.cumsum(runs[:, 0] + runs[:, 1]) - mask * pixels
    drawn = runs[:, 1] > 0
    mask, ends, lengths = mask[drawn], ends[drawn], runs[drawn, 1]
    left, top = np.divmod(ends - lengths, height)
    right, bottom = np.divmod(ends - 1, height)
    several = right > left  # columns: the run reaches the bottom of one and the top of the next
    top[several], bottom[several] = 0, height - 1
    first = np.flatnonzero(np.diff(mask, prepend=-1))
    low = np.stack([np.minimum.reduceat(side, first) for side in (left, top)], axis=1)
    high = np.stack([np.maximum.reduceat(side, first) for side in (right, bottom)], axis=1)
    boxes = np.zeros((len(rows), 4), np.int64)
    boxes[mask[first]] = np.hstack([low, high - low + 1])
    return boxes


def _examine_values(
    key: str, track: Track, masks: list[_Mask | Any], size: Size, tolerance: float
) -> None:
    """Count what is wrong with the boxes or areas of a track, and compute them from the masks."""
    noun, plural, mismatch, of_mask = _COLUMNS[key]
    is_box, values = key == "bboxes", track.entry[key]
    for frame, (value, mask) in enumerate(zip(values, masks, strict=True)):
        lost, visible = mask is _LOST, mask is not None and mask.area > 0
        right = None if mask is None or lost else mask.box if is_box else mask.area
        case: tuple[str, ...] = ()
        if value is None:
            if visible:
                case = ("mask-without-box", f"there is a mask, but the {noun} is null")
        elif value is TO_COMPUTE:
            pass
        elif defect := _defect(value, is_box=is_box):
            case = (defect, f"the {noun} is {shown(value)}")
        elif visible:
            if value != right and not _agrees(value, mask, size, tolerance):
                case = (mismatch, f"the {noun} is {shown(value)}, {of_mask.format(right)}")
        elif not lost and any(value if is_box else [value]):  # some files write zeros for null
            case = ("box-without-mask", f"there is no mask, but the {noun} is {shown(value)}")
        is_wrong = track.found.at(frame=frame).add(*case) if case else lost or value is TO_COMPUTE
        if is_wrong:
            values[frame] = right
            if right is not None:
                track.found.repaired(f"{plural} were computed from the masks")
            elif value is not None and value is not TO_COMPUTE:
                track.found.repaired(f"{plural} without a mask became null")


def _agrees(value: list[float] | float, mask: _Mask, size: Size, tolerance: float) -> bool:
    """Whether a box or an area is that of a mask, about."""
    x, y, width, height = mask.box
    if not isinstance(value, list):
        # The area of polygons may be meant, which differs along the outline.
        allowed = max(1.0, _AREA_TOLERANCE * mask.area) + mask.is_polygons * (width + height)
        return abs(value - mask.area) <= allowed
    corners = [value[0], value[1], value[0] + value[2], value[1] + value[3]]
    if mask.is_polygons:  # which may lead out of the frame, and their boxes too
        corners = [min(max(c, 0), size[1 - i % 2]) for i, c in enumerate(corners)]
    right = (x, y, x + width, y + height)
    return all(abs(a - b) <= tolerance for a, b in zip(corners, right, strict=True))


def _defect(value: Any, *, is_box: bool) -> str | None:
    """The defect of a value that cannot be a box or an area of a size that pixels can have."""
    if is_box and (type(value) is not list or len(value) != 4):
        return "bad-box"
    numbers = value if is_box else [value]
    if not {*map(type, numbers)} <= {int, float}:
        return "bad-box" if is_box else "wrong-type"
    if any(type(number) is float and not math.isfinite(number) for number in numbers):
        return "non-finite"
    if min(numbers[-2:]) < 0 or not all(abs(number) <= _MOST_NUMBER for number in numbers):
        return "impossible-number"
    return None
