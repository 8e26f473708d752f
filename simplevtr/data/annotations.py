"""From per-frame annotation dicts to detectron2's ``Instances``, the same rows in every frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from detectron2.data.transforms import Transform
from detectron2.structures import BitMasks, Boxes, Instances
from pycocotools import mask as mask_util


@dataclass(frozen=True)
class ClipTracks:
    """The instances of a clip before augmentation, a row an instance.

    Attributes:
        ids: N annotation ids, ascending.
        classes: N contiguous category ids.
        masks: T lists of N compressed RLEs ``{"size", "counts"}``, None where the instance is
            absent.
    """

    ids: list[int]
    classes: list[int]
    masks: list[list[dict[str, Any] | None]]

    def boxes(self) -> np.ndarray:
        """(M, 4) float64 boxes, xyxy pixels, of the M masks of all frames that are not empty."""
        rles = [rle for frame in self.masks for rle in frame if rle is not None]
        if not rles:
            return np.zeros((0, 4))
        boxes = np.asarray(mask_util.toBbox(rles), dtype=np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        return boxes[(boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])]


def read_tracks(
    frames: Sequence[Sequence[dict[str, Any]]],
    size: tuple[int, int],
    *,
    frame_numbers: Sequence[int],
    source: str,
) -> ClipTracks:
    """Collect the instances of a clip's frames, without crowd tracks (no single instances).

    Args:
        frames: T lists of annotation dicts, as :func:`simplevtr.data.ytvis.load_ytvis_json` makes
            them.
        size: (height, width) of the frames in pixels.
        frame_numbers: T 0-based numbers of the frames in their video, for messages.
        source: what to call the video in messages.

    Raises:
        ValueError: for a malformed segmentation, naming video, frame and annotation.
    """
    classes: dict[int, int] = {}
    found: list[dict[int, dict[str, Any]]] = []
    for number, frame in zip(frame_numbers, frames, strict=True):
        rles = {}
        for annotation in frame:
            if annotation.get("iscrowd", 0):
                continue
            track_id = annotation["id"]
            classes[track_id] = annotation["category_id"]
            try:
                rles[track_id] = _to_rle(annotation["segmentation"], size)
            except (ValueError, TypeError, OverflowError) as error:
                raise ValueError(
                    f"{source}, frame {number}, annotation {track_id}: malformed segmentation: "
                    f"{error}"
                ) from error
        found.append(rles)
    ids = sorted(classes)
    return ClipTracks(
        ids=ids,
        classes=[classes[track_id] for track_id in ids],
        masks=[[rles.get(track_id) for track_id in ids] for rles in found],
    )


def tracks_to_instances(
    tracks: ClipTracks, geometry: Transform, size: tuple[int, int]
) -> list[Instances]:
    """Decode the masks, move them with the frames, and drop instances that are left in no frame.

    Args:
        tracks: the instances of a clip of T frames.
        geometry: the transform of all frames; its ``apply_segmentation`` is used.
        size: (h, w) of the transformed frames in pixels.

    Returns:
        T ``Instances`` with the same N rows: ``gt_classes`` (N,) int64, the class of the instance
        in every frame, also where it is absent; ``gt_ids`` (N,) int64, the annotation's id, -1
        where the instance is absent; ``gt_masks`` ``BitMasks`` (N, h, w); ``gt_boxes`` ``Boxes``
        (N, 4) float32, xyxy pixels, tight around the mask. An absent instance has an empty mask and
        a zero box.
    """
    masks = np.zeros((len(tracks.masks), len(tracks.ids), *size), dtype=bool)
    for t, frame in enumerate(tracks.masks):
        for row, rle in enumerate(frame):
            if rle is not None:
                masks[t, row] = geometry.apply_segmentation(mask_util.decode(rle))
    visible = masks.any(axis=(2, 3))
    kept = np.flatnonzero(visible.any(axis=0))
    ids = np.asarray(tracks.ids, dtype=np.int64)[kept]
    classes = torch.as_tensor(np.asarray(tracks.classes, dtype=np.int64)[kept])
    clip = []
    for t in range(len(tracks.masks)):
        instances = Instances(size)
        bitmasks = BitMasks(torch.from_numpy(masks[t, kept]))
        instances.gt_boxes = (
            bitmasks.get_bounding_boxes() if len(kept) else Boxes(torch.zeros(0, 4))
        )
        instances.gt_classes = classes.clone()
        instances.gt_ids = torch.from_numpy(np.where(visible[t, kept], ids, -1))
        instances.gt_masks = bitmasks
        clip.append(instances)
    return clip


def _to_rle(segmentation: Any, size: tuple[int, int]) -> dict[str, Any]:
    """Polygons, uncompressed or compressed RLE to a compressed RLE that covers exactly ``size``."""
    height, width = size
    if isinstance(segmentation, list):
        for polygon in segmentation:
            if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
                raise ValueError(
                    f"polygon {polygon!r:.80}; a list of at least 6 numbers x, y, ... is needed"
                )
            if not all(isinstance(value, int | float) for value in polygon):
                raise ValueError(f"polygon {polygon!r:.80} holds something else than numbers")
        return mask_util.merge(mask_util.frPyObjects(segmentation, height, width))
    if not isinstance(segmentation, dict) or not {"size", "counts"} <= segmentation.keys():
        raise ValueError(
            f"{segmentation!r:.80}; polygons or an RLE with 'size' and 'counts' are needed"
        )
    if list(segmentation["size"]) != [height, width]:
        raise ValueError(f"RLE of size {segmentation['size']} in frames of {[height, width]}")
    counts = segmentation["counts"]
    if isinstance(counts, list):
        runs = np.asarray(counts)
        if runs.dtype.kind != "i" or runs.min(initial=0) < 0:
            raise ValueError(f"RLE counts {counts!r:.80}; integers >= 0 are needed")
        covered = int(runs.sum())
    elif isinstance(counts, str | bytes):
        counts = counts.encode("ascii") if isinstance(counts, str) else counts
        covered = _covered_pixels(counts)
    else:
        raise ValueError(f"RLE counts {counts!r:.80}; a list or a string is needed")
    # pycocotools would leave the pixels after the last run at what happened to be in memory.
    if covered != height * width:
        raise ValueError(f"RLE counts cover {covered} pixels, not {height} x {width}")
    if isinstance(counts, list):
        return mask_util.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    return {"size": [height, width], "counts": counts}


def _covered_pixels(counts: bytes) -> int:
    """The sum of the runs of a compressed RLE, or -1 if it is none.

    COCO writes runs as base-32 digits, lowest first, in characters from "0" on; bit 5 says that
    another digit follows and bit 4 of the last digit is the sign. From the fourth run on, a number
    is the difference to the run two before.
    """
    digits = np.frombuffer(counts, dtype=np.uint8).astype(np.int64) - 48
    if not len(digits) or digits.min() < 0 or digits.max() > 63 or digits[-1] & 32:
        return -1
    last = np.flatnonzero((digits & 32) == 0)
    first = np.append(0, last[:-1] + 1)
    place = np.arange(len(digits)) - np.repeat(first, last - first + 1)
    if place.max() > 6:  # more than 32 bits
        return -1
    values = np.add.reduceat((digits & 31) << (5 * place), first)
    values -= ((digits[last] >> 4) & 1) << (5 * (last - first + 1))
    runs = values.copy()
    runs[1::2] = np.cumsum(values[1::2])
    runs[2::2] = np.cumsum(values[2::2])
    return int(runs.sum()) if runs.min() >= 0 else -1
