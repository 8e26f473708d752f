"""Reading annotation files in YouTube-VIS format, and registering them with detectron2."""

from __future__ import annotations

import logging
import os
import time
from typing import Any

from simplevtr.data.categories import DATASET_CATEGORIES, first_difference
from simplevtr.data.record_cache import read_once
from simplevtr.formats.checks import check_outline
from simplevtr.formats.files import read_json

from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.structures import BoxMode

logger = logging.getLogger(__name__)

_VIDEO_KEYS = ("id", "height", "width", "length", "file_names")
_ANNOTATION_KEYS = ("id", "video_id", "category_id", "segmentations")
_FRAME_LISTS = ("segmentations", "bboxes", "areas")


def register_ytvis(
    name: str, json_file: str | os.PathLike[str], image_root: str | os.PathLike[str]
) -> None:
    """Make a dataset in YTVIS format known to detectron2's catalogs under ``name``.

    Nothing is read before the dataset is asked for. To register the same files again does nothing.

    Args:
        name: what configs call the dataset in DATASETS.TRAIN and DATASETS.TEST.
        json_file: the annotation file.
        image_root: the folder that the file names in it start at.

    Raises:
        ValueError: if the name belongs to other files already.
    """
    json_file, image_root = os.fspath(json_file), os.fspath(image_root)
    if name in DatasetCatalog:
        metadata = MetadataCatalog.get(name)
        present = (metadata.get("json_file"), metadata.get("image_root"))
        same = zip(present, (json_file, image_root), strict=True)
        if all(a is not None and os.path.abspath(a) == os.path.abspath(b) for a, b in same):
            return
        raise ValueError(
            f"dataset name {name!r} is taken by {present[0]} with frames {present[1]}, so "
            f"{json_file} with frames {image_root} needs another name"
        )
    DatasetCatalog.register(name, lambda: load_ytvis_json(json_file, image_root, name))
    MetadataCatalog.get(name).set(
        json_file=json_file, image_root=image_root, evaluator_type="ytvis"
    )


def load_ytvis_json(
    json_file: str | os.PathLike[str],
    image_root: str | os.PathLike[str],
    dataset_name: str | None = None,
) -> list[dict[str, Any]]:
    """Read an annotation file into video records, sorted by video id.

    A file that has been read already and has not changed since is not parsed again.

    Args:
        json_file: the annotation file.
        image_root: the folder that the file names in it start at; it and the first frame of every
            video must exist.
        dataset_name: if given, ``thing_classes`` and ``thing_dataset_id_to_contiguous_id`` are set
            in this dataset's metadata, and for a public dataset the categories must be the official
            ones.

    Returns:
        One dict a video: ``file_names`` (list of paths), ``height``, ``width`` (pixels), ``length``
        (frames), ``video_id``, and ``annotations``: for each frame the list of the instances
        visible there, dicts with ``id``, ``category_id`` (contiguous, in [0, K)), ``iscrowd`` (0 or
        1), ``bbox`` (x, y, w, h in pixels, or None if the file has no box), ``bbox_mode`` and
        ``segmentation`` (as in the file: polygons or RLE). A file whose ``annotations`` are missing
        or null has no ground truth; its records have an empty list a frame.

    Raises:
        FileNotFoundError: if the file, the image root or the first frame of a video does not exist.
        ValueError: if the file is not what the format asks for; the message says where.
    """
    json_file, image_root = os.fspath(json_file), os.fspath(image_root)
    categories, records = read_once(
        json_file, lambda: _parse(json_file, image_root), variant=image_root
    )
    categories = _official_names(categories, json_file, dataset_name)
    _check_frames_exist(records, json_file, image_root)
    if dataset_name is not None:
        _set_metadata(
            dataset_name,
            json_file,
            thing_classes=[name for _, name in categories],
            thing_dataset_id_to_contiguous_id=_contiguous(categories),
        )
    return records


def _parse(json_file: str, image_root: str) -> tuple[list[tuple[int, str]], list[dict[str, Any]]]:
    """Categories and records, both sorted by id."""
    start = time.perf_counter()
    content = read_json(json_file)
    check_outline(content, json_file)
    categories = _read_categories(content, json_file)
    records = _read_videos(content["videos"], json_file, image_root)
    annotations = content.get("annotations")
    if annotations is not None:
        _attach_annotations(annotations, records, _contiguous(categories), json_file)
    logger.info(
        "Read %d videos, %d frames and %s from %s in %.1f s",
        len(records),
        sum(record["length"] for record in records.values()),
        "no ground truth" if annotations is None else f"{len(annotations)} tracks",
        json_file,
        time.perf_counter() - start,
    )
    return categories, [records[video_id] for video_id in sorted(records)]


def _contiguous(categories: list[tuple[int, str]]) -> dict[int, int]:
    return {category_id: index for index, (category_id, _) in enumerate(categories)}


def _require(entry: Any, keys: tuple[str, ...], seen: Any, what: str, json_file: str) -> None:
    """An object with these keys, whose id is a new one."""
    if not isinstance(entry, dict):
        raise ValueError(f"{json_file}: {what} is {entry!r:.80}; an object is needed")
    missing = [key for key in keys if key not in entry]
    if missing:
        raise ValueError(f"{json_file}: {what} {entry.get('id')!r:.80} has no {', '.join(missing)}")
    _require_count(entry["id"], 0, f"id of {what}", json_file)
    if entry["id"] in seen:
        raise ValueError(f"{json_file}: {what} id {entry['id']} appears twice")


