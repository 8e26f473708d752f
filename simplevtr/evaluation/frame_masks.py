"""Film strips cut into frames again, the inverse of ``join_frames``, and the IoU of their masks."""

from __future__ import annotations

from collections.abc import Sequence

from simplevtr.evaluation.track_iou import FilmStrip
from simplevtr.rle import decode_texts, encode_runs

import numpy as np
from pycocotools import mask as coco_mask


def split_frames(
    strips: Sequence[FilmStrip], *, frames: int, height: int, width: int
) -> list[list[dict | None]]:
    """The masks of tracks of one video, frame by frame, in the form pycocotools takes them.

    Unlike the RLEs of a file, these have no runs of length zero inside, for which pycocotools' IoU
    would be wrong.

    Args:
        strips: one a track.
        frames: T, frames of the video.
        height: H, rows of a frame in pixels.
        width: W, columns of a frame in pixels.

    Returns:
        For each track T compressed RLEs, ``{"size": [H, W], "counts": bytes}``, None where the mask
        is empty.
    """
    if not strips or not frames:
        return [[None] * frames for _ in strips]
    pixels = height * width
    texts = [strip.rle["counts"] for strip in strips]
    runs, rows = decode_texts(texts, pixels * frames, 1)
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
            masks[t] = encode_runs([0, *frame] if begun[t] else frame, height, width)
        split.append(masks)
    return split


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
