"""What a conversion did with every tensor."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from simplevtr.conversion.draft import Piece

import torch
from torch import Tensor

LISTED = 3  # tensors of other shapes that are listed in any case
WRAPPERS = ("network", "vistr", "detr", "module")  # first parts of names that say little


@dataclass(frozen=True)
class Entry:
    """One tensor."""

    name: str  # in the source if it was left out of it, else in the result
    shape: tuple[int, ...] | None  # None if it is not known
    note: str = ""  # the rules that changed it, or why it was left out
    wanted: tuple[int, ...] | None = None  # the shape that the model has instead

    def __str__(self) -> str:
        shape = "" if self.shape is None else f" {self.shape}"
        return f"{self.name}{shape}" + (f", wanted {self.wanted}" if self.wanted else "")


@dataclass(frozen=True)
class ConversionReport:
    """What a conversion did with every tensor."""

    layout: str  # of the source
    taken: tuple[Entry, ...]  # in the result, unchanged
    reinterpreted: tuple[Entry, ...]  # in the result, changed by the rules in ``note``
    left_out: tuple[Entry, ...]  # of the source and not used
    initial: tuple[Entry, ...]  # of the model, or of VisTR, and not in the result

    def text(self, verbose: bool = False) -> str:
        """The report in lines, grouped by prefix and rule; every tensor if ``verbose``."""
        parts = {
            "taken as they are": self.taken,
            "reinterpreted": self.reinterpreted,
            "left out of the source": self.left_out,
            "initial, not in the result": self.initial,
        }
        lines = [f"layout of the source: {self.layout}"]
        for title, entries in parts.items():
            lines.append(f"{title}: {_amount(entries)}")
            for (note, prefix), group in _groups(entries).items():
                lines += _group_lines(note, prefix, group, verbose=verbose)
        return "\n".join(lines)


def finished(
    layout: str, pieces: Mapping[str, Piece], left_out: Iterable[Entry], initial: Iterable[Entry]
) -> tuple[dict[str, Tensor], ConversionReport]:
    """Copies of the pieces' tensors, and the report that says what was done with all."""
    taken, reinterpreted = [], []
    for name, piece in pieces.items():
        entry = Entry(name, tuple(piece.tensor.shape), "; ".join(piece.rules))
        (reinterpreted if piece.rules else taken).append(entry)
    parts = map(tuple, (taken, reinterpreted, left_out, initial))
    contiguous = torch.contiguous_format
    tensors = {n: p.tensor.clone(memory_format=contiguous) for n, p in pieces.items()}
    return tensors, ConversionReport(layout, *parts)


def _groups(entries: Iterable[Entry]) -> dict[tuple[str, str], list[Entry]]:
    """Entries by note and by what their names start with."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        parts = entry.name.split(".")
        prefix = ".".join(parts[: 2 if parts[0] in WRAPPERS else 1])
        groups.setdefault((entry.note, prefix), []).append(entry)
    return groups


def _group_lines(note: str, prefix: str, group: list[Entry], *, verbose: bool) -> list[str]:
    because = f" ({note})" if note else ""
    misfits = [entry for entry in group if entry.wanted]
    if len(group) == 1:
        return [f"  {group[0]}{because}"]
    line = f"  {prefix}: {_amount(group)}{because}"
    if verbose or (misfits and len(group) <= LISTED):
        return [line, *(f"    {entry}" for entry in group)]
    return [line, f"    such as {misfits[0]}"] if misfits else [line]


def _amount(entries: Sequence[Entry]) -> str:
    values = sum(math.prod(entry.shape) for entry in entries if entry.shape is not None)
    tensors = f"{len(entries)} tensor{'' if len(entries) == 1 else 's'}"
    return f"{tensors}, {values:,} values" if entries else "none"
