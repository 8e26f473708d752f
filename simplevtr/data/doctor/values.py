"""Single values of an entry: their types and ranges, and those that can be mended."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from simplevtr.data.doctor.findings import Findings, Place, shown

MOST_ID = 2**63 - 1  # ids become int64
_MOST_NUMBER = 1e12  # pixels; no box or area comes near it
_NESTING = 30  # levels that writing the file may need besides those of the value
_MENDED = "numbers written as text, true/false or with a point became integers"


def integer(
    entry: dict[str, Any],
    key: str,
    findings: Findings,
    place: Place,
    *,
    least: int = 0,
    most: int = MOST_ID,
) -> int | None:
    """An entry's integer, mended if that is possible, else None; what is wrong is counted."""
    if key not in entry:
        findings.add("missing-key", place, f"{key} is missing")
        return None
    given = entry[key]
    value, defect = as_integer(given)
    if defect is not None:
        findings.add(defect, place, f"{key} is {shown(given)}, not an integer")
    if value is None:
        return None
    if not least <= value <= most:
        limits = f"{least} or more" if value < least else f"at most {most}"
        findings.add("impossible-number", place, f"{key} is {shown(value)}, not {limits}")
        return None
    if defect is not None:
        findings.repaired(_MENDED)
    return value


def as_integer(value: Any) -> tuple[int | None, str | None]:
    """The integer that a value is or certainly means, and the defect that it has, if any."""
    if type(value) is int:
        return value, None
    if type(value) is float:
        if not math.isfinite(value):
            return None, "non-finite"
        whole = value.is_integer() and abs(value) < 2**53
        return (int(value) if whole else None), "wrong-type"
    if type(value) is str and re.fullmatch(r"-?[0-9]{1,18}", value):
        return int(value), "wrong-type"
    return None, "wrong-type"


def flag(entry: dict[str, Any], key: str, findings: Findings, place: Place) -> int | None:
    """An entry's 0 or 1, 0 if there is none; true, false and null are mended. None if unclear."""
    value = entry.get(key, 0)
    if isinstance(value, bool) or value is None:
        findings.add("wrong-type", place, f"{key} is {shown(value)}, not 0 or 1")
        findings.repaired(_MENDED)
        return int(value or 0)
    return integer({key: value}, key, findings, place, most=1)


def number_defect(value: Any) -> str | None:
    """The defect of what should be a finite number of a size that pixels can have."""
    if type(value) not in (int, float):
        return "wrong-type"
    if type(value) is float and not math.isfinite(value):
        return "non-finite"
    return None if -_MOST_NUMBER <= value <= _MOST_NUMBER else "impossible-number"


def other_values(
    entry: dict[str, Any], known: tuple[str, ...], findings: Findings, place: Place
) -> dict[str, Any]:
    """The values of an entry that the format does not know, fit to be written."""
    kept = {}
    for key, value in entry.items():
        if key in known:
            continue
        wrapped = value
        for _ in range(_NESTING):
            wrapped = [wrapped]
        try:
            json.dumps(wrapped, allow_nan=False)
            kept[key] = value
        except ValueError:
            findings.add("non-finite", place, f"{shown(key)} holds a number that is not finite")
            findings.repaired("numbers beyond the format that are not finite became null")
            kept[key] = json.loads(json.dumps(value), parse_constant=lambda _: None)
        except RecursionError:
            findings.add("wrong-type", place, f"{shown(key)} is nested too deeply")
            findings.repaired("values beyond the format that are nested too deeply were dropped")
    return kept


def same(first: Any, second: Any) -> bool:
    """Whether two values of the file are equal; False if they are nested too deeply to tell."""
    try:
        return first == second
    except RecursionError:
        return False
