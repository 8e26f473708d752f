"""One class order for a run: the categories of all its datasets are matched by name.

Files of one tool list the same categories in different orders and with different ids, so a label
means a name: that of the checkpoint if it tells, else that of the first training set.
"""

import logging
from collections.abc import Sequence

from simplevtr.data.builtin import check_registered
from simplevtr.data.coco_stills import is_stills, stills_categories
from simplevtr.data.ytvis import dataset_categories
from simplevtr.formats.checks import names_difference
from simplevtr.structures import Classes

from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog

logger = logging.getLogger(__name__)

# What a dataset's metadata keeps of its classes: the settled order, and what was loaded by it.
_KEPT = ("settled_classes", "thing_classes", "thing_dataset_id_to_contiguous_id")


def settle_classes(cfg: CfgNode, *, train: bool, known: Classes | None = None) -> Classes:
    """Decide what the labels of a run mean, tell its datasets, and read them.

    ``DATASETS.TRAIN`` is read only if ``train``. ``known`` are the classes of the checkpoint that
    is continued or evaluated, if it tells them; else the first dataset's are taken.

    Raises:
        KeyError: a dataset is not registered.
        FileNotFoundError, ValueError: a dataset cannot be read; none is named; or one has other
            categories than the model, unless DATASETS.ALLOW_CLASS_SUBSET allows that.
    """
    names = [*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST] if train else list(cfg.DATASETS.TEST)
    if not names:
        key = "DATASETS.TRAIN" if train else "DATASETS.TEST"
        raise ValueError(f"{key} is empty; name at least one registered dataset")
    classes = align_datasets(names, known=known, subset=cfg.DATASETS.ALLOW_CLASS_SUBSET)
    if len(classes.names) != cfg.MODEL.SIMPLEVTR.NUM_CLASSES:
        source = "the checkpoint" if known else f"dataset {names[0]}"
        raise ValueError(
            f"{source} has {len(classes.names)} categories, but MODEL.SIMPLEVTR.NUM_CLASSES is "
            f"{cfg.MODEL.SIMPLEVTR.NUM_CLASSES}: set it to {len(classes.names)}"
        )
    for name in names:
        DatasetCatalog.get(name)
    return classes


def align_datasets(
    names: Sequence[str],
    *,
    known: Classes | None = None,
    source: str = "the checkpoint",
    subset: bool = False,
) -> Classes:
    """Give registered datasets the labels of one class order; what they load has these labels.

    It is the ``known`` one, called ``source`` in messages, or that of the first dataset. With
    ``subset`` a dataset may lack classes, or have tracks of others, which are left out. Errors as
    of ``settle_classes``.
    """
    check_registered(names)
    found = {name: dataset_classes(name) for name in names}
    if known is None:
        known, source = found[names[0]], f"dataset {names[0]}"
    for name, own in found.items():
        _compare(name, own.names, source, known.names, subset=subset)
    for metadata in map(MetadataCatalog.get, names):
        if metadata.get("settled_classes") != known:
            for key in _KEPT:  # of an earlier run in this process
                vars(metadata).pop(key, None)
            metadata.set(settled_classes=known)
    return known


def dataset_classes(name: str) -> Classes:
    """``dataset_categories`` of a registered dataset, or of the one that its stills follow."""
    found = stills_categories(name) if is_stills(name) else dataset_categories(name)
    ids, names = zip(*found, strict=True)
    return Classes(names, ids)


def settled_classes(names: Sequence[str]) -> Classes | None:
    """The class order that these datasets were given, None if they have not been given one."""
    found = {MetadataCatalog.get(name).get("settled_classes") for name in names}
    return found.pop() if len(found) == 1 else None


def _compare(
    name: str, own: Sequence[str], source: str, classes: Sequence[str], *, subset: bool
) -> None:
    difference = names_difference(own, classes)
    if not difference:
        if tuple(own) != tuple(classes):
            logger.info("Categories of %s are in another order than %s: by name", name, source)
        return
    shared = len({*own} & {*classes})
    if not subset or not shared:
        hint = (
            "DATASETS.ALLOW_CLASS_SUBSET True matches the names that both have"
            if shared
            else "they share no name"
        )
        raise ValueError(
            f"dataset {name} has other categories than {source}: it {difference}; {hint}"
        )
    logger.warning(
        "Dataset %s %s; %d names are matched with those of %s. Tracks of others are left out of "
        "training, and score 0 in a test",
        name, difference, shared, source,
    )  # fmt: skip
