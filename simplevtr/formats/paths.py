"""Names of files: their natural order, where they lead and start, and how the disk spells them."""

import os
import posixpath
import re
import unicodedata
from pathlib import Path

AnyPath = str | os.PathLike[str]

_UNUSABLE = re.compile("[\x00-\x1f\ud800-\udfff]")  # control characters, halves of characters


def datasets_root() -> str:
    """The folder that relative dataset paths start at: $DETECTRON2_DATASETS, else ./datasets."""
    return os.path.expanduser(os.environ.get("DETECTRON2_DATASETS") or "datasets")


def natural_key(name: str) -> tuple[list, str]:
    """Sort key that compares runs of digits by value: "frame2" before "frame10".

    Case does not count, and "1" and "01" always come in the same order. Digits may be any number.
    """
    parts: list = re.split("([0-9]+)", name.lower())
    for i in range(1, len(parts), 2):
        digits = parts[i].lstrip("0")
        parts[i] = (len(digits), digits)
    return parts, name


def with_slashes(name: str) -> str:
    """The one spelling of all file names that lead to a file, which may be written on Windows."""
    return posixpath.normpath(name.replace("\\", "/"))


def leads_out(name: str) -> bool:
    """Whether a file name is absolute or leads out of the folder that it starts at."""
    path = with_slashes(name)
    return path == ".." or re.match("/|[.][.]/|[A-Za-z]:/", path) is not None


def relative(name: object, root: AnyPath) -> str:
    """The path, with slashes alone, that a file calls ``name``, which must lie below ``root``.

    ValueError if it is not a file name, or leads out of ``root``; the message names no file.
    """
    if not isinstance(name, str) or _UNUSABLE.search(name):
        raise ValueError(f"file name {name!r:.80}; text without control characters is needed")
    path = with_slashes(name)
    if path == "." or leads_out(path):
        raise ValueError(f"file name {name!r:.80}; a relative path below {root} is needed")
    return path


def below(root: AnyPath, name: object) -> Path:
    """The path of ``relative``, from where ``root`` starts; it raises the same."""
    return Path(root, relative(name, root))


def existing(path: AnyPath) -> Path:
    """The path as the disk spells it, or as it is if there is no such file or folder.

    Letters with accents have two spellings in Unicode, composed (NFC) and decomposed (NFD, as
    macOS may write them); a part of the path that is not found in one is looked for in the other.
    ValueError: a text is empty, as of a shell's variable that is not set.
    """
    if not os.fspath(path):
        raise ValueError("the name of a file or folder is empty")
    path = Path(path)
    if str(path).isascii() or path.exists():
        return path
    found = Path(path.anchor)
    for part in path.parts[bool(path.anchor) :]:
        forms = (part, *(unicodedata.normalize(form, part) for form in ("NFC", "NFD")))
        found /= next((form for form in forms if os.path.lexists(found / form)), part)
    return found
