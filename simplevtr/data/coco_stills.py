"""COCO's still images ("stills") as training data for videos: records of one image.

The mapper makes a clip of such a record, see :mod:`simplevtr.data.pseudo_video`.
"""

import logging
import os
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

from simplevtr.data.categories import DATASET_CATEGORIES, match_categories
from simplevtr.data.record_cache import read_once
from simplevtr.data.ytvis import (
    Record,
    attach,
    dataset_categories,
    find_frames,
    register,
    video_record,
)
from simplevtr.formats import checks
from simplevtr.formats.files import read_json
from simplevtr.formats.rle import check_mask
from simplevtr.formats.ytvis import Annotation, Video, parse_categories

from detectron2.data import MetadataCatalog

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
    variant = "\0".join([image_root, *classes])
    records = read_once(json_file, lambda: _parse(json_file, image_root, classes), variant=variant)
    find_frames(records, json_file, image_root, "images")
    return records


def _load_registered(name: str) -> list[Record]:
    metadata = MetadataCatalog.get(name)
    own = metadata.get("label_names")
    classes = own or [category for _, category in stills_categories(name)]
    records = load_coco_stills(metadata.json_file, metadata.image_root, classes)
    metadata.set(thing_classes=list(classes))
    return records


def _parse(json_file: str, image_root: str, classes: Sequence[str]) -> list[Record]:
    content = read_json(json_file)
    for key in ("images", "categories", "annotations"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise ValueError(f"{json_file}: has no list {key!r}, which a COCO file needs")

    def parse_instance(entry: dict[str, Any]) -> Annotation:
        """A track in a video of one frame."""
        record = records[checks.known(entry, "image_id", records)]
        mask = entry.get("segmentation") or None
        if mask is not None:  # one that cannot be decoded would end a training in its middle
            check_mask(mask, record["height"], record["width"])
        return Annotation(
            video_id=record["video_id"],
            category_id=checks.known(entry, "category_id", contiguous),
            id=checks.integer(entry, "id"),
            iscrowd=checks.flag(entry, "iscrowd"),
            segmentations=[mask],
            bboxes=[entry.get("bbox")],
            areas=None,
        )

    contiguous = _match(content["categories"], classes, json_file)
    images = checks.entries(content["images"], json_file, "images", _image, unique=["id"])
    records = {
        image.id: {**video_record(image, json_file, image_root), "still": True} for image in images
    }
    dropped: Counter[str] = Counter()
    for instance in checks.entries(
        content["annotations"], json_file, "annotations", parse_instance, unique=["id"]
    ):
        label = contiguous[instance.category_id]
        if label is None:
            dropped["of other categories"] += 1
        elif instance.iscrowd:
            dropped["of crowds"] += 1
        elif instance.segmentations == [None]:
            dropped["without segmentation"] += 1
        else:
            attach(instance, records[instance.video_id], label)
    usable = [records[i] for i in sorted(records) if records[i]["annotations"][0]]
    kept = sum(len(record["annotations"][0]) for record in usable)
    reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.most_common())
    logger.info(
        "Read %d stills with %d instances from %s; dropped: %d images without any, annotations: %s",
        *(len(usable), kept, json_file, len(records) - len(usable), reasons or "none"),
    )
    return usable


def _image(entry: dict[str, Any]) -> Video:
    """A still image as a video of one frame."""
    height, width = (checks.integer(entry, key, least=1) for key in ("height", "width"))
    name = checks.text(entry, "file_name")
    return Video(checks.integer(entry, "id"), height, width, 1, [name])


def _match(entries: list[Any], classes: Sequence[str], json_file: str) -> dict[int, int | None]:
    """The contiguous id of each category of the file, None where the model has none."""
    categories = parse_categories(entries, json_file)
    kinds = [None if (kind := e.get("supercategory")) is None else str(kind) for e in entries]
    names = [category.name for category in categories]
    found = match_categories(dict(zip(names, kinds, strict=True)), classes)
    matched = [name for name, index in found.items() if index is not None]
    if not matched:
        raise ValueError(
            f"{json_file}: none of its categories, such as {', '.join([*found][:_SHOWN])}, is one "
            f"of {', '.join(classes)}"
        )
    logger.info("%d categories of %s are used: %s", len(matched), json_file, ", ".join(matched))
    return {category.id: found[category.name] for category in categories}
