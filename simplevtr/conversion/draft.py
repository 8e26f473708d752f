"""Weights on their way from a source to a model: tensors, where they came from, what was done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor


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


@dataclass(frozen=True)
class Piece:
    """A tensor, the names in the source that it was made of, and the rules that changed it."""

    tensor: Tensor
    sources: tuple[str, ...]
    rules: tuple[str, ...] = ()


@dataclass
class Draft:
    """Pieces under our names; the rules of this package change them in place.

    Attributes:
        pieces: our name -> piece.
        reasons: name in the source -> why a rule left it out.
    """

    pieces: dict[str, Piece]
    reasons: dict[str, str] = field(default_factory=dict)

    def put(self, name: str, tensor: Tensor, rule: str) -> None:
        """Replace the tensor of a piece and note the rule."""
        piece = self.pieces[name]
        self.pieces[name] = replace(piece, tensor=tensor, rules=(*piece.rules, rule))

    def drop(self, names: Iterable[str], reason: str) -> None:
        """Leave pieces out."""
        for name in names:
            for source in self.pieces.pop(name).sources:
                self.reasons[source] = reason
