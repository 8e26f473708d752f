"""The datasets known by name: YTVIS-2019 and 2021, OVIS, embedded, COCO, and a config's own."""

import logging
import os
from collections.abc import Iterable

from simplevtr.data.categories import DATASET_CATEGORIES
from simplevtr.data.coco_stills import EVALUATOR_TYPE, is_stills, register_coco_stills
from simplevtr.data.ytvis import register_ytvis

from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog

logger = logging.getLogger(__name__)

_FOLDERS = {"train": "train", "val": "valid", "test": "test"}
# name -> (annotation file, image root), relative to the datasets' folder. Of several annotation
# files the first that exists counts: the official archives and other projects differ in its name.
_OFFICIAL = {
    f"ytvis_{year}_{split}": (
        (f"ytvis_{year}/{folder}.json", f"ytvis_{year}/{folder}/instances.json"),
        f"ytvis_{year}/{folder}/JPEGImages",
    )
    for year in (2019, 2021)
    for split, folder in _FOLDERS.items()
    if (year, split) != (2019, "test")
}
_OVIS = {
    f"ovis_{split}": (
        tuple(
            f"ovis/{start}{folder}.json"
            for start in ("annotations_", "annotations/annotations_", "annotations/")
        ),
        f"ovis/{folder}",
    )
    for split, folder in _FOLDERS.items()
}
_EMBEDDED = {
    f"embedded_{level}_{split}": (
        (f"embedded/{level}/{split}.json",),
        f"embedded/{level}/{split}/JPEGImages",
    )
    for level in ("easy", "hard", "small")
    for split in ("train", "val", "long")
}
# Still images of COCO with the categories of a dataset of videos, where detectron2 looks for COCO.
_STILLS = {
    f"coco_pseudo_2017_{split}{suffix}": (
        (f"coco/annotations/instances_{split}2017.json",),
        f"coco/{split}2017",
        categories_of,
    )
    for split in ("train", "val")
    for suffix, categories_of in (
        ("", "ytvis_2019_train"),
        ("_ytvis_2021", "ytvis_2021_train"),
        ("_ovis", "ovis_train"),
    )
}
_STILLS_KIND = "coco_pseudo"


def datasets_root() -> str:
    """The folder that relative dataset paths start at: $DETECTRON2_DATASETS, else ./datasets."""
    return os.path.expanduser(os.environ.get("DETECTRON2_DATASETS") or "datasets")


def register_builtin() -> None:
    """Register the builtin datasets below :func:`datasets_root`; their files need not exist.

    A name that another project has registered with other files is left as it is, with a warning.
    """
    for name, entry in (_OFFICIAL | _OVIS | _EMBEDDED | _STILLS).items():
        json_files, image_root, *stills = entry
        paths = [os.path.join(datasets_root(), json_file) for json_file in json_files]
        json_file = next((path for path in paths if os.path.isfile(path)), paths[0])
        try:
            _register(name, json_file, os.path.join(datasets_root(), image_root), *stills)
        except ValueError as error:
            logger.warning("Builtin dataset not registered: %s", error)
            continue
        categories = DATASET_CATEGORIES.get(name)
        if categories is not None:  # known before the file is read, so that a demo needs no dataset
            places = {number: index for index, (number, _) in enumerate(categories)}
            MetadataCatalog.get(name).set(
                thing_classes=[category for _, category in categories],
                thing_dataset_id_to_contiguous_id=places,
            )


def _register(name: str, json_file: str, image_root: str, categories_of: str = "") -> None:
    if categories_of:
        register_coco_stills(name, json_file, image_root, categories_of)
    else:
        register_ytvis(name, json_file, image_root)


def register_from_cfg(cfg: CfgNode) -> None:
    """Register the datasets of ``cfg.DATASETS.CUSTOM`` and check that all datasets of the config
    are known.

    Each entry is [name, annotation file, image root], or, for still images in a COCO file,
    [name, annotation file, image root, "coco_pseudo", dataset whose categories they get]; relative
    paths start at :func:`datasets_root`. To call this again with the same config does nothing.

    Raises:
        ValueError: for a malformed entry, a name that belongs to other files already, or still
            images in DATASETS.TEST.
        KeyError: if DATASETS.TRAIN or DATASETS.TEST names an unknown dataset.
    """
    root = datasets_root()
    for index, entry in enumerate(cfg.DATASETS.CUSTOM):
        if (
            not isinstance(entry, list | tuple)
            or len(entry) not in (3, 5)
            or not all(isinstance(part, str) and part for part in entry)
            or entry[3:4] not in ([], (), [_STILLS_KIND], (_STILLS_KIND,))
        ):
            raise ValueError(
                f"DATASETS.CUSTOM[{index}] is {entry!r}; three strings [name, annotation JSON, "
                f"image root] are needed, or five, the last two {_STILLS_KIND!r} and a dataset"
            )
        name, json_file, image_root, *stills = entry
        files = (os.path.join(root, os.path.expanduser(path)) for path in (json_file, image_root))
        _register(name, *files, *stills[1:])
    check_registered([*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST])
    for name in cfg.DATASETS.TEST:
        refuse_stills(name)


def refuse_stills(name: str) -> None:
    """Raise ValueError if a registered dataset has still images, on which nothing is tested."""
    if is_stills(name):
        raise ValueError(f"{name!r} has still images, which are for DATASETS.TRAIN only")


def check_registered(names: Iterable[str]) -> None:
    """Raise KeyError, listing the known names, unless all ``names`` are registered VIS datasets."""
    known = [
        name
        for name in DatasetCatalog
        if name in MetadataCatalog
        and MetadataCatalog.get(name).get("evaluator_type") in ("ytvis", EVALUATOR_TYPE)
    ]
    for name in names:
        if name not in known:
            raise KeyError(
                f"{name!r} is no registered video dataset; registered: {', '.join(known)} "
                "(further ones: DATASETS.CUSTOM)"
            )


register_builtin()
