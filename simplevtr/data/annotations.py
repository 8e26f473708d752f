"""From per-frame annotation dicts to detectron2's ``Instances``, the same rows in every frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from simplevtr.formats.mask_grid import MaskGrid
from simplevtr.formats.rle import decode_sound_texts, decode_texts, mask_text

import numpy as np
import torch
from detectron2.data.transforms import Transform
from detectron2.structures import BitMasks, Boxes, Instances
from pycocotools import mask as mask_util


@dataclass(frozen=True)
class ClipTracks:
    """The instances of a clip before augmentation, a row an instance."""

    ids: list[int]  # N annotation ids, ascending
    classes: list[int]  # N contiguous category ids
    # T lists of N compressed RLEs ``{"size", "counts"}``, None where the instance is absent.
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
    height, width = size
    classes: dict[int, int] = {}
    found: list[dict[int, dict[str, Any]]] = []
    texts: dict[tuple[int, int], bytes] = {}  # that are the file's own, by frame and track
    for number, frame in zip(frame_numbers, frames, strict=True):
        rles = {}
        for annotation in frame:
            if annotation.get("iscrowd", 0):
                continue
            track_id = annotation["id"]
            classes[track_id] = annotation["category_id"]
            segmentation = annotation["segmentation"]
            try:
                text = mask_text(segmentation, height, width, allow_polygons=True)
            except ValueError as error:
                raise _malformed(source, number, track_id, error) from error
            rles[track_id] = {"size": [height, width], "counts": text}
            if isinstance(segmentation, dict) and not isinstance(segmentation["counts"], list):
                texts[number, track_id] = text
        found.append(rles)
    # pycocotools would leave the pixels after the last run at what happened to be in memory.
    *_, reasons = decode_sound_texts([*texts.values()], height * width)
    if reasons:
        first = min(reasons)
        raise _malformed(source, *[*texts][first], reasons[first])
    ids = sorted(classes)
    return ClipTracks(
        ids=ids,
        classes=[classes[track_id] for track_id in ids],
        masks=[[rles.get(track_id) for track_id in ids] for rles in found],
    )


def _malformed(source: str, number: int, track_id: int, reason: object) -> ValueError:
    return ValueError(
        f"{source}, frame {number}, annotation {track_id}: malformed segmentation: {reason}"
    )


def tracks_to_instances(
    tracks: ClipTracks, geometry: Transform, size: tuple[int, int]
) -> list[Instances]:
    """Decode the masks, move them with the frames, and drop instances that are left in no frame.

    Args:
        tracks: the instances of a clip of T frames.
        geometry: the transform of all frames, as ``MaskGrid`` takes it.
        size: (h, w) of the transformed frames in pixels.

    Returns:
        T ``Instances`` with the same N rows: ``gt_classes`` (N,) int64, the class of the instance
        in every frame, also where it is absent; ``gt_ids`` (N,) int64, the annotation's id, -1
        where the instance is absent; ``gt_masks`` ``BitMasks`` (N, h, w); ``gt_boxes`` ``Boxes``
        (N, 4) float32, xyxy pixels, tight around the mask. An absent instance has an empty mask and
        a zero box.
    """
    return masks_to_instances(
        _read_masks(tracks, geometry, size),
        np.asarray(tracks.ids, dtype=np.int64),
        np.asarray(tracks.classes, dtype=np.int64),
    )


def masks_to_instances(masks: np.ndarray, ids: np.ndarray, classes: np.ndarray) -> list[Instances]:
    """The ``Instances`` of a clip, without those that no frame shows.

    Args:
        masks: (T, N, h, w) bool.
        ids: (N,) int64.
        classes: (N,) int64.

    Returns:
        As ``tracks_to_instances``.
    """
    size = masks.shape[-2:]
    rows, columns = masks.any(axis=3), masks.any(axis=2)
    visible = columns.any(axis=2)
    kept = np.flatnonzero(visible.any(axis=0))
    if len(kept) < len(ids):
        masks, rows, columns = masks[:, kept], rows[:, kept], columns[:, kept]
        visible = visible[:, kept]
    low_x, high_x = _extent(columns)
    low_y, high_y = _extent(rows)
    boxes = np.stack([low_x, low_y, high_x, high_y], axis=-1).astype(np.float32)
    ids, classes = np.where(visible, ids[kept], -1), classes[kept]
    # A frame's tensors are parts of the clip's, so that a worker hands over four and not 4 T.
    parts = (boxes, np.tile(classes, (len(ids), 1)), ids, masks)
    clip = []
    for box, label, track_id, mask in zip(*map(torch.from_numpy, parts), strict=True):
        instances = Instances(size)
        instances.gt_boxes = Boxes(box)
        instances.gt_classes = label
        instances.gt_ids = track_id
        instances.gt_masks = BitMasks(mask)
        clip.append(instances)
    return clip


def _read_masks(tracks: ClipTracks, geometry: Transform, size: tuple[int, int]) -> np.ndarray:
    """(T, N, h, w) bool."""
    masks = np.zeros((len(tracks.masks), len(tracks.ids), *size), dtype=bool)
    found = [
        (t, row, rle)
        for t, frame in enumerate(tracks.masks)
        for row, rle in enumerate(frame)
        if rle is not None
    ]
    if not found:
        return masks
    height, width = found[0][2]["size"]
    grid = MaskGrid(geometry, (height, width))
    runs, pairs = decode_texts([rle["counts"] for *_, rle in found], height * width, 1)
    each = np.split(runs, np.cumsum(pairs)[:-1])
    for (t, row, _), lengths in zip(found, each, strict=True):
        masks[t, row] = grid.read(lengths.ravel())
    return masks


def _extent(occupied: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(..., L) bool to the first True and one past the last, 0 and 0 where there is none."""
    length = occupied.shape[-1]
    present = occupied.any(axis=-1)
    low = np.where(present, occupied.argmax(axis=-1), 0)
    high = np.where(present, length - occupied[..., ::-1].argmax(axis=-1), 0)
    return low, high
