"""What was found and what was repaired, counted, with the first examples of each kind."""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from simplevtr.data.doctor.catalogue import DEFECTS, ERROR

_SHORT = reprlib.Repr()  # does not go deep, so that nested lists cannot overflow the stack
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlevel = 3
_MOST_NAME = 200  # characters
_IDS = ("video", "annotation", "category", "frame")


def shown(value: Any) -> str:
    """A value of the file in a message: short, and without control characters."""
    return _SHORT.repr(value)


class Place(dict):
    """Where something is, as far as that is known: ids and numbers, in this order.

    Keys are ``entry``, such as "videos[3]", for entries without an id; ids of a ``video``, an
    ``annotation``, a ``category``; a ``frame``, counted from 0; and a ``file``.
    """

    def but(self, **changes: Any) -> Place:
        """A copy with other values."""
        return Place({**self, **changes})

    def __str__(self) -> str:
        ids = [f"{key} {self[key]}" for key in _IDS if key in self]
        if not ids and "entry" in self:
            ids = [self["entry"]]
        return ", ".join([*ids, *([shown_name(self["file"])] if "file" in self else [])])


def shown_name(name: str) -> str:
    """A file name, its end if it is long, without characters that cannot be printed."""
    name = name if len(name) <= _MOST_NAME else "..." + name[3 - _MOST_NAME :]
    return name if name.isprintable() else repr(name)[1:-1]


class Example(NamedTuple):
    """One case of a defect: where, and what was found there."""

    place: Place
    detail: str

    def __str__(self) -> str:
        return f"{self.place}: {self.detail}" if str(self.place) else self.detail


class Findings:
    """Counts of defects and repairs.

    Attributes:
        counts: cases by the defect's name.
        examples: the first cases by the defect's name.
        repairs: what was done, as a phrase, and how often.
    """

    def __init__(self, *, ignored: Iterable[str] = (), most_examples: int = 20) -> None:
        """Start with nothing found.

        Args:
            ignored: names of defects that are neither counted nor repaired.
            most_examples: examples kept of each defect.

        Raises:
            ValueError: a name is unknown, or the defect cannot be ignored.
        """
        self.ignored = frozenset(ignored)
        allowed = [defect.name for defect in DEFECTS.values() if defect.ignorable]
        for name in sorted(self.ignored.difference(allowed)):
            reason = "makes a file unusable" if name in DEFECTS else "is not a defect"
            raise ValueError(f"{name!r} {reason}; can be ignored: {', '.join(allowed)}")
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, list[Example]] = {}
        self.repairs: Counter[str] = Counter()
        self._most_examples = most_examples

    def add(self, name: str, place: Place, detail: str, repair: str = "") -> bool:
        """Count a case and, as a phrase, what a repair does about it.

        Returns:
            Whether to repair it: False if the defect is ignored.
        """
        assert name in DEFECTS, name
        if name in self.ignored:
            return False
        self.counts[name] += 1
        examples = self.examples.setdefault(name, [])
        if len(examples) < self._most_examples:
            examples.append(Example(place, detail))
        self.repaired(repair, bool(repair))
        return True

    def repaired(self, what: str, count: int = 1) -> None:
        """Count repairs."""
        if count:
            self.repairs[what] += count

    def empty(self) -> Findings:
        """Nothing found, with the same settings."""
        return Findings(ignored=self.ignored, most_examples=self._most_examples)

    def update(self, others: Findings) -> None:
        """Add what was found later."""
        self.counts.update(others.counts)
        self.repairs.update(others.repairs)
        for name, examples in others.examples.items():
            known = self.examples.setdefault(name, [])
            known.extend(examples[: self._most_examples - len(known)])

    def names(self) -> list[str]:
        """The defects found, in the order of the catalogue."""
        return [name for name in DEFECTS if self.counts[name]]

    def total(self, severity: str = ERROR) -> int:
        """Cases of all defects of a severity."""
        return sum(n for name, n in self.counts.items() if DEFECTS[name].severity == severity)
