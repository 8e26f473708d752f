"""COCO's still images as training data for videos: records of one image, with a video's categories.

The mapper makes a clip of such a record, see :mod:`simplevtr.data.pseudo_video`.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

from simplevtr.data.category_match import match_categories
from simplevtr.data.record_cache import read_once
from simplevtr.formats.files import read_json

from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.structures import BoxMode

logger = logging.getLogger(__name__)

EVALUATOR_TYPE = "coco_pseudo"  # what tells these datasets from videos in detectron2's catalog
_SHOWN = 5  # names in a log line


def register_coco_stills(
    name: str,
    json_file: str | os.PathLike[str],
    image_root: str | os.PathLike[str],
    categories_of: str,
) -> None:
    """Make a COCO file of still images known to detectron2's catalogs under ``name``.

    Nothing is read before the dataset is asked for. To register the same again does nothing.

    Args:
        name: what configs call the dataset in DATASETS.TRAIN.
        json_file: the COCO annotation file.
        image_root: the folder that the file names in it start at.
        categories_of: a registered dataset of videos, whose categories this one gets.

    Raises:
        ValueError: if the name belongs to other files, or other categories, already.
    """
    files = [os.path.abspath(path) for path in (json_file, image_root)]
    if name in DatasetCatalog:
        metadata = MetadataCatalog.get(name)
        present = [metadata.get(key) for key in ("json_file", "image_root", "categories_of")]
        if present == [*files, categories_of]:
            return
        raise ValueError(
            f"dataset name {name!r} is taken by {present[0]} with images {present[1]}, so "
            f"{json_file} with images {image_root} needs another name"
        )
    DatasetCatalog.register(name, lambda: _load_registered(name))
    metadata = MetadataCatalog.get(name)
    metadata.set(
        json_file=files[0],
        image_root=files[1],
        categories_of=categories_of,
        evaluator_type=EVALUATOR_TYPE,
    )


def is_stills(name: str) -> bool:
    """Whether a registered dataset is one of still images."""
    return MetadataCatalog.get(name).get("evaluator_type") == EVALUATOR_TYPE


def load_coco_stills(
    json_file: str | os.PathLike[str], image_root: str | os.PathLike[str], classes: Sequence[str]
) -> list[dict[str, Any]]:
    """Read a COCO file into records of one image, sorted by image id.

    Categories are matched by name, see
    :func:`simplevtr.data.category_match.match_categories`. Annotations of other categories, crowds
    and those without a segmentation are dropped, and images without any other; their numbers are
    logged.

    Args:
        json_file: the COCO annotation file.
        image_root: the folder that the file names in it start at; all images must exist.
        classes: the categories of the model, in order.

    Returns:
        Records as :func:`simplevtr.data.ytvis.load_ytvis_json` gives them, of videos of one frame,
        with ``video_id``, the image's id, and ``pseudo``, True.

    Raises:
        FileNotFoundError: if the file, the image root or an image does not exist.
        ValueError: if the file is not what the format asks for, or has no category of ``classes``.
    """
    json_file, image_root = os.fspath(json_file), os.fspath(image_root)
    variant = "\0".join([image_root, *classes])
    records = read_once(json_file, lambda: _parse(json_file, image_root, classes), variant=variant)
    _check_images_exist(records, json_file, image_root)
    return records


def _load_registered(name: str) -> list[dict[str, Any]]:
    metadata = MetadataCatalog.get(name)
    target = metadata.categories_of
    if target not in DatasetCatalog:
        raise KeyError(f"dataset {name!r} takes the categories of {target!r}, which is unknown")
    if MetadataCatalog.get(target).get("thing_classes") is None:
        DatasetCatalog.get(target)  # the categories stand in its file
    source = MetadataCatalog.get(target)
    records = load_coco_stills(metadata.json_file, metadata.image_root, source.thing_classes)
    for key in ("thing_classes", "thing_dataset_id_to_contiguous_id"):
        metadata.set(**{key: source.get(key)})
    return records


def _parse(json_file: str, image_root: str, classes: Sequence[str]) -> list[dict[str, Any]]:
    content = _read_lists(json_file)
    contiguous = _match(content["categories"], classes, json_file)
    records = _read_images(content["images"], json_file, image_root)
    dropped: Counter[str] = Counter()
    seen: set[int] = set()
    for entry in content["annotations"]:
        _attach(entry, records, contiguous, dropped, json_file)
        if entry["id"] in seen:
            raise ValueError(f"{json_file}: annotation id {entry['id']} appears twice")
        seen.add(entry["id"])
    usable = [records[i] for i in sorted(records) if records[i]["annotations"][0]]
    kept = sum(len(record["annotations"][0]) for record in usable)
    reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.most_common())
    logger.info(
        "Read %d stills with %d instances from %s; dropped: %d images without any, annotations: %s",
        len(usable),
        kept,
        json_file,
        len(records) - len(usable),
        reasons or "none",
    )
    return usable


def _read_lists(json_file: str) -> dict[str, list[Any]]:
    content = read_json(json_file)
    for key in ("images", "categories", "annotations"):
        entries = content.get(key) if isinstance(content, dict) else None
        if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
            raise ValueError(
                f"annotation file {json_file} has no list {key!r} of objects; a COCO file has"
            )
    return content


def _match(
    categories: list[dict[str, Any]], classes: Sequence[str], json_file: str
) -> dict[int, int | None]:
    """The contiguous id of each category of the file, None where the model has none."""
    kinds: dict[str, str | None] = {}
    names: dict[int, str] = {}
    for entry in categories:
        number, name, kind = (entry.get(key) for key in ("id", "name", "supercategory"))
        if type(number) is not int or not isinstance(name, str) or number in names:
            raise ValueError(f"{json_file}: category {entry!r:.80} has no id of its own or no name")
        names[number] = name
        kinds[name] = kind if isinstance(kind, str) else None
    found = match_categories(kinds, classes)
    matched = [name for name, index in found.items() if index is not None]
    if not matched:
        raise ValueError(
            f"{json_file}: none of its categories, such as {', '.join([*kinds][:_SHOWN])}, is one "
            f"of {', '.join(classes)}"
        )
    logger.info("%d categories of %s are used: %s", len(matched), json_file, ", ".join(matched))
    return {number: found[name] for number, name in names.items()}


def _read_images(
    images: list[dict[str, Any]], json_file: str, image_root: str
) -> dict[int, dict[str, Any]]:
    """Records without annotations, by image id."""
    records: dict[int, dict[str, Any]] = {}
    for entry in images:
        number, name = entry.get("id"), entry.get("file_name")
        size = [entry.get("height"), entry.get("width")]
        counts = all(type(value) is int for value in (number, *size))
        if not counts or number in records or min(size) < 1 or not isinstance(name, str):
            raise ValueError(
                f"{json_file}: image {entry!r:.120}; an id of its own, height and width of at "
                "least 1 and a file_name are needed"
            )
        records[number] = {
            "file_names": [os.path.join(image_root, name)],
            "height": size[0],
            "width": size[1],
            "length": 1,
            "video_id": number,
            "annotations": [[]],
            "pseudo": True,
        }
    return records


def _attach(
    entry: dict[str, Any],
    records: dict[int, dict[str, Any]],
    contiguous: dict[int, int | None],
    dropped: Counter[str],
    json_file: str,
) -> None:
    """Put an annotation into its record, or count why not."""
    number, image, category = (entry.get(key) for key in ("id", "image_id", "category_id"))
    if not all(type(value) is int for value in (number, image, category)):
        raise ValueError(
            f"{json_file}: annotation {entry!r:.120}; integers id, image_id and category_id needed"
        )
    if image not in records or category not in contiguous:
        raise ValueError(
            f"{json_file}: annotation {number} has unknown image {image} or category {category}"
        )
    if contiguous[category] is None:
        dropped["of other categories"] += 1
    elif entry.get("iscrowd", 0):
        dropped["of crowds"] += 1
    elif not entry.get("segmentation"):
        dropped["without segmentation"] += 1
    else:
        records[image]["annotations"][0].append(
            {
                "id": number,
                "category_id": contiguous[category],
                "iscrowd": 0,
                "bbox": entry.get("bbox"),
                "bbox_mode": BoxMode.XYWH_ABS,
                "segmentation": entry["segmentation"],
            }
        )


def _check_images_exist(records: list[dict[str, Any]], json_file: str, image_root: str) -> None:
    if not os.path.isdir(image_root):
        raise FileNotFoundError(f"the image root {image_root} of {json_file} is no folder")
    # One listing is much faster than to ask for each of 100 000 files on a network disk.
    present = {os.path.join(image_root, name) for name in os.listdir(image_root)}
    paths = [record["file_names"][0] for record in records]
    missing = [path for path in paths if path not in present and not os.path.isfile(path)]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of the {len(paths)} images of {json_file} do not exist; the first "
            f"missing one is {missing[0]}"
        )
