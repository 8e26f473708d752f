"""Weights on their way from a source to a model: tensors, where they came from, what was done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor


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
