"""Reading foreign JSON files with checks that name the file and the value."""

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


def get_list(entry: dict[str, Any], key: str, where: str) -> list[Any]:
    """The list under ``key``, else ValueError."""
    value = entry.get(key)
    if not isinstance(value, list):
        raise ValueError(f"{where}: {key!r} is {value!r:.80}; a list is needed")
    return value


def get_int(entry: dict[str, Any], key: str, where: str, *, lowest: int = 0) -> int:
    """The integer of at least ``lowest`` under ``key`` (a bool is none), else ValueError."""
    value = entry.get(key)
    if type(value) is not int or value < lowest:
        raise ValueError(f"{where}: {key!r} is {value!r:.80}; an integer >= {lowest} is needed")
    return value


def get_text(entry: dict[str, Any], key: str, where: str) -> str:
    """The text under ``key`` that is not empty, else ValueError."""
    value = entry.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{where}: {key!r} is {value!r:.80}; a text is needed")
    return value


def get_key(entry: dict[str, Any], keys: tuple[str, ...], where: str) -> int | str:
    """The integer or text under the first of ``keys`` that is there, else ValueError."""
    value = next((entry[key] for key in keys if entry.get(key) is not None), None)
    if type(value) not in (int, str):
        raise ValueError(
            f"{where}: {' or '.join(map(repr, keys))} is {value!r:.80}; an integer or a text is "
            "needed"
        )
    return value
