"""Both ends of a conversion: weights on their way from a source, and what a model wants."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from simplevtr.config import default_config
from simplevtr.config_file import flat
from simplevtr.conversion.conversion_report import ConversionReport, Entry
from simplevtr.data.categories import DATASET_CATEGORIES

import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from torch import Tensor


@dataclass(frozen=True)
class Piece:
    """A tensor, the names in the source that it was made of, and the rules that changed it."""

    tensor: Tensor
    sources: tuple[str, ...]
    rules: tuple[str, ...] = ()


class Draft:
    """The weights of a source under our names; the rules of this package change them in place."""

    def __init__(self, weights: Mapping[str, Tensor], to_ours: Callable[[str], str | None]) -> None:
        self.weights = weights
        self.pieces: dict[str, Piece] = {}  # by our name
        self._left_out: dict[str, Entry] = {}  # by name in the source
        for name, tensor in weights.items():
            ours = to_ours(name)
            if ours in self.pieces:
                raise ValueError(f"{self.pieces[ours].sources[0]} and {name} are both {ours}")
            if ours is not None:
                self.pieces[ours] = Piece(tensor, (name,))

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

    def drop(self, name: str, reason: str, wanted: Tensor | None = None) -> None:
        """Leave a piece out; ``wanted`` is the model's tensor if only the shape does not fit."""
        shape = None if wanted is None else tuple(wanted.shape)
        for source in self.pieces.pop(name).sources:
            own = tuple(self.weights[source].shape)
            self._left_out[source] = Entry(source, own, reason, shape)

    def finished(
        self, layout: str, initial: Iterable[Entry]
    ) -> tuple[dict[str, Tensor], ConversionReport]:
        """Copies of the pieces' tensors, and the report about every tensor of both sides."""
        entries = [
            Entry(name, tuple(piece.tensor.shape), "; ".join(piece.rules))
            for name, piece in self.pieces.items()
        ]
        used = {source for piece in self.pieces.values() for source in piece.sources}
        report = ConversionReport(
            layout,
            taken=tuple(entry for entry in entries if not entry.note),
            reinterpreted=tuple(entry for entry in entries if entry.note),
            left_out=tuple(
                self._left_out.get(name, Entry(name, tuple(tensor.shape), "no place for it"))
                for name, tensor in self.weights.items()
                if name not in used
            ),
            initial=tuple(initial),
        )
        contiguous = torch.contiguous_format
        tensors = {n: p.tensor.clone(memory_format=contiguous) for n, p in self.pieces.items()}
        return tensors, report


@dataclass(frozen=True)
class Target:
    """The model that weights are converted for; its initial values fill what a source lacks."""

    weights: Mapping[str, Tensor]  # the initial ones
    slots: int  # Q
    query_frames: int  # T of queries with a frame axis; 0 without
    class_offset: int = 0  # leading class indices that no category uses
    classes: tuple[str, ...] = ()  # names of the K classes after them; () if unknown
    settings: Mapping[str, Any] = field(default_factory=lambda: flat(default_config()))  # config


def target_of_config(cfg: CfgNode) -> Target:
    """Build the model of a config on the CPU and read names, shapes and initial values from it.

    The initial values depend on ``SEED`` alone, and the caller's random numbers are left alone.
    """
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.DEVICE = "cpu"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(max(cfg.SEED, 0))  # below 0 it is left to chance
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
        settings=flat(cfg),
    )
