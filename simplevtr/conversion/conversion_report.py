"""What a conversion did with every tensor."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LISTED = 3  # tensors of other shapes that are always listed
WRAPPERS = ("network", "vistr", "detr", "module")  # first parts of names that mean little


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
            groups: dict[tuple[str, str], list[Entry]] = {}
            for entry in entries:
                names = entry.name.split(".")
                prefix = ".".join(names[: 2 if names[0] in WRAPPERS else 1])
                groups.setdefault((prefix, entry.note), []).append(entry)
            for (prefix, note), group in groups.items():
                lines += _group_lines(prefix, f" ({note})" if note else "", group, verbose)
        return "\n".join(lines)


def _group_lines(prefix: str, because: str, group: Sequence[Entry], verbose: bool) -> Iterable[str]:
    if len(group) == 1:
        return [f"  {group[0]}{because}"]
    line = f"  {prefix}: {_amount(group)}{because}"
    misfits = [entry for entry in group if entry.wanted]
    if verbose or (misfits and len(group) <= LISTED):
        return [line, *(f"    {entry}" for entry in group)]
    return [line, *(f"    such as {entry}" for entry in misfits[:1])]


def _amount(entries: Sequence[Entry]) -> str:
    values = sum(math.prod(entry.shape) for entry in entries if entry.shape is not None)
    tensors = f"{len(entries)} tensor{'' if len(entries) == 1 else 's'}"
    return f"{tensors}, {values:,} values" if entries else "none"
