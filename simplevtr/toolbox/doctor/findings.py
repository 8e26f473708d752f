"""What can be found, and what was found and repaired, with the first examples of each kind."""

import copy
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple, Self

from simplevtr.formats import checks
from simplevtr.formats.checks import shown

# What --list prints. An error is refused, or makes training or scores wrong; a warning may be
# intended. A file with defects that can be ignored can be used as it is. What has no --fix line is
# not repaired.
CATALOGUE = Path(__file__).with_name("defects.txt").read_text(encoding="utf-8")


class Defect(NamedTuple):
    """A kind of defect."""

    name: str
    severity: str  # "error" or "warning"
    ignorable: bool
    meaning: str
    repair: str  # what --fix does about it; "" if nothing


DEFECTS: dict[str, Defect] = {}
_ENTRY = r"(\S+) \((error|warning)(, can be ignored)?\): (.*\n(?: .*\n)*)"
for _name, _severity, _ignorable, _text in re.findall(_ENTRY, CATALOGUE):
    _meaning, _, _repair = " ".join(_text.split()).partition(" --fix: ")
    DEFECTS[_name] = Defect(_name, _severity, bool(_ignorable), _meaning, _repair)

_MOST_NAME = 200  # characters
MOST_EXAMPLES = 20  # of a defect that are kept
_NESTING = 30  # levels that writing the file may need in addition to those of a value
_PLAIN = (str, int, bool, type(None))  # types of values that any file may hold


def shown_name(name: str) -> str:
    """A file name, its end if it is long, without characters that cannot be printed."""
    name = name if len(name) <= _MOST_NAME else "..." + name[3 - _MOST_NAME :]
    return name if name.isprintable() else repr(name)[1:-1]


def described(example: dict[str, Any]) -> str:
    """One of the examples of ``Findings`` on a line: where, and what was found there."""
    ids = ("video", "annotation", "category", "frame")
    parts = [f"{key} {example[key]}" for key in ids if key in example]
    if not parts and "entry" in example:
        parts = [example["entry"]]
    if "file" in example:
        parts.append(shown_name(example["file"]))
    return f"{', '.join(parts)}: {example['detail']}" if parts else example["detail"]


class Findings:
    """Counts of defects and repairs, and the place that the next ones are found at."""

    def __init__(self, *, ignored: Iterable[str] = ()) -> None:
        """Start with nothing found; ValueError if one of ``ignored`` is unknown or may not be."""
        self.ignored = frozenset(ignored)  # defects that are neither counted nor repaired
        allowed = [defect.name for defect in DEFECTS.values() if defect.ignorable]
        for name in sorted(self.ignored.difference(allowed)):
            reason = "makes a file unusable" if name in DEFECTS else "is not a defect"
            raise ValueError(f"{name!r} {reason}; can be ignored: {', '.join(allowed)}")
        self.counts: Counter[str] = Counter()  # of cases by the defect's name
        # The first cases by the defect's name: ``detail``, what was found, and where, as far as it
        # is known: ``entry``, such as "videos[3]"; the ids of a ``video``, an ``annotation``, a
        # ``category``; a ``frame``, counted from 0; a ``file``.
        self.examples: dict[str, list[dict[str, Any]]] = {}
        self.repairs: Counter[str] = Counter()  # of what was done, as a phrase
        self.place: dict[str, Any] = {}  # where the next ones are found, as in an example

    def at(self, **place: Any) -> Self:
        """The same counts, for what is found at a place inside this one."""
        inside = copy.copy(self)
        inside.place = {**self.place, **place}
        return inside

    def add(self, name: str, detail: str, repair: str = "") -> bool:
        """Count a case and, as a phrase, its repair; False if the defect is ignored."""
        assert name in DEFECTS, name
        if name in self.ignored:
            return False
        self.counts[name] += 1
        examples = self.examples.setdefault(name, [])
        if len(examples) < MOST_EXAMPLES:
            examples.append({**self.place, "detail": detail})
        self.repaired(repair, bool(repair))
        return True

    def repaired(self, what: str, count: int = 1) -> None:
        """Count repairs."""
        if count:
            self.repairs[what] += count

    def read(self, check: Callable, entry: dict[str, Any], key: str, repair: str = "") -> Any:
        """What a check returns for a value; None, a defect with this repair, if it refuses."""
        try:
            return check(entry, key)
        except ValueError as error:
            detail = str(error)
        value, name = entry.get(key), "wrong-type"
        if type(value) is float and value.is_integer():  # as of a table with gaps
            with suppress(ValueError):
                whole = check({key: int(value)}, key)
                self.add(name, detail, "numbers such as 3.0 became integers")
                return whole
        if key not in entry:
            name = "missing-key"
        elif check not in (checks.name, checks.items):  # those of numbers
            if type(value) is float and not math.isfinite(value):
                name = "non-finite"
            elif type(value) is int:
                name = "impossible-number"
        self.add(name, detail, repair)
        return None

    def other_values(self, entry: dict[str, Any], known: Collection[str]) -> dict[str, Any]:
        """The values of an entry that the format does not define, fit to be written."""
        kept = {key: value for key, value in entry.items() if key not in known}
        for key, value in [*kept.items()]:
            if type(value) in _PLAIN:
                continue
            try:
                nested = reduce(lambda inner, _: [inner], range(_NESTING), value)
                json.dumps(nested, allow_nan=False)
            except ValueError:
                repair = "numbers beyond the format that are not finite became null"
                self.add("non-finite", f"{shown(key)} holds a number that is not finite", repair)
                kept[key] = json.loads(json.dumps(value), parse_constant=lambda _: None)
            except RecursionError:
                repair = "values beyond the format that are nested too deeply were dropped"
                self.add("wrong-type", f"{shown(key)} is nested too deeply", repair)
                del kept[key]
        return kept

    def found(self) -> dict[str, int]:
        """How many cases of each defect were found, in the order of the catalogue."""
        return {name: self.counts[name] for name in DEFECTS if self.counts[name]}

    def total(self, severity: str = "error") -> int:
        """Cases of all defects of a severity."""
        return sum(n for name, n in self.counts.items() if DEFECTS[name].severity == severity)
