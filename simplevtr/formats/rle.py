"""Run-length encodings (RLE) of masks, checked before pycocotools may see them.

An RLE lists run lengths in column-major order, background first. The files they come from may be
anybody's, and pycocotools reads compressed RLEs without any check of their bounds. So they are
decoded here, many at once with numpy, and refused unless they describe a mask of the right size.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from numbers import Integral

from simplevtr.formats.checks import shown
from simplevtr.formats.polygons import check_polygons, polygons_text

import numpy as np
from pycocotools import mask as coco_mask

_MAX_CHARS = 7  # a run length takes at most so many characters of 5 bits each


class MalformedMaskError(ValueError):
    """A mask cannot be used; ``index`` is its place among those given."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index


def encode_runs(runs: Sequence[int] | np.ndarray, height: int, width: int) -> dict:
    """The compressed RLE of a mask from its run lengths (int, H * W in sum), background first."""
    return coco_mask.frPyObjects({"size": [height, width], "counts": runs}, height, width)


def encode_mask(mask: np.ndarray) -> dict:
    """The compressed RLE of a mask of (H, W) bool or 0/1 pixels, as pycocotools takes it."""
    return coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))


def as_text(rle: dict) -> dict:
    """A compressed RLE as files hold it: with a list as ``size`` and text as ``counts``."""
    return {"size": [*rle["size"]], "counts": rle["counts"].decode("ascii")}


def frame_lists(masks: Iterable[dict | None]) -> dict[str, list]:
    """An annotation's ``segmentations``, ``bboxes`` and ``areas`` in pixels from compressed RLEs.

    They have one entry per frame, None where the mask is None.
    """
    masks = list(masks)
    return {
        "segmentations": [rle and as_text(rle) for rle in masks],
        "bboxes": [rle and coco_mask.toBbox(rle).tolist() for rle in masks],
        "areas": [rle and int(coco_mask.area(rle)) for rle in masks],
    }


def run_lengths(rle: dict) -> list[int]:
    """The run lengths of a valid compressed RLE, background first."""
    height, width = rle["size"]
    runs, _ = decode_texts([rle["counts"]], height * width)
    lengths = runs.ravel().tolist()
    return lengths[:-1] if lengths[-1] == 0 else lengths  # without the run that was filled in


def starts_of(lengths: np.ndarray) -> np.ndarray:
    """Where each of the consecutive pieces of these lengths (int64) begins."""
    return np.cumsum(lengths) - lengths


def mask_text(segmentation: object, height: int, width: int, allow_polygons: bool) -> bytes:
    """One frame's mask as the text of a compressed RLE, which ``decode_texts`` is yet to check.

    ``segmentation`` is an RLE, ``{"size": [H, W], "counts": ...}`` with counts as str, bytes or a
    list of int, or polygons if allowed, a list of ``[x0, y0, x1, y1, ...]`` in pixels. ValueError
    if it is none of these, or of another size.
    """
    if not isinstance(segmentation, dict):
        if isinstance(segmentation, list) and allow_polygons:
            return polygons_text(segmentation, height, width)
        allowed = "null, an RLE or polygons" if allow_polygons else "null or an RLE"
        raise ValueError(f"a segmentation must be {allowed}, got {type(segmentation).__name__}")
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if size != [height, width] and size != (height, width):
        wanted = f"the frames' [height, width] is [{height}, {width}]"
        raise ValueError(f"RLE size is {shown(size)}, {wanted}")
    if isinstance(counts, str):
        if not counts.isascii():
            raise ValueError("RLE counts contain a character that is not ASCII")
        counts = counts.encode("ascii")
    elif isinstance(counts, list):
        counts = _runs_text(counts, height, width)
    if not isinstance(counts, bytes) or not counts:
        raise ValueError("RLE counts must be non-empty text or a list of integers")
    return counts


def is_background(segmentation: object, height: int, width: int) -> bool:
    """Whether it is None or an RLE of one run: tools write either where an object is hidden."""
    counts = segmentation.get("counts") if isinstance(segmentation, dict) else None
    if counts is None:
        return segmentation is None
    one_run = _empty_text(height, width)
    return counts in ([height * width], one_run, one_run.decode())


@lru_cache(maxsize=64)
def _empty_text(height: int, width: int) -> bytes:
    return encode_runs([height * width], height, width)["counts"]


def check_mask(segmentation: object, height: int, width: int) -> None:
    """Raise ValueError unless it is an RLE of this size or polygons, which are not drawn."""
    if isinstance(segmentation, list):
        check_polygons(segmentation)
    else:
        text = mask_text(segmentation, height, width, allow_polygons=True)
        decode_texts([text], height * width)


def mask_texts(
    segmentations: Iterable[object], height: int, width: int, *, allow_polygons: bool
) -> list[bytes]:
    """``mask_text`` of each, None being an empty mask; MalformedMaskError if one cannot be used."""
    empty = _empty_text(height, width)
    texts = []
    for index, mask in enumerate(segmentations):
        try:
            own = mask is not None and mask_text(mask, height, width, allow_polygons)
        except ValueError as error:
            raise MalformedMaskError(index, str(error)) from error
        texts.append(own or empty)
    return texts


