"""Where DAVIS and YouTube-VOS have their folders, as the archives unpack."""

from __future__ import annotations

import os
import re
from pathlib import Path

from simplevtr.formats.paths import existing
from simplevtr.importing.dataset import naming
from simplevtr.importing.sources import files_of, require_folder, sub_folders

_LABELS = ("Annotations", "Annotations_unsupervised")


def label_folder(source: Path, subfolder: str) -> Path:
    """The folder whose folders hold the PNGs of one video each.

    ``source`` holds ``Annotations`` or ``Annotations_unsupervised``, or is the only folder above
    it, one of the two, or the folder sought; ``subfolder`` is between these and the videos.
    """
    source = Path(os.path.abspath(source))  # "." and ".." have names then
    found = _labels_in(source)
    if not found and {source.name, source.parent.name} & {*_LABELS}:
        found = [source]
    elif not found and source.is_dir():
        found = [path for folder in sub_folders(source) for path in _labels_in(folder)]
    if len(found) > 1:
        names = ", ".join(map(str, found))
        raise ValueError(f"{source}: holds several sets: {names}; give one of them as SOURCE")
    root = require_folder(found[0] if found else source / _LABELS[0], "the videos' PNGs")
    if subfolder:
        return require_folder(root / subfolder, "the videos' PNGs")
    deeper = [folder for folder in sub_folders(root) if _holds_videos(folder)]
    if len(deeper) > 1 or (deeper and _holds_videos(root)):
        names = ", ".join(folder.name for folder in deeper)
        raise ValueError(f"{root}: there are videos below {names}; choose one (--subfolder)")
    return deeper[0] if deeper else root


def image_folder(labels: Path) -> Path:
    """The folder in ``JPEGImages`` called as the labels' one, or the only one with their videos."""
    top = next((path for path in (labels, *labels.parents) if path.name in _LABELS), labels)
    root = top.parent / "JPEGImages"
    videos = {folder.name for folder in sub_folders(labels)}
    usual = root / labels.relative_to(top)
    places = dict.fromkeys([usual, root, *(sub_folders(root) if root.is_dir() else ())])
    fitting = [p for p in places if any((p / video).is_dir() for video in videos)]
    if len(fitting) > 1 and usual not in fitting:
        names = ", ".join(map(str, fitting))
        raise ValueError(f"{root}: frames of the videos are in {names}; choose one (--images)")
    return fitting[0] if fitting else usual


def chosen_videos(labels: Path, source: Path, videos: str | Path | None) -> list[Path]:
    """The folders in ``labels`` of the videos to import, in natural order.

    ``videos`` is a text file that lists them, or the name of one in ``ImageSets``; None: all.
    """
    folders = sub_folders(labels)
    if videos is not None:
        path = _list_of_videos(Path(videos), source, labels)
        wanted = {existing(labels / name): name for name in _listed(path)}
        missing = [name for folder, name in wanted.items() if folder not in folders]
        if missing:
            raise ValueError(f"{path}: video {missing[0]!r} is not in {labels}")
        folders = [folder for folder in folders if folder in wanted]
    if not folders:
        raise ValueError(f"{labels}: holds no folder of a video")
    return folders


def _list_of_videos(path: Path, source: Path, labels: Path) -> Path:
    """The text file of this path, or of which it is the end in ``ImageSets``."""
    if path.is_file():
        return path
    known = {}
    for above in (source.absolute(), *labels.parents[:3]):
        sets = above / "ImageSets"
        known |= {p.relative_to(sets).with_suffix("").as_posix(): p for p in sets.rglob("*.txt")}
    wanted = "/" + path.as_posix().removesuffix(".txt")
    found = [name for name in sorted(known) if f"/{name}".endswith(wanted)]
    if len(found) > 1:
        raise ValueError(f"--videos {path} may be {', '.join(found)}; choose one")
    if not found:
        listed = f"; in ImageSets are {', '.join(sorted(known))}" if known else ""
        raise FileNotFoundError(f"{path}: no such file{listed}")
    return known[found[0]]


def _listed(path: Path) -> list[str]:
    """The videos of a list: a name in each line, or as in DAVIS 2016 the paths of a frame."""
    with naming(path):
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    frames = re.compile(r"/?JPEGImages/\S+/")
    names = [Path(line.split()[0]).parent.name if frames.match(line) else line for line in lines]
    return [name for name in dict.fromkeys(names) if name]


def _labels_in(folder: Path) -> list[Path]:
    return [path for name in _LABELS if (path := folder / name).is_dir()]


def _holds_videos(folder: Path) -> bool:
    return any(files_of(video, ".png") for video in sub_folders(folder))
