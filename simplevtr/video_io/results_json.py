"""The tracks of one video as a file in the format of YouTube-VIS results."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from simplevtr.formats.files import check_output
from simplevtr.structures import TrackMasks
from simplevtr.video_io.sink import partial_name

import numpy as np
from pycocotools import mask as coco_mask


def write_video_results(
    path: str | os.PathLike,
    result: Mapping,
    *,
    class_names: Sequence[str] = (),
    category_ids: Sequence[int] | None = None,
    video_id: int = 1,
    overwrite: bool = False,
) -> Path:
    """Write a list with an entry a track, in one step: the file is complete or as it was before.

    An entry has "video_id", "score", "category_id", "category_name" (null where nobody knows it)
    and "segmentations": a compressed RLE or null for each frame.

    Args:
        path: a ``.json`` file; folders on the way are made.
        result: of a predictor: "pred_scores", "pred_labels" and "pred_masks", the masks of a
            track as ``TrackMasks`` or a (T, H, W) bool tensor.
        class_names: names by label.
        category_ids: the dataset's own ids by label; None: label + 1.
        video_id: stands in every entry.
        overwrite: whether a file may be replaced.

    Returns:
        The path written.

    Raises:
        ValueError: the suffix is not .json, or a label has no category id.
        FileExistsError: the file exists and ``overwrite`` is False.
    """
    path = check_output(path, overwrite=overwrite, suffixes=(".json",))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_name(path)
    try:
        with partial.open("x", encoding="ascii") as file:
            # Entry by entry, so that the text is never in memory as a whole.
            for i, entry in enumerate(_entries(result, class_names, category_ids, video_id)):
                file.write(",\n" if i else "[")
                json.dump(entry, file, allow_nan=False)
            file.write("]\n" if result["pred_scores"] else "[]\n")
        check_output(path, overwrite=overwrite, suffixes=(".json",))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _entries(
    result: Mapping,
    class_names: Sequence[str],
    category_ids: Sequence[int] | None,
    video_id: int,
) -> Iterator[dict]:
    rows = zip(result["pred_scores"], result["pred_labels"], result["pred_masks"], strict=True)
    for score, label, masks in rows:
        label = int(label)
        if category_ids is not None and not 0 <= label < len(category_ids):
            raise ValueError(f"label {label} has no category id; {len(category_ids)} are known")
        yield {
            "video_id": video_id,
            "score": float(score),
            "category_id": label + 1 if category_ids is None else int(category_ids[label]),
            "category_name": class_names[label] if 0 <= label < len(class_names) else None,
            "segmentations": _segmentations(masks),
        }


def _segmentations(masks: TrackMasks | object) -> list[dict | None]:
    if isinstance(masks, TrackMasks):
        return masks.rles
    found: list[dict | None] = []
    for mask in masks:
        mask = np.asarray(mask.cpu(), dtype=np.uint8)
        rle = coco_mask.encode(np.asfortranarray(mask))
        empty = not mask.any()
        found.append(None if empty else {**rle, "counts": rle["counts"].decode("ascii")})
    return found
