"""COCO's still images as training data for videos: records of one image, with a video's categories.

The mapper makes a clip of such a record, see :mod:`simplevtr.data.pseudo_video`.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from simplevtr.data.category_match import match_categories
from simplevtr.data.record_cache import read_once
from simplevtr.data.ytvis import video_record
from simplevtr.formats import checks
from simplevtr.formats.files import read_json
from simplevtr.formats.ytvis import Video

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
    classes = metadata.get("label_names")
    if classes is None:
        if MetadataCatalog.get(target).get("thing_classes") is None:
            DatasetCatalog.get(target)  # the categories stand in its file
        classes = MetadataCatalog.get(target).thing_classes
    records = load_coco_stills(metadata.json_file, metadata.image_root, classes)
    metadata.set(thing_classes=list(classes))
    return records


@dataclass(frozen=True, slots=True)
class _Category:
    id: int
    name: str
    kind: str | None  # supercategory


@dataclass(frozen=True, slots=True)
class _Instance:
    id: int
    image_id: int
    category_id: int
    values: dict[str, Any]  # the entry


def _parse(json_file: str, image_root: str, classes: Sequence[str]) -> list[dict[str, Any]]:
    content = read_json(json_file)
    for key in ("images", "categories", "annotations"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise ValueError(f"{json_file}: has no list {key!r}; a COCO file has")

    def parse_instance(entry: dict[str, Any]) -> _Instance:
        image = checks.known(entry, "image_id", records)
        category = checks.known(entry, "category_id", contiguous)
        return _Instance(checks.integer(entry, "id"), image, category, entry)

    categories = checks.entries(
        content["categories"], json_file, "categories", _category, unique=["id"]
    )
    contiguous = _match(categories, classes, json_file)
    images = checks.entries(content["images"], json_file, "images", _image, unique=["id"])
    records = {image.id: _record(image, json_file, image_root) for image in images}
    dropped: Counter[str] = Counter()
    for instance in checks.entries(
        content["annotations"], json_file, "annotations", parse_instance, unique=["id"]
    ):
        _attach(instance, records, contiguous, dropped)
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


def _category(entry: dict[str, Any]) -> _Category:
    kind = entry.get("supercategory")
    kind = kind if isinstance(kind, str) else None
    return _Category(checks.integer(entry, "id"), checks.text(entry, "name"), kind)


def _image(entry: dict[str, Any]) -> Video:
    """A still image as a video of one frame."""
    height, width = (checks.integer(entry, key, least=1) for key in ("height", "width"))
    name = checks.text(entry, "file_name")
    return Video(checks.integer(entry, "id"), height, width, 1, [name])


def _match(
    categories: list[_Category], classes: Sequence[str], json_file: str
) -> dict[int, int | None]:
    """The contiguous id of each category of the file, None where the model has none."""
    found = match_categories({category.name: category.kind for category in categories}, classes)
    matched = [name for name, index in found.items() if index is not None]
    if not matched:
        raise ValueError(
            f"{json_file}: none of its categories, such as {', '.join([*found][:_SHOWN])}, is one "
            f"of {', '.join(classes)}"
        )
    logger.info("%d categories of %s are used: %s", len(matched), json_file, ", ".join(matched))
    return {category.id: found[category.name] for category in categories}


def _record(image: Video, json_file: str, image_root: str) -> dict[str, Any]:
    """A record without annotations."""
    return {**video_record(image, json_file, image_root), "pseudo": True}


def _attach(
    instance: _Instance,
    records: dict[int, dict[str, Any]],
    contiguous: dict[int, int | None],
    dropped: Counter[str],
) -> None:
    """Put an instance into its record, or count why not."""
    label = contiguous[instance.category_id]
    if label is None:
        dropped["of other categories"] += 1
    elif instance.values.get("iscrowd", 0):
        dropped["of crowds"] += 1
    elif not instance.values.get("segmentation"):
        dropped["without segmentation"] += 1
    else:
        records[instance.image_id]["annotations"][0].append(
            {
                "id": instance.id,
                "category_id": label,
                "iscrowd": 0,
                "bbox": instance.values.get("bbox"),
                "bbox_mode": BoxMode.XYWH_ABS,
                "segmentation": instance.values["segmentation"],
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
