"""What a model wants of a conversion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from simplevtr.data.categories import DATASET_CATEGORIES

import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from torch import Tensor

NO_SEED = 0  # for configs that leave the seed to chance


@dataclass(frozen=True)
class Target:
    """What weights are converted for.

    Attributes:
        weights: the model's initial weights, name -> tensor; their names and shapes are what is
            wanted, their values fill tensors that a source covers in part.
        slots: Q.
        query_frames: T of queries with a frame axis; 0 without.
        class_offset: leading class indices that no category uses.
        classes: names of the K classes behind them; () if nobody knows.
        pixel_mean: of the RGB frames in [0, 255] that the model normalises.
        pixel_std: likewise.
    """

    weights: Mapping[str, Tensor]
    slots: int
    query_frames: int
    class_offset: int = 0
    classes: tuple[str, ...] = ()
    pixel_mean: tuple[float, ...] = (123.675, 116.280, 103.530)
    pixel_std: tuple[float, ...] = (58.395, 57.120, 57.375)


def target_of_config(cfg: CfgNode) -> Target:
    """Build the model of a config on the CPU and read names, shapes and initial values from it.

    The initial values depend on ``SEED`` alone, and the caller's random numbers are left alone.
    """
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.DEVICE = "cpu"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(cfg.SEED if cfg.SEED >= 0 else NO_SEED)
        weights = build_model(cfg).state_dict()
    node = cfg.MODEL.SIMPLEVTR
    return Target(
        weights=weights,
        slots=node.NUM_QUERIES,
        query_frames=node.QUERY_FRAMES,
        class_offset=node.CLASS_OFFSET,
        classes=_class_names([*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST]),
        pixel_mean=tuple(cfg.MODEL.PIXEL_MEAN),
        pixel_std=tuple(cfg.MODEL.PIXEL_STD),
    )


def _class_names(datasets: list[str]) -> tuple[str, ...]:
    """The class names of the first of ``datasets`` that is a public one; () if none is."""
    known = [DATASET_CATEGORIES[name] for name in datasets if name in DATASET_CATEGORIES]
    return tuple(name for _, name in known[0]) if known else ()
