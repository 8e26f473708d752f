"""Folders of videos and frames, as foreign datasets lay them out."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from simplevtr.formats.paths import natural_key

# What frames may end in; the loader reads them with Pillow.
_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def require_folder(path: Path, what: str) -> Path:
    """``path`` if it is a folder; otherwise FileNotFoundError says that ``what`` is missing."""
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such folder; {what} must be there")
    return path


def sub_folders(folder: Path) -> list[Path]:
    """The folders in a folder in natural order, hidden ones left out."""
    return _sorted(p for p in folder.iterdir() if p.is_dir())


def files_of(folder: Path, suffix: str) -> list[Path]:
    """The files that end in ``suffix``, in any case, in natural order, hidden ones left out."""
    return _sorted(p for p in folder.iterdir() if p.suffix.lower() == suffix and p.is_file())


def frames_of(folder: Path) -> dict[str, Path]:
    """The images of a folder, by file name without suffix, in natural order.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it holds no image, or two that differ in their suffix only.
    """
    require_folder(folder, "frames")
    images = (p for p in folder.iterdir() if p.suffix.lower() in _IMAGE_SUFFIXES and p.is_file())
    frames: dict[str, Path] = {}
    for path in _sorted(images):
        if path.stem in frames:
            raise ValueError(f"{path}: {frames[path.stem].name} is the same frame; keep one")
        frames[path.stem] = path
    if not frames:
        raise ValueError(f"{folder}: holds no image ({', '.join(_IMAGE_SUFFIXES)})")
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
        number = int(digits[0])
        if number in frames:
            raise ValueError(f"{path}: {frames[number].name} has frame number {number} already")
        frames[number] = path
    return dict(sorted(frames.items()))


def relative_names(paths: list[Path], root: Path) -> list[str]:
    """File names as an annotation file holds them: relative to ``root``, with "/"."""
    return [PurePosixPath(*path.relative_to(root).parts).as_posix() for path in paths]


def _sorted(paths: object) -> list[Path]:
    visible = (path for path in paths if not path.name.startswith("."))
    return sorted(visible, key=lambda path: natural_key(path.name))
