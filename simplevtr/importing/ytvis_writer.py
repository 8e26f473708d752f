"""Writing what was imported as an annotation file in YouTube-VIS format."""

from __future__ import annotations

import json
import os
from typing import Any

from simplevtr.formats.files import refuse_existing, write_bytes
from simplevtr.importing.dataset import ImportedDataset, ImportedTrack, ImportedVideo

from pycocotools import mask as coco_mask
from tqdm import tqdm


def write_ytvis(
    dataset: ImportedDataset,
    path: str | os.PathLike[str],
    *,
    description: str = "",
    overwrite: bool = False,
) -> None:
    """Write an annotation file in one step: it is either complete or as it was before.

    Videos and annotations are numbered from 1; masks become compressed RLEs with text counts, with
    null, also for box and area, in frames that do not show the object.

    Args:
        dataset: what to write; it must have a video and a category.
        path: the file; its folder is made.
        description: what ``info`` says.
        overwrite: whether an existing file is replaced.

    Raises:
        FileExistsError: there is such a file and ``overwrite`` is False.
        ValueError: the dataset has no video or no category.
    """
    for what in ("videos", "categories"):
        if not getattr(dataset, what):
            raise ValueError(f"nothing to write to {path}: the source has no {what}")
    refuse_existing(path, overwrite=overwrite)
    content = json.dumps(_content(dataset, description), allow_nan=False)
    write_bytes(path, f"{content}\n".encode("ascii"), overwrite=overwrite)


def _content(dataset: ImportedDataset, description: str) -> dict[str, Any]:
    """The file's content, keys in the order of the official files."""
    ids = {name: category_id for category_id, name in dataset.categories}
    videos, annotations = [], []
    for video_id, video in enumerate(
        tqdm(dataset.videos, desc="writing", unit="video", disable=None), start=1
    ):
        height, width = video.size
        videos.append(
            {
                "height": height,
                "width": width,
                "length": len(video.file_names),
                "file_names": video.file_names,
                "id": video_id,
            }
        )
        for track in video.tracks:
            annotations.append(
                {
                    "height": height,
                    "width": width,
                    "length": len(video.file_names),
                    "category_id": ids[track.category],
                    **_frame_lists(track, video),
                    "video_id": video_id,
                    "iscrowd": 0,
                    "id": len(annotations) + 1,
                }
            )
    return {
        "info": {"description": description},
        "licenses": [],
        "videos": videos,
        "categories": [{"id": i, "name": name} for i, name in sorted(dataset.categories)],
        "annotations": annotations,
    }


def _frame_lists(track: ImportedTrack, video: ImportedVideo) -> dict[str, list]:
    lists: dict[str, list] = {"segmentations": [], "bboxes": [], "areas": []}
    for t in range(len(video.file_names)):
        rle = track.masks.get(t)
        if rle is None:
            entries = (None, None, None)
        else:
            text = {"size": list(video.size), "counts": rle["counts"].decode("ascii")}
            entries = (text, coco_mask.toBbox(rle).tolist(), int(coco_mask.area(rle)))
        for entry, found in zip(entries, lists.values(), strict=True):
            found.append(entry)
    return lists
