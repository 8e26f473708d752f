"""Reading annotation files in YouTube-VIS format, and registering them with detectron2."""

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from simplevtr.data.categories import DATASET_CATEGORIES, first_difference
from simplevtr.data.record_cache import read_once
from simplevtr.formats.film_strips import check_frames
from simplevtr.formats.paths import AnyPath, existing
from simplevtr.formats.rle import is_background
from simplevtr.formats.ytvis import AnnotationFile, decode_masks, read_annotations

from detectron2.data import DatasetCatalog, Metadata, MetadataCatalog
from detectron2.structures import BoxMode

logger = logging.getLogger(__name__)

Record = dict[str, Any]


def register_ytvis(name: str, json_file: AnyPath, image_root: AnyPath) -> None:
    """Make a dataset in YTVIS format known to detectron2's catalogs under ``name``.

    The file names in ``json_file`` start at the folder ``image_root``. Nothing is read before the
    dataset is asked for. Registering the same files again does nothing.

    Raises:
        ValueError: the name belongs to other files already.
    """
    files = os.fspath(json_file), os.fspath(image_root)
    register(name, *files, lambda: load_ytvis_json(*files, name), "ytvis")


def register(
    name: str,
    json_file: str,
    image_root: str,
    load: Callable[[], list[Record]],
    evaluator_type: str,
    **more: str,
) -> None:
    """Make a dataset known to detectron2's catalogs, unless it is known with these files already.

    Raises:
        ValueError: the name belongs to other files, or its metadata differs from ``more``.
    """
    wanted = {"json_file": json_file, "image_root": image_root, **more}
    if name not in DatasetCatalog:
        DatasetCatalog.register(name, load)
        MetadataCatalog.get(name).set(**wanted, evaluator_type=evaluator_type)
        return
    present = {key: MetadataCatalog.get(name).get(key) for key in wanted}
    # Relative paths may be written in two ways; other names stay as different as they are.
    own, taken = (
        [value and os.path.abspath(value) for value in values.values()]
        for values in (wanted, present)
    )
    if own != taken:
        raise ValueError(
            f"dataset name {name!r} is taken by {present['json_file']} with images "
            f"{present['image_root']}, so {json_file} with images {image_root} needs another name"
        )


def load_ytvis_json(
    json_file: AnyPath, image_root: AnyPath, dataset_name: str | None = None
) -> list[Record]:
    """Read an annotation file into video records, sorted by video id.

    The file names in it start at the folder ``image_root``, where all frames must exist. A file
    that has been read already and has not changed since is not parsed again. For a registered
    dataset ``thing_classes`` and ``thing_dataset_id_to_contiguous_id`` are set in its metadata, and
    for a public one the categories must be the official ones. If its metadata has
    ``settled_classes``, these are the classes, matched by name, and tracks of other categories are
    left out; else the file's, sorted by id, are.

    Returns:
        One dict per video: ``file_names`` (paths), ``height``, ``width`` (pixels), ``length``
        (frames), ``video_id``, and ``annotations``: for each frame the list of the instances
        visible there, dicts with ``id``, ``category_id`` (contiguous, in [0, K)), ``iscrowd`` (0 or
        1), ``bbox`` (x, y, w, h in pixels, or None if the file has no box), ``bbox_mode`` and
        ``segmentation`` (as in the file: polygons or RLE). A file whose ``annotations`` are missing
        or null has no ground truth; its records have an empty list per frame.

    Raises:
        FileNotFoundError: if the file, the image root or a frame does not exist.
        ValueError: if the file is not what the format asks for, down to its masks; the message says
            where.
    """
    json_file, image_root = os.fspath(json_file), os.fspath(image_root)
    file = read_once(json_file, _read_checked)
    names = dict(_categories(file))
    if official := DATASET_CATEGORIES.get(dataset_name or ""):
        if difference := first_difference([*names.items()], official):
            raise ValueError(
                f"{json_file} is not the annotation file of {dataset_name}: its category list "
                f"{difference}; register other files under a name of their own"
            )
        names = dict(official)  # in the official spelling
    metadata = MetadataCatalog.get(dataset_name) if dataset_name else Metadata()
    settled = metadata.get("settled_classes")
    order = settled.names if settled else names.values()
    places = {name: label for label, name in enumerate(order)}
    labels = {number: places[name] for number, name in names.items() if name in places}
    records = records_of(file, image_root, labels)
    find_frames(records, json_file, image_root, "frames")
    values = {"thing_classes": [*order], "thing_dataset_id_to_contiguous_id": labels}
    for key, value in values.items():
        if metadata.get(key, value) != value:
            raise ValueError(
                f"{json_file} gives {key} = {value}, but dataset {dataset_name!r} has "
                f"{metadata.get(key)} already; register the changed file under another name"
            )
    metadata.set(**values)
    return records


