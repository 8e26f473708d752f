"""Folders of videos and frames, as foreign datasets lay them out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from simplevtr.formats.images import IMAGE_SUFFIXES
from simplevtr.formats.paths import existing, natural_key


def require_folder(path: Path, what: str) -> Path:
    """``path`` as the disk spells it if it is a folder.

    Raises:
        FileNotFoundError: otherwise; the message says that ``what`` is missing.
    """
    path = existing(path)
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such folder; {what} must be there")
    return path


def sub_folders(folder: Path) -> list[Path]:
    """The folders in a folder in natural order, hidden ones left out."""
    return _sorted(p for p in folder.iterdir() if p.is_dir())


def files_of(folder: Path, *suffixes: str) -> list[Path]:
    """The files that end so, in any case, in natural order, hidden ones left out."""
    return _sorted(p for p in folder.iterdir() if p.suffix.lower() in suffixes and p.is_file())


def stem_of(path: Path) -> str:
    """The name without suffix in Unicode's composed form: a disk may spell two files apart."""
    return unicodedata.normalize("NFC", path.stem)


def frames_of(folder: Path) -> dict[str, Path]:
    """The images of a folder, by file name without suffix, in natural order.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it holds no image, or two that differ in their suffix only.
    """
    folder = require_folder(folder, "frames")
    frames: dict[str, Path] = {}
    for path in files_of(folder, *IMAGE_SUFFIXES):
        other = frames.setdefault(stem_of(path), path)
        if other != path:
            raise ValueError(f"{path}: {other.name} is the same frame; keep one")
    if not frames:
        raise ValueError(f"{folder}: holds no image ({', '.join(IMAGE_SUFFIXES)})")
    return frames


def numbered_frames(folder: Path) -> dict[int, Path]:
    """The images of a folder by the number that their names end in, ascending.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it holds no image, or one without a number, or two with the same number.
    """
    frames: dict[int, Path] = {}
    for stem, path in frames_of(folder).items():
        digits = re.search(r"[0-9]{1,18}$", stem)
        if digits is None:
            raise ValueError(f"{path}: the name must end in the number of the frame")
        other = frames.setdefault(int(digits[0]), path)
        if other != path:
            raise ValueError(f"{path}: {other.name} has frame number {int(digits[0])} already")
    return dict(sorted(frames.items()))


def relative_names(paths: Iterable[Path], root: Path) -> list[str]:
    """File names as an annotation file holds them: relative to ``root``, with "/"."""
    return [path.relative_to(root).as_posix() for path in paths]


def _sorted(paths: Iterable[Path]) -> list[Path]:
    visible = (path for path in paths if not path.name.startswith("."))
    return sorted(visible, key=lambda path: natural_key(path.name))
