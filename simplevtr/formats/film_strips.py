"""Film strips: the masks of a track, joined end to end and cut into frames again.

A run-length encoding (RLE) lists run lengths in column-major order. Joining the RLEs of a track's T
frames end to end therefore encodes one wide mask, the film strip, with H rows and W * T columns.
The mask IoU of two film strips is the track IoU: the sum over frames of the intersections divided
by the sum over frames of the unions. A frame without a mask is an empty stretch of the strip.

Where two frames meet, runs are merged: pycocotools' IoU is silently wrong for runs of length zero
after the first run, which plain joining would produce.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from simplevtr.formats import rle

import numpy as np

MAX_PIXELS = 2**32 - 1  # of a track: pycocotools holds run lengths and areas in 32 unsigned bits


@dataclass(frozen=True)
class FilmStrip:
    """The masks of one track, joined end to end."""

    rle: dict  # compressed RLE, ``{"size": [H, W * T], "counts": bytes}``
    area: float  # mean number of mask pixels over the frames that have any; 0.0 if none has


def join_frames(
    tracks: Sequence[Sequence[dict | list | None]],
    *,
    height: int,
    width: int,
    allow_polygons: bool = False,
) -> list[FilmStrip]:
    """The film strips of the tracks of one video, whose frames are ``height`` x ``width`` pixels.

    A track has one segmentation per frame, as ``rle.mask_text`` takes it, or None.

    Raises:
        MalformedMaskError: a segmentation cannot be used; its ``index`` counts the frames of one
            track after the other.
        ValueError: the video is too large for pycocotools (2**32 pixels or more).
    """
    if not tracks:
        return []
    frames = len(tracks[0])
    assert all(len(track) == frames for track in tracks)
    pixels = height * width
    if pixels * frames > MAX_PIXELS:
        found = f"{frames} frames of {height} x {width} are {pixels * frames} pixels"
        raise ValueError(f"{found}; a track may have {MAX_PIXELS} at most")
    masks = itertools.chain.from_iterable(tracks)
    texts = rle.mask_texts(masks, height, width, allow_polygons=allow_polygons)
    runs, rows = rle.decode_texts(texts, pixels)
    areas = np.add.reduceat(runs[:, 1], rle.starts_of(rows)).reshape(len(tracks), frames)
    visible = np.maximum((areas > 0).sum(axis=1), 1)
    # Integer sums are exact, so this is the correctly rounded mean.
    means = (areas.sum(axis=1) / visible).tolist()
    strips = _strip_runs(runs, rows.reshape(len(tracks), frames).sum(axis=1), pixels * frames)
    encoded = (rle.encode_runs(strip, height, width * frames) for strip in strips)
    return list(map(FilmStrip, encoded, means))


def check_frames(
    tracks: Sequence[Sequence[dict | list | None]],
    *,
    height: int,
    width: int,
    allow_polygons: bool = False,
) -> list[None]:
    """``join_frames`` without its result, for a video of any length; None for each track."""
    masks = itertools.chain.from_iterable(tracks)
    texts = rle.mask_texts(masks, height, width, allow_polygons=allow_polygons)
    rle.decode_texts(texts, height * width)
    return [None] * len(tracks)


def split_frames(
    strips: Sequence[FilmStrip], *, frames: int, height: int, width: int
) -> list[list[dict | None]]:
    """The masks of tracks of one video, frame by frame, in the form pycocotools takes them.

    For each track T compressed RLEs, ``{"size": [H, W], "counts": bytes}``, None where the mask is
    empty. Unlike the RLEs of a file, they have no runs of length zero inside, for which
    pycocotools' IoU would be wrong.
    """
    if not strips or not frames:
        return [[None] * frames for _ in strips]
    pixels = height * width
    texts = [strip.rle["counts"] for strip in strips]
    runs, rows = rle.decode_texts(texts, pixels * frames)
    edges = np.arange(frames + 1) * pixels
    split = []
    for track in np.split(runs, np.cumsum(rows)[:-1]):
        changes = np.cumsum(track)  # where the mask begins and ends by turns
        begun = np.searchsorted(changes, edges[:-1], side="right") % 2 == 1  # inside the mask
        inner = changes[changes % pixels != 0]
        cuts = np.searchsorted(inner, edges)
        lengths = np.diff(np.insert(inner, cuts, edges))
        cuts += np.arange(frames + 1)  # where the edges lie now
        masks: list[dict | None] = [None] * frames
        for t in np.flatnonzero(begun | (np.diff(cuts) > 1)).tolist():
            frame = lengths[cuts[t] : cuts[t + 1]].tolist()
            masks[t] = rle.encode_runs([0, *frame] if begun[t] else frame, height, width)
        split.append(masks)
    return split


def _strip_runs(runs: np.ndarray, rows: np.ndarray, pixels: int) -> list[np.ndarray]:
    """Canonical run lengths of each strip of H * W * T ``pixels``; pairs as in ``decode_texts``."""
    tracks = np.arange(len(rows))
    # Each run ends with a change of colour; one pixel between strips keeps neighbours' ends apart.
    changes = np.cumsum(runs) + np.repeat(tracks, 2 * rows)
    # Two changes at the same place undo each other; of an odd number of them one is left.
    group = np.flatnonzero(np.diff(changes, prepend=-1))
    size = np.diff(group, append=len(changes))
    changes = changes[group[size % 2 == 1]]
    begin = tracks * (pixels + 1)
    cuts = np.searchsorted(changes, begin)
    strips = []
    for start, piece in zip(begin, np.split(changes, cuts[1:]), strict=True):
        strip = np.diff(piece, prepend=start, append=start + pixels)
        strips.append(strip[:-1] if len(strip) > 1 and strip[-1] == 0 else strip)
    return strips


def mean_area(areas: Sequence[float | None]) -> float:
    """Mean of the areas (pixels) of the frames where a track is visible, 0.0 if there is none."""
    present = [area for area in areas if area]
    return math.fsum(present) / len(present) if present else 0.0
