"""The datasets known by name: YTVIS-2019, YTVIS-2021, OVIS, embedded, and those a config adds."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable

from simplevtr.data.categories import DATASET_CATEGORIES
from simplevtr.data.ytvis import register_ytvis

from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog

logger = logging.getLogger(__name__)

# name -> (annotation file, image root), relative to the datasets' folder.
_OFFICIAL = {
    f"ytvis_{year}_{split}": (
        f"ytvis_{year}/{folder}.json",
        f"ytvis_{year}/{folder}/JPEGImages",
    )
    for year in (2019, 2021)
    for split, folder in (("train", "train"), ("val", "valid"), ("test", "test"))
    if (year, split) != (2019, "test")
}
_OVIS = {
    f"ovis_{split}": (f"ovis/annotations_{folder}.json", f"ovis/{folder}")
    for split, folder in (("train", "train"), ("val", "valid"), ("test", "test"))
}
_EMBEDDED = {
    f"embedded_{level}_{split}": (
        f"embedded/{level}/{split}.json",
        f"embedded/{level}/{split}/JPEGImages",
    )
    for level in ("easy", "hard")
    for split in ("train", "val", "long")
}


def datasets_root() -> str:
    """The folder that relative dataset paths start at: $DETECTRON2_DATASETS, else ./datasets."""
    return os.path.expanduser(os.environ.get("DETECTRON2_DATASETS") or "datasets")


def register_builtin() -> None:
    """Register the builtin datasets below :func:`datasets_root`; their files need not exist.

    A name that another project has registered with other files is left as it is, with a warning.
    """
    root = datasets_root()
    for name, (json_file, image_root) in (_OFFICIAL | _OVIS | _EMBEDDED).items():
        try:
            register_ytvis(name, os.path.join(root, json_file), os.path.join(root, image_root))
        except ValueError as error:
            logger.warning("Builtin dataset not registered: %s", error)
            continue
        categories = DATASET_CATEGORIES.get(name)
        if categories is not None:  # known before the file is read, so that a demo needs no dataset
            MetadataCatalog.get(name).set(
                thing_classes=[category for _, category in categories],
                thing_dataset_id_to_contiguous_id={
                    category_id: index for index, (category_id, _) in enumerate(categories)
                },
            )


def register_from_cfg(cfg: CfgNode) -> None:
    """Register the datasets of ``cfg.DATASETS.CUSTOM`` and check that all datasets of the config
    are known.

    Each entry is [name, annotation file, image root]; relative paths start at
    :func:`datasets_root`. To call this again with the same config does nothing.

    Raises:
        ValueError: for a malformed entry, or a name that belongs to other files already.
        KeyError: if DATASETS.TRAIN or DATASETS.TEST names an unknown dataset.
    """
    root = datasets_root()
    for index, entry in enumerate(cfg.DATASETS.CUSTOM):
        if (
            not isinstance(entry, list | tuple)
            or len(entry) != 3
            or not all(isinstance(part, str) and part for part in entry)
        ):
            raise ValueError(
                f"DATASETS.CUSTOM[{index}] is {entry!r}; three strings [name, annotation JSON, "
                "image root] are needed"
            )
        name, json_file, image_root = entry
        register_ytvis(
            name,
            os.path.join(root, os.path.expanduser(json_file)),
            os.path.join(root, os.path.expanduser(image_root)),
        )
    check_registered([*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST])


def check_registered(names: Iterable[str]) -> None:
    """Raise KeyError, listing the known names, unless all ``names`` are registered VIS datasets."""
    known = [
        name
        for name in DatasetCatalog
        if name in MetadataCatalog and MetadataCatalog.get(name).get("evaluator_type") == "ytvis"
    ]
    for name in names:
        if name not in known:
            raise KeyError(
                f"{name!r} is no registered video dataset; registered: {', '.join(known)} "
                "(further ones: DATASETS.CUSTOM)"
            )
