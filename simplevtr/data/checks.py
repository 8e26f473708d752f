"""Does the config fit its datasets? Asked before anything expensive starts."""

from __future__ import annotations

from simplevtr.data.builtin import check_registered

from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog


def check_classes(cfg: CfgNode, *, train: bool) -> None:
    """Compare ``MODEL.SIMPLEVTR.NUM_CLASSES`` with the categories of the config's datasets.

    Args:
        cfg: the config.
        train: whether ``DATASETS.TRAIN`` is used as well as ``DATASETS.TEST``.

    Raises:
        KeyError: if a dataset is not registered.
        ValueError: if no dataset is named or one has another number of categories than the model.
    """
    names = [*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST] if train else list(cfg.DATASETS.TEST)
    if not names:
        raise ValueError("DATASETS.TEST is empty; name at least one registered dataset")
    check_registered(names)
    for name in names:
        DatasetCatalog.get(name)  # the categories stand in the file
        classes = MetadataCatalog.get(name).thing_classes
        if len(classes) != cfg.MODEL.SIMPLEVTR.NUM_CLASSES:
            raise ValueError(
                f"dataset {name} has {len(classes)} categories, but MODEL.SIMPLEVTR.NUM_CLASSES is "
                f"{cfg.MODEL.SIMPLEVTR.NUM_CLASSES}: set it to {len(classes)}"
            )