def dataset_categories(name: str) -> Sequence[tuple[int, str]]:
    """(id, name) of each category of a registered dataset of videos, sorted by id.

    The file of a dataset that is not public is read; raises what ``load_ytvis_json`` does.
    """
    if name in DATASET_CATEGORIES:
        return DATASET_CATEGORIES[name]
    if (json_file := MetadataCatalog.get(name).get("json_file")) is None:
        raise ValueError(f"dataset {name!r} has no 'json_file' in its metadata: register_ytvis")
    return _categories(read_once(json_file, _read_checked))


def _categories(file: AnnotationFile) -> list[tuple[int, str]]:
    return sorted((category.id, category.name) for category in file.categories)


def _read_checked(json_file: AnyPath) -> AnnotationFile:
    start = time.perf_counter()
    file = read_annotations(json_file)
    decode_masks(file, check_frames)  # one that cannot be decoded would end a training midway
    found = "no ground truth"
    if file.annotations is not None:
        crowds = sum(track.iscrowd for track in file.annotations)
        found = f"{len(file.annotations)} tracks" + f" ({crowds} of them crowds)" * bool(crowds)
    frames, seconds = sum(v.length for v in file.videos), time.perf_counter() - start
    logger.info(
        "Read %d videos, %d frames and %s from %s in %.1f s",
        *(len(file.videos), frames, found, json_file, seconds),
    )
    return file


def records_of(file: AnnotationFile, image_root: str, labels: Mapping[int, int]) -> list[Record]:
    """The records of a file, sorted by id, with the tracks whose category ids have ``labels``.

    ValueError if the name of a frame is missing or leads out of the root.
    """
    by_id: dict[int, Record] = {}
    for video in sorted(file.videos, key=attrgetter("id")):
        try:
            paths = [os.fspath(video.stated_path(image_root, t)) for t in range(video.length)]
        except ValueError as error:
            raise ValueError(f"{file.source}: {error}") from error
        by_id[video.id] = {
            "file_names": paths,
            "height": video.height,
            "width": video.width,
            "length": video.length,
            "video_id": video.id,
            "annotations": [[] for _ in paths],
        }
    for track in (own for own in file.annotations or () if own.category_id in labels):
        record, label = by_id[track.video_id], labels[track.category_id]
        frames, size = record["annotations"], (record["height"], record["width"])
        boxes = track.bboxes or [None] * len(frames)
        for frame, segmentation, box in zip(frames, track.segmentations, boxes, strict=True):
            if not is_background(segmentation, *size):  # in the frames in which it can be seen
                frame.append(
                    {
                        "id": track.id,
                        "category_id": label,
                        "iscrowd": int(track.iscrowd),
                        "bbox": box,
                        "bbox_mode": BoxMode.XYWH_ABS,
                        "segmentation": segmentation,
                    }
                )
    return [*by_id.values()]


def find_frames(records: list[Record], json_file: str, image_root: str, what: str) -> None:
    """Spell the names of the records' frames as the disk does, in place.

    Raises:
        FileNotFoundError: the image root or a frame, called ``what`` in the message, is missing.
    """
    if not os.path.isdir(image_root):
        raise FileNotFoundError(f"the image root {image_root} of {json_file} is not a folder")
    # One listing of a folder is much faster than to ask for each frame on a network disk.
    present: dict[str, set[str]] = {}
    missing = []
    for record in records:
        for t, path in enumerate(record["file_names"]):
            folder, name = os.path.split(path)
            if folder not in present:
                present[folder] = set()
                if os.path.isdir(folder):
                    present[folder] = {e.name for e in os.scandir(folder) if e.is_file()}
            if name not in present[folder]:
                record["file_names"][t] = os.fspath(existing(path))
                if not os.path.isfile(record["file_names"][t]):
                    missing.append(path)
    if missing:
        total = sum(record["length"] for record in records)
        raise FileNotFoundError(
            f"{len(missing)} of the {total} {what} of {json_file} do not exist; the first missing "
            f"one is {missing[0]}"
        )
