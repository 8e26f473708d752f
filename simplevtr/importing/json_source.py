"""Reading foreign JSON files; what is in their objects, ``simplevtr.formats.checks`` looks at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from simplevtr.formats.files import read_json


def read_object(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not JSON, or something else than an object.
    """
    return as_object(read_json(path), str(path))


def as_object(value: Any, where: str) -> dict[str, Any]:
    """``value`` if it is an object, else ValueError."""
    if not isinstance(value, dict):
        raise ValueError(f"{where}: is {value!r:.80}; an object is needed")
    return value


def get_list(entry: dict[str, Any], key: str, where: object) -> list[Any]:
    """The list under ``key``, else ValueError."""
    value = entry.get(key)
    if not isinstance(value, list):
        raise ValueError(f"{where}: {key!r} is {value!r:.80}; a list is needed")
    return value
