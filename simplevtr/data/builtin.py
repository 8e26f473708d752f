"""The datasets known by name: YTVIS-2019 and 2021, OVIS, embedded, COCO, and a config's own."""

import logging
import os
from collections.abc import Iterable, Iterator

from simplevtr.data.categories import DATASET_CATEGORIES
from simplevtr.data.coco_stills import EVALUATOR_TYPE, is_stills, register_coco_stills
from simplevtr.data.ytvis import register_ytvis
from simplevtr.formats.paths import datasets_root

from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog

logger = logging.getLogger(__name__)


def _builtin() -> Iterator[tuple[str, list[str], str, str]]:
    """(name, annotation files, image root, dataset whose categories stills get or "").

    Paths are relative to the datasets' folder. Of several annotation files the first that exists
    counts: the official archives and other projects differ in its name.
    """
    for split, folder in (("train", "train"), ("val", "valid"), ("test", "test")):
        for year in (2019, 2021) if split != "test" else (2021,):
            root = f"ytvis_{year}/{folder}"
            files = [f"{root}.json", f"{root}/instances.json"]
            yield f"ytvis_{year}_{split}", files, f"{root}/JPEGImages", ""
        starts = ("annotations_", "annotations/annotations_", "annotations/")
        files = [f"ovis/{start}{folder}.json" for start in starts]
        yield f"ovis_{split}", files, f"ovis/{folder}", ""
    for level in ("easy", "hard", "small"):
        for split in ("train", "val", "long"):
            root = f"embedded/{level}/{split}"
            yield f"embedded_{level}_{split}", [f"{root}.json"], f"{root}/JPEGImages", ""
    # Still images of COCO, where detectron2 looks for them.
    for split in ("train", "val"):
        files = [f"coco/annotations/instances_{split}2017.json"]
        for suffix, videos in (
            ("", "ytvis_2019"),
            ("_ytvis_2021", "ytvis_2021"),
            ("_ovis", "ovis"),
            ("_coco", "coco_2017"),
        ):
            name = f"coco_pseudo_2017_{split}{suffix}"
            yield name, files, f"coco/{split}2017", f"{videos}_train"


def register_builtin() -> None:
    """Register the builtin datasets below ``datasets_root``; their files need not exist.

    A name that another project has registered with other files is left as it is, with a warning.
    """
    for name, json_files, image_root, categories_of in _builtin():
        paths = [os.path.join(datasets_root(), json_file) for json_file in json_files]
        json_file = next((path for path in paths if os.path.isfile(path)), paths[0])
        try:
            _register(name, json_file, os.path.join(datasets_root(), image_root), categories_of)
        except ValueError as error:
            logger.warning("Builtin dataset not registered: %s", error)
            continue
        # Known before the file is read, so that a demo needs no dataset.
        if categories := DATASET_CATEGORIES.get(name):
            MetadataCatalog.get(name).set(
                thing_classes=[category for _, category in categories],
                thing_dataset_id_to_contiguous_id={id_: i for i, (id_, _) in enumerate(categories)},
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
    paths start at ``datasets_root``. Calling this again with the same config does nothing.

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
            or entry[3:4] not in ([], (), [EVALUATOR_TYPE], (EVALUATOR_TYPE,))
        ):
            raise ValueError(
                f"DATASETS.CUSTOM[{index}] is {entry!r}; three strings [name, annotation JSON, "
                f"image root] are needed, or five, the last two {EVALUATOR_TYPE!r} and a dataset"
            )
        name, json_file, image_root, *stills = entry
        if "/" in name or name in (".", ".."):  # its results are written into a folder of that name
            raise ValueError(f"DATASETS.CUSTOM[{index}]: {name!r} cannot be the name of a folder")
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
                f"{name!r} is not a registered video dataset; registered: {', '.join(known)} "
                "(further ones: DATASETS.CUSTOM)"
            )


register_builtin()