def _require_count(value: Any, lowest: int, what: str, json_file: str) -> None:
    """An integer (bool is none) of at least ``lowest``."""
    if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
        raise ValueError(f"{json_file}: {what} is {value!r:.80}; an integer >= {lowest} is needed")


def _read_categories(content: dict[str, Any], json_file: str) -> list[tuple[int, str]]:
    """(id, name) pairs sorted by id."""
    names: dict[int, str] = {}
    for entry in content["categories"]:
        _require(entry, ("id", "name"), names, "category", json_file)
        names[entry["id"]] = str(entry["name"])
    return sorted(names.items())


def _official_names(
    categories: list[tuple[int, str]], json_file: str, dataset_name: str | None
) -> list[tuple[int, str]]:
    """The categories, for a public dataset with the official spelling."""
    expected = DATASET_CATEGORIES.get(dataset_name or "")
    if expected is None:
        return categories
    difference = first_difference(tuple(categories), expected)
    if difference is not None:
        raise ValueError(
            f"{json_file} is not the annotation file of {dataset_name}: its category list "
            f"{difference}; register other files under a name of their own"
        )
    return list(expected)


def _read_videos(videos: list[Any], json_file: str, image_root: str) -> dict[int, dict[str, Any]]:
    """Records without annotations, by video id."""
    records: dict[int, dict[str, Any]] = {}
    for video in videos:
        _require(video, _VIDEO_KEYS, records, "video", json_file)
        video_id, names = video["id"], video["file_names"]
        for key in ("height", "width", "length"):
            _require_count(video[key], 1, f"{key} of video {video_id}", json_file)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"{json_file}: file_names of video {video_id} is no list of strings")
        if len(names) != video["length"]:
            lengths = f"{len(names)} file_names, but length {video['length']}"
            raise ValueError(f"{json_file}: video {video_id} has {lengths}")
        records[video_id] = {
            "file_names": [os.path.join(image_root, name) for name in names],
            "height": video["height"],
            "width": video["width"],
            "length": video["length"],
            "video_id": video_id,
            "annotations": [[] for _ in names],
        }
    return records


def _check_frames_exist(records: Any, json_file: str, image_root: str) -> None:
    if not os.path.isdir(image_root):
        raise FileNotFoundError(f"the image root {image_root} of {json_file} is no folder")
    first_frames = [record["file_names"][0] for record in records]
    missing = [path for path in first_frames if not os.path.isfile(path)]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of the {len(first_frames)} videos of {json_file} have no first frame "
            f"on disk; the first missing one is {missing[0]}"
        )


def _attach_annotations(
    annotations: list[Any],
    records: dict[int, dict[str, Any]],
    contiguous: dict[int, int],
    json_file: str,
) -> None:
    """Put each track into the frames of its record in which it can be seen."""
    seen: set[int] = set()
    for track in annotations:
        _require(track, _ANNOTATION_KEYS, seen, "annotation", json_file)
        track_id, video_id = track["id"], track["video_id"]
        seen.add(track_id)
        for key in ("video_id", "category_id"):
            _require_count(track[key], 0, f"{key} of annotation {track_id}", json_file)
        if video_id not in records:
            raise ValueError(f"{json_file}: annotation {track_id} is of unknown video {video_id}")
        if track["category_id"] not in contiguous:
            raise ValueError(
                f"{json_file}: annotation {track_id} has unknown category id "
                f"{track['category_id']}; known: {', '.join(map(str, contiguous))}"
            )
        if track.get("iscrowd", 0) not in (0, 1):
            raise ValueError(
                f"{json_file}: iscrowd of annotation {track_id} is {track['iscrowd']!r:.80}; "
                "0 or 1 is needed"
            )
        frames = records[video_id]["annotations"]
        _check_frame_lists(track, len(frames), json_file)
        boxes = track.get("bboxes") or [None] * len(frames)
        for frame, segmentation, box in zip(frames, track["segmentations"], boxes, strict=True):
            if segmentation:  # null, and an empty list of polygons, mean absence
                frame.append(
                    {
                        "id": track_id,
                        "category_id": contiguous[track["category_id"]],
                        "iscrowd": int(track.get("iscrowd", 0)),
                        "bbox": box,
                        "bbox_mode": BoxMode.XYWH_ABS,
                        "segmentation": segmentation,
                    }
                )


def _check_frame_lists(track: dict[str, Any], length: int, json_file: str) -> None:
    """Each list of a track has one entry a frame; boxes and areas may be left out."""
    for key in _FRAME_LISTS:
        entries = track.get(key)
        if entries is None and key != "segmentations":
            continue
        if not isinstance(entries, list) or len(entries) != length:
            found = len(entries) if isinstance(entries, list) else repr(entries)
            raise ValueError(
                f"{json_file}: annotation {track['id']} has {found} {key}, but its video "
                f"{track['video_id']} has {length} frames; one entry a frame is needed, null where "
                "the instance is not visible"
            )


def _set_metadata(name: str, json_file: str, **values: Any) -> None:
    metadata = MetadataCatalog.get(name)
    for key, value in values.items():
        present = metadata.get(key)
        if present is not None and present != value:
            raise ValueError(
                f"{json_file} gives {key} = {value}, but dataset {name!r} has {present} already; "
                "register the changed file under another name"
            )
        metadata.set(**{key: value})
