"""Both ends of a conversion: weights on their way from a source, and what a model wants."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from simplevtr.data.categories import DATASET_CATEGORIES

import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from torch import Tensor

NO_SEED = 0  # for configs that leave the seed to chance


@dataclass(frozen=True)
class Piece:
    """A tensor, the names in the source that it was made of, and the rules that changed it."""

    tensor: Tensor
    sources: tuple[str, ...]
    rules: tuple[str, ...] = ()


@dataclass
class Draft:
    """Pieces under our names; the rules of this package change them in place."""

    pieces: dict[str, Piece]  # our name -> piece
    reasons: dict[str, str] = field(default_factory=dict)  # name in the source -> why left out

    def put(self, name: str, tensor: Tensor, rule: str) -> None:
        """Replace the tensor of a piece and note the rule."""
        piece = self.pieces[name]
        self.pieces[name] = replace(piece, tensor=tensor, rules=(*piece.rules, rule))

    def rename(self, names: Mapping[str, Iterable[str]], rule: str) -> None:
        """Give pieces other names, one piece perhaps several: old name -> new names."""
        taken = {name: self.pieces.pop(name) for name in names}
        for old, piece in taken.items():
            renamed = replace(piece, rules=(*piece.rules, rule))
            self.pieces.update(dict.fromkeys(names[old], renamed))

    def drop(self, names: Iterable[str], reason: str) -> None:
        """Leave pieces out."""
        for name in names:
            for source in self.pieces.pop(name).sources:
                self.reasons[source] = reason


@dataclass(frozen=True)
class Target:
    """What weights are converted for: a model.

    Names and shapes of its initial weights are what is wanted, their values fill tensors that a
    source covers in part.
    """

    weights: Mapping[str, Tensor]
    slots: int  # Q
    query_frames: int  # T of queries with a frame axis; 0 without
    class_offset: int = 0  # leading class indices that no category uses
    classes: tuple[str, ...] = ()  # names of the K classes behind them; () if nobody knows
    # Of the RGB frames in [0, 255] that the model normalises.
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
    datasets = [*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST]
    public = (DATASET_CATEGORIES[name] for name in datasets if name in DATASET_CATEGORIES)
    return Target(
        weights=weights,
        slots=node.NUM_QUERIES,
        query_frames=node.QUERY_FRAMES,
        class_offset=node.CLASS_OFFSET,
        classes=tuple(name for _, name in next(public, ())),
        pixel_mean=tuple(cfg.MODEL.PIXEL_MEAN),
        pixel_std=tuple(cfg.MODEL.PIXEL_STD),
    )
