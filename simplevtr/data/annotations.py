"""From per-frame annotation dicts to detectron2's ``Instances``, the same rows in every frame."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from simplevtr.data.transforms import ClipGeometry
from simplevtr.formats.rle import decode_texts, mask_texts

import cv2
import numpy as np
import torch
from detectron2.structures import BitMasks, Boxes, Instances
from pycocotools import mask as coco_mask


@dataclass(frozen=True)
class ClipTracks:
    """The N instances of a clip of T frames before augmentation, one row per instance."""

    ids: list[int]  # annotation ids, ascending
    classes: list[int]  # contiguous category ids
    frames: int  # T
    size: tuple[int, int]  # (H, W) pixels
    # Texts of compressed RLEs by (frame, row), in any order, without those of absent instances.
    texts: dict[tuple[int, int], bytes]

    @cached_property
    def runs(self) -> list[np.ndarray]:
        """(R,) int64 run lengths of each of ``texts``; MalformedMaskError if one is unsound."""
        if not self.texts:
            return []
        runs, pairs = decode_texts([*self.texts.values()], self.size[0] * self.size[1])
        return [lengths.ravel() for lengths in np.split(runs, np.cumsum(pairs)[:-1])]

    def boxes(self) -> np.ndarray:
        """(M, 4) float64 boxes, xyxy pixels, of the M masks of all frames that are not empty."""
        # An empty mask with a run of length zero would have a huge box.
        texts = zip(self.texts.values(), self.runs, strict=True)
        rles = [{"size": self.size, "counts": text} for text, runs in texts if runs[1::2].any()]
        boxes: np.ndarray = coco_mask.toBbox(rles)
        boxes[:, 2:] += boxes[:, :2]
        return boxes


def read_tracks(frames: Sequence[Sequence[dict[str, Any]]], size: tuple[int, int]) -> ClipTracks:
    """Collect the instances of a clip's frames, without crowds, which are not single objects.

    ``frames`` are T lists of annotation dicts, as ``load_ytvis_json`` makes them, of (height,
    width) pixels. ValueError for what ``load_ytvis_json`` would refuse of ids and segmentations.
    """
    found: dict[tuple[int, int], dict[str, Any]] = {}
    classes: dict[int, int] = {}
    for t, frame in enumerate(frames):
        for annotation in (a for a in frame if not a.get("iscrowd", 0)):
            own, label = annotation["id"], annotation["category_id"]
            if own < 0 or (t, own) in found or classes.setdefault(own, label) != label:
                raise ValueError(
                    f"annotation id {own}, category_id {label}: an id of 0 or more is one object, "
                    "of one category in all frames, and once in a frame"
                )
            found[t, own] = annotation
    ids = sorted(classes)
    places = [(t, ids.index(track_id)) for t, track_id in found]
    texts = mask_texts([a["segmentation"] for a in found.values()], *size, allow_polygons=True)
    masks = dict(zip(places, texts, strict=True))
    tracks = ClipTracks(ids, [classes[i] for i in ids], len(frames), size, masks)
    _ = tracks.runs  # checked before pycocotools may see them
    return tracks


def tracks_to_instances(tracks: ClipTracks, geometry: ClipGeometry) -> list[Instances]:
    """Decode the masks, move them with the frames, and drop instances that are left in no frame.

    Returns:
        T ``Instances`` with the same N rows: ``gt_classes`` (N,) int64, the class of the instance
        in every frame, also where it is absent; ``gt_ids`` (N,) int64, the annotation's id, -1
        where the instance is absent; ``gt_masks`` ``BitMasks`` (N, h, w); ``gt_boxes`` ``Boxes``
        (N, 4) float32, xyxy pixels, tight around the mask. An absent instance has an empty mask and
        a zero box.
    """
    masks = np.zeros((tracks.frames, len(tracks.ids), *geometry.size), dtype=bool)
    if tracks.texts:
        picked = read_picked(tracks.runs, *geometry.picked(tracks.size), tracks.size)
        for place, mask in zip(tracks.texts, picked, strict=True):
            masks[place] = mask
    ids, classes = (np.asarray(values, dtype=np.int64) for values in (tracks.ids, tracks.classes))
    return masks_to_instances(masks, ids, classes)


def read_picked(
    masks: Iterable[np.ndarray], rows: np.ndarray, columns: np.ndarray, size: tuple[int, int]
) -> Iterator[np.ndarray]:
    """Masks at picked rows and columns, without decoding the other pixels.

    From (R,) int64 run lengths of masks of (H, W) = ``size`` pixels, and (h,) and (w,) indices in
    any order, to (h, w) uint8 masks, 0 or 1.
    """
    height, width = size
    distinct_rows, row_place = np.unique(rows, return_inverse=True)
    distinct_columns, column_place = np.unique(columns, return_inverse=True)
    # How many picked rows (columns) come before each row (column).
    rows_before = np.searchsorted(distinct_rows, np.arange(height + 1))
    columns_before = np.searchsorted(distinct_columns, np.arange(width + 2))
    in_order = np.array_equal(rows, distinct_rows)
    for lengths in masks:
        # The picked pixels, column by column, that come before each edge between two runs.
        column, row = np.divmod(np.cumsum(lengths), height)
        before, after = columns_before[column], columns_before[column + 1]
        places = before * len(distinct_rows) + (after - before) * rows_before[row]
        values = np.zeros(len(places), dtype=np.uint8)
        values[1::2] = 1
        picked = np.repeat(values, np.diff(places, prepend=0))
        picked = picked.reshape(len(distinct_columns), len(distinct_rows))[column_place]
        yield cv2.transpose(picked if in_order else np.take(picked, row_place, axis=1))


def masks_to_instances(masks: np.ndarray, ids: np.ndarray, classes: np.ndarray) -> list[Instances]:
    """The ``Instances`` of a clip, as ``tracks_to_instances`` gives them.

    From (T, N, h, w) bool masks, (N,) int64 ids and (N,) int64 classes.
    """
    size = masks.shape[-2:]
    rows, columns = np.any(masks, axis=3), np.any(masks, axis=2)
    visible = np.any(columns, axis=2)
    kept = np.flatnonzero(visible.any(axis=0))
    if len(kept) < len(ids):
        masks, rows, columns, visible = (x[:, kept] for x in (masks, rows, columns, visible))
    low_x, high_x = _extent(columns)
    low_y, high_y = _extent(rows)
    boxes = np.stack([low_x, low_y, high_x, high_y], axis=-1).astype(np.float32)
    frame_ids, labels = np.where(visible, ids[kept], -1), np.tile(classes[kept], (len(masks), 1))
    # A frame's tensors are parts of the clip's, so that a worker hands over four and not 4 T.
    parts = (boxes, labels, frame_ids, masks)
    clip = []
    for box, label, track_id, mask in zip(*map(torch.from_numpy, parts), strict=True):
        instances = Instances(size)
        instances.gt_boxes = Boxes(box)
        instances.gt_classes = label
        instances.gt_ids = track_id
        instances.gt_masks = BitMasks(mask)
        clip.append(instances)
    return clip


def _extent(occupied: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(..., L) bool to the first True and one past the last, 0 and 0 where there is none."""
    length = occupied.shape[-1]
    present = occupied.any(axis=-1)
    low = np.where(present, occupied.argmax(axis=-1), 0)
    high = np.where(present, length - occupied[..., ::-1].argmax(axis=-1), 0)
    return low, high
