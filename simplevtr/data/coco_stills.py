"""COCO's still images ("stills") as training data for videos: records of one image.

The mapper makes a clip of such a record, see :mod:`simplevtr.data.pseudo_video`.
"""

import logging
import os
from collections.abc import Sequence
from functools import partial
from typing import Any

from simplevtr.data.categories import DATASET_CATEGORIES, match_categories
from simplevtr.data.record_cache import read_once
from simplevtr.data.ytvis import Record, dataset_categories, find_frames, records_of, register
from simplevtr.formats import checks
from simplevtr.formats.files import read_json
from simplevtr.formats.rle import check_mask
from simplevtr.formats.ytvis import Annotation, AnnotationFile, Video, parse_categories

from detectron2.data import MetadataCatalog
from detectron2.utils.logger import log_first_n

logger = logging.getLogger(__name__)

EVALUATOR_TYPE = "coco_pseudo"  # what tells these datasets from videos in detectron2's catalog
_SHOWN = 5  # names in a log line


def register_coco_stills(
    name: str,
    json_file: str | os.PathLike[str],
    image_root: str | os.PathLike[str],
    categories_of: str,
) -> None:
    """Do what ``register_ytvis`` does for a COCO file of still images.

    Its categories become those of ``categories_of``, a registered dataset of videos or
    "coco_2017_train".
    """
    files = os.fspath(json_file), os.fspath(image_root)
    load = partial(_load_registered, name)
    register(name, *files, load, EVALUATOR_TYPE, categories_of=categories_of)


def is_stills(name: str) -> bool:
    """Whether a registered dataset is one of still images."""
    return MetadataCatalog.get(name).get("evaluator_type") == EVALUATOR_TYPE


def stills_categories(name: str) -> Sequence[tuple[int, str]]:
    """``dataset_categories`` of the dataset that registered stills follow; KeyError for another."""
    target = MetadataCatalog.get(name).categories_of
    kind = MetadataCatalog.get(target).get("evaluator_type")
    if target not in DATASET_CATEGORIES and kind != "ytvis":
        raise KeyError(
            f"dataset {name!r} takes the categories of {target!r}, which is not a registered "
            "dataset of videos"
        )
    return dataset_categories(target)


def load_coco_stills(
    json_file: str | os.PathLike[str], image_root: str | os.PathLike[str], classes: Sequence[str]
) -> list[Record]:
    """Read a COCO file into records of one image, sorted by image id.

    They are those of videos of one frame, as :func:`simplevtr.data.ytvis.load_ytvis_json` gives
    them, with the image's id as ``video_id``, and ``still``, True. Categories are matched by name
    with the model's ``classes``, see :func:`simplevtr.data.categories.match_categories`.
    Annotations of other categories, crowds and those without a segmentation are dropped, and images
    without any other; their numbers are logged.

    Raises:
        FileNotFoundError: if the file, the image root or an image does not exist.
        ValueError: if the file is not what the format asks for, or has no category of ``classes``.
    """
    json_file, image_root = os.fspath(json_file), os.fspath(image_root)
    file, kinds = read_once(json_file, _read_checked)
    found = match_categories(kinds, classes)
    labels = {c.id: found[c.name] for c in file.categories if c.name in found}
    if not labels:
        raise ValueError(
            f"{json_file}: none of its categories, such as {', '.join([*kinds][:_SHOWN])}, is "
            f"one of {', '.join(classes)}"
        )
    records = [record | {"still": True} for record in records_of(file, image_root, labels)]
    usable = [record for record in records if record["annotations"][0]]
    find_frames(usable, json_file, image_root, "images")
    kept = sum(len(record["annotations"][0]) for record in usable)
    names = ", ".join(category.name for category in file.categories if category.id in labels)
    log_first_n(
        logging.INFO,
        f"{json_file}: {len(usable)} stills with {kept} instances of {len(labels)} categories are "
        f"used: {names}; dropped: {len(records) - len(usable)} images without any, "
        f"{len(file.annotations or ()) - kept} annotations of other categories",
        key="message",
    )
    return usable


def _load_registered(name: str) -> list[Record]:
    metadata = MetadataCatalog.get(name)
    settled = metadata.get("settled_classes")
    classes = settled.names if settled else [category for _, category in stills_categories(name)]
    records = load_coco_stills(metadata.json_file, metadata.image_root, classes)
    metadata.set(thing_classes=list(classes))
    return records


def _read_checked(json_file: str) -> tuple[AnnotationFile, dict[str, str | None]]:
    """The file as one of videos of one frame, and the supercategory of each category, if any.

    It has no crowds and no annotations without a segmentation; their numbers are logged.
    """
    content = read_json(json_file)
    for key in ("images", "categories", "annotations"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise ValueError(f"{json_file}: has no list {key!r}, which a COCO file needs")
    categories = parse_categories(content["categories"], json_file)
    given = [entry.get("supercategory") for entry in content["categories"]]
    kinds = {c.name: None if k is None else str(k) for c, k in zip(categories, given, strict=True)}
    images = checks.entries(content["images"], json_file, "images", _image, unique=["id"])
    by_id, known = {image.id: image for image in images}, {c.id for c in categories}

    def parse(entry: dict[str, Any]) -> Annotation:
        image = by_id[checks.known(entry, "image_id", by_id)]
        mask = entry.get("segmentation") or None
        if mask is not None:  # one that cannot be decoded would end a training in its middle
            check_mask(mask, image.height, image.width)
        return Annotation(
            video_id=image.id,
            category_id=checks.known(entry, "category_id", known),
            id=checks.integer(entry, "id"),
            iscrowd=checks.flag(entry, "iscrowd"),
            segmentations=[mask],
            bboxes=[entry.get("bbox")],
            areas=None,
        )

    found = checks.entries(content["annotations"], json_file, "annotations", parse, unique=["id"])
    single = [instance for instance in found if not instance.iscrowd]
    instances = [instance for instance in single if instance.segmentations != [None]]
    logger.info(
        "Read %d stills and %d annotations from %s; dropped: %d of crowds, %d without segmentation",
        *(len(images), len(found), json_file, len(found) - len(single)),
        len(single) - len(instances),
    )
    return AnnotationFile(json_file, images, categories, instances), kinds


def _image(entry: dict[str, Any]) -> Video:
    """A still image as a video of one frame."""
    height, width = (checks.integer(entry, key, least=1) for key in ("height", "width"))
    name = checks.text(entry, "file_name")
    return Video(checks.integer(entry, "id"), height, width, 1, [name])