def _runs_text(runs: list, height: int, width: int) -> bytes:
    kinds = set(map(type, runs))
    integers = all(issubclass(kind, Integral) and kind is not bool for kind in kinds)
    if not integers or (runs and not 0 <= min(runs) <= max(runs) <= height * width):
        raise ValueError(f"RLE counts must be integers in [0, {height * width}]")
    if sum(runs) != height * width:
        raise ValueError(f"RLE counts add up to {sum(runs)}, not to {height} * {width}")
    return encode_runs(runs, height, width)["counts"]


def decode_texts(texts: Sequence[bytes], pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """Decode the texts of compressed RLEs, each with one character at least, of H * W ``pixels``.

    MalformedMaskError: a text is not such an encoding.

    Returns:
        (R, 2) int64, the run lengths of all texts in order as pairs (background, foreground), and
        (texts,) int64, the number of pairs of each text. An odd number of runs is filled up with a
        foreground run of length zero.
    """
    runs, rows, reasons = decode_valid_texts(texts, pixels)
    if reasons:
        first = min(reasons)
        raise MalformedMaskError(first, reasons[first])
    return runs, rows


def decode_valid_texts(
    texts: Sequence[bytes], pixels: int
) -> tuple[np.ndarray, np.ndarray, dict[int, str]]:
    """``decode_texts`` of the valid texts alone; why the others are not, by their index."""
    if not texts:
        return np.zeros((0, 2), np.int64), np.zeros(0, np.int64), {}
    # Characters below the first one allowed wrap around to great codes.
    codes = np.frombuffer(b"".join(texts), np.uint8) - np.uint8(ord("0"))
    chars = np.fromiter(map(len, texts), np.int64, len(texts))
    first = starts_of(chars)
    outside = np.maximum.reduceat(codes, first) > 0x3F
    is_last = (codes & 0x20) == 0  # the last character of a run length
    unfinished = ~is_last[first + chars - 1]
    is_last[first + chars - 1] = True  # so that each text is decoded by itself, whatever it holds
    deltas, too_long = _deltas(codes, np.flatnonzero(is_last))
    per_text = np.add.reduceat(is_last, first, dtype=np.int64)
    text_first = starts_of(per_text)
    rows = (per_text + 1) // 2
    row_first = starts_of(rows)
    runs: np.ndarray = np.zeros(2 * int(rows.sum()), np.int64)
    runs[np.arange(len(deltas)) + np.repeat(2 * row_first - text_first, per_text)] = deltas
    runs = runs.reshape(-1, 2)
    _integrate(runs, rows, row_first, per_text)
    # Not min(axis=1) and sum(axis=1), which are slow over an axis of two.
    negative = np.minimum.reduceat(np.minimum(runs[:, 0], runs[:, 1]), row_first) < 0
    covered = np.add.reduceat(runs[:, 0] + runs[:, 1], row_first)
    reasons: dict[int, str] = {}
    for bad, reason in (
        (outside, "contain a character outside '0' to 'o'"),
        (unfinished, "end inside a number"),
        (np.maximum.reduceat(too_long, text_first), "contain a number that is too large"),
        (negative, "decode to a run of negative length"),
        (covered != pixels, f"cover {{}} pixels, not height * width = {pixels}"),
    ):
        for index in np.flatnonzero(bad).tolist():
            reasons.setdefault(index, f"RLE counts {reason.format(covered[index])}")
    if reasons:
        good = np.ones(len(texts), bool)
        good[[*reasons]] = False
        runs, rows = runs[np.repeat(good, rows)], rows[good]
    return runs, rows, reasons


def _deltas(codes: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The signed numbers that end at ``last``, and which of them have too many characters."""
    length = np.diff(last, prepend=-1)
    too_long = length > _MAX_CHARS
    # The last character has the highest five bits, the topmost of them the sign.
    values = ((codes[last].astype(np.int64) & 0x1F) ^ 0x10) - 0x10
    several = np.flatnonzero((length > 1) & ~too_long)
    extra = length[several] - 1
    values[several] <<= 5 * extra
    for k in range(int(extra.max(initial=0))):
        has = extra > k
        where = several[has]
        values[where] += (codes[last[where] - extra[has] + k].astype(np.int64) & 0x1F) << (5 * k)
    return values, too_long


def _integrate(
    runs: np.ndarray, rows: np.ndarray, row_first: np.ndarray, per_text: np.ndarray
) -> None:
    """Turn differences to the run before last into run lengths, in place.

    The first three runs of a text are stored as they are, each later one as the difference to the
    run two places before it. So foreground runs are running sums over a text's rows, and background
    runs are so from the second row on.
    """
    background = runs[row_first, 0].copy()
    runs[row_first, 0] = 0
    sums = np.cumsum(runs, axis=0)
    before = sums[row_first] - runs[row_first]
    runs[:] = sums - np.repeat(before, rows, axis=0)
    runs[row_first, 0] = background
    filled = np.flatnonzero(per_text % 2)  # the run that was filled in
    runs[row_first[filled] + rows[filled] - 1, 1] = 0
