"""Single values of an entry: what the shared checks refuse is counted, and named by its kind."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from simplevtr.data.doctor.findings import Findings, Place, shown
from simplevtr.formats import checks

_MOST_NUMBER = 1e12  # pixels; no box or area comes near it
_NESTING = 30  # levels that writing the file may need in addition to those of the value
_PLAIN = (str, int, bool, type(None))  # types of values that any file may hold


def checked(
    check: Callable[..., Any],
    entry: dict[str, Any],
    key: str,
    findings: Findings,
    place: Place,
    **limits: Any,
) -> Any:
    """What one of the ``formats.checks`` returns for a value, or None if it refuses it."""
    try:
        return check(entry, key, **limits)
    except ValueError as error:
        detail = str(error)
    except RecursionError:  # in the message of the check
        detail = f"{key} is nested too deeply"
    findings.add(_kind(check, entry, key), place, detail)
    return None


def _kind(check: Callable[..., Any], entry: dict[str, Any], key: str) -> str:
    """The defect of a value that a check refuses."""
    if key not in entry:
        return "missing-key"
    value = entry[key]
    if type(value) is float and not math.isfinite(value):
        return "non-finite"
    return "impossible-number" if type(value) is int and check is not checks.name else "wrong-type"


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
        kept[key] = value
        if type(value) in _PLAIN:
            continue
        wrapped = value
        for _ in range(_NESTING):
            wrapped = [wrapped]
        try:
            json.dumps(wrapped, allow_nan=False)
        except ValueError:
            detail = f"{shown(key)} holds a number that is not finite"
            repair = "numbers beyond the format that are not finite became null"
            findings.add("non-finite", place, detail, repair)
            kept[key] = json.loads(json.dumps(value), parse_constant=lambda _: None)
        except RecursionError:
            repair = "values beyond the format that are nested too deeply were dropped"
            findings.add("wrong-type", place, f"{shown(key)} is nested too deeply", repair)
            del kept[key]
    return kept
