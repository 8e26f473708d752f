"""Annotation files: finding, reading and writing them."""

from __future__ import annotations

import json
import os
from typing import Any

from simplevtr.data.doctor.findings import Findings, Place
from simplevtr.formats.checks import check_outline
from simplevtr.formats.files import read_json, write_bytes

_DOWNLOADED = "instances.json"  # what archives hold in a folder a split


def find_file(path: str, findings: Findings) -> str:
    """The path of an annotation file, also if it has the name that downloads have.

    Args:
        path: such as "ytvis_2021/train.json"; if this does not exist, but
            "ytvis_2021/train/instances.json" does, then that is it, which is counted as a defect.
        findings: where the defect goes.

    Raises:
        FileNotFoundError: there is neither.
    """
    folder, name = os.path.split(path)
    expected = path
    if not os.path.isfile(path):
        trap = os.path.join(os.path.splitext(path)[0], _DOWNLOADED)
        if not os.path.isfile(trap):
            raise FileNotFoundError(f"annotation file {path} does not exist")
        path = trap
    elif name == _DOWNLOADED:
        split = os.path.basename(os.path.abspath(folder))
        expected = os.path.join(os.path.dirname(os.path.abspath(folder)), f"{split}.json")
    if expected != path and not os.path.isfile(expected):
        detail = f"configs look for {expected}, which does not exist"
        findings.add("misnamed-file", Place(file=path), detail)
    return path


def read_file(path: str) -> dict[str, Any]:
    """The content of an annotation file, of which only the outermost lists have been checked.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no JSON object with lists of videos and categories.
    """
    content = read_json(path)
    check_outline(content, path, empty=True)
    return content


def check_targets(targets: list[str], source: str, *, overwrite: bool) -> None:
    """Raise unless files may be written: never the one that is read, others with ``overwrite``.

    Raises:
        ValueError: two are the same file, or one is ``source``.
        FileExistsError: one exists and ``overwrite`` is False.
    """
    taken = {os.path.realpath(source): "the file that is examined"}
    for target in targets:
        real = os.path.realpath(target)
        if real in taken or (os.path.exists(target) and os.path.samefile(target, source)):
            what = taken.get(real, "the file that is examined")
            raise ValueError(f"{target} is {what}; write elsewhere")
        taken[real] = "written already"
        if os.path.isdir(target):
            raise FileExistsError(f"{target} is a folder; name a file")
        if os.path.exists(target) and not overwrite:
            raise FileExistsError(f"{target} exists already; write elsewhere or add --overwrite")


def write_json(path: str, content: Any, *, indent: int | None = None) -> None:
    """Write a JSON file in one step: it is either complete or as it was before."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(content, allow_nan=False, indent=indent, separators=separators)
    write_bytes(path, (text + "\n" * bool(indent)).encode("ascii"), overwrite=True)
