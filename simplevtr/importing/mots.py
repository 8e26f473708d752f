"""MOTS: a text file a video, or a 16-bit PNG a frame."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from simplevtr.formats.mots import NUMBERS
from simplevtr.formats.paths import existing
from simplevtr.importing.categories import parse_pairs
from simplevtr.importing.dataset import (
    BrokenVideoError,
    ImportedDataset,
    ImportLog,
    Rle,
    UndecidedError,
    naming,
)
from simplevtr.importing.folders import files_of, numbered_frames, require_folder, sub_folders
from simplevtr.importing.label_pictures import png_size, read_deep_labels
from simplevtr.importing.mask_shapes import from_labels, from_rle
from simplevtr.importing.video_draft import Size, VideoDraft

from tqdm import tqdm

KITTI_CLASSES = {1: "car", 2: "pedestrian"}
_IGNORE_CLASS = 10  # of regions in which nothing is annotated
_IGNORE = _IGNORE_CLASS * NUMBERS  # their usual identity
_GROUND_TRUTH = ("gt", "gt.txt")  # where MOTChallenge has it, below the folder of a video
_FIELDS = "time_frame id class_id img_height img_width rle"


class _Line(NamedTuple):
    """A line of a text file: one object in one frame."""

    where: str
    frame: int
    identity: int
    label: int
    size: Size
    counts: str


def read_mots(
    source: Path,
    *,
    images: Path | None = None,
    skip_broken: bool = False,
    classes: Mapping[int, str] | None = None,
) -> ImportedDataset:
    """Read MOTS in either form.

    A text file has a line ``time_frame id class_id img_height img_width rle`` for each object of
    each frame; a PNG has the value 1000 * class + instance in each pixel, and 0 for background.
    Regions to ignore (class 10, or 10000) become background, as YouTube-VIS cannot say so. All
    images of a video are its frames; those that the annotations do not speak of have no objects.

    Args:
        source: a text file, a folder of text files ``<video>.txt``, a folder of PNGs of one video,
            or a folder of such folders. A PNG's name ends in the number of its frame. Also
            MOTChallenge's ``<video>/gt/gt.txt``, ``<video>``, or a folder of such videos.
        images: the folder of the videos' frames, ``<video>/<number>.jpg`` or
            ``<video>/img1/<number>.jpg``; None: the folder of the videos in MOTChallenge's form.
            The other forms need it.
        skip_broken: whether frames and videos that cannot be used are left out and counted.
        classes: class number -> category; None: 1 car, 2 pedestrian. A class 10 that has a name
            here is one like the others, but for the identity 10000.

    Returns:
        The videos in natural order of their names.

    Raises:
        FileNotFoundError: the source, a folder or a frame is missing.
        ValueError: a file cannot be used; the message says which, where and why.
    """
    videos = _videos(source)
    root = require_folder(images or _image_root(source, videos), "the videos' frames")
    reader = _Reader(
        dict(KITTI_CLASSES if classes is None else classes), ImportLog(skip_broken=skip_broken)
    )
    found = []
    for name, path in tqdm(videos.items(), desc="mots", unit="video", disable=None):
        with reader.log.part("videos"):
            frames = _frames(root, name)
            read = reader.read_folder if path.is_dir() else reader.read_text
            found.append(read(path, name, frames).finished(root))
    categories = sorted(reader.classes.items())
    return ImportedDataset(root, found, categories, reader.log.notes, reader.log.broken)


@dataclass(frozen=True)
class _Reader:
    """What the numbers of classes mean, and what was left out so far."""

    classes: dict[int, str]
    log: ImportLog

    def read_folder(self, folder: Path, name: str, frames: dict[int, Path]) -> VideoDraft:
        """The video of a folder of PNGs; ``frames`` are its images by number."""
        pictures = numbered_frames(folder)
        places = {number: t for t, number in enumerate(frames)}
        stated = {places[n]: png_size(path) for n, path in pictures.items() if n in places}
        draft = VideoDraft(self.log, name, [*frames.values()], stated=stated)
        for number, path in pictures.items():
            if number not in places:
                with self.log.part("frames"):
                    raise ValueError(f"{path}: there is no image of frame {number}")
                continue
            with draft.frame(places[number]):
                for value, mask in from_labels(read_deep_labels(path, draft.size)).items():
                    with naming(path):
                        if value < NUMBERS:
                            raise ValueError(
                                f"pixel value {value}; 0, or {NUMBERS} and more, needed"
                            )
                        self._add(draft, value, value // NUMBERS, places[number], mask)
        return draft

    def read_text(self, path: Path, name: str, frames: dict[int, Path]) -> VideoDraft:
        """The video of a text file; ``frames`` are its images by number."""
        places = {number: t for t, number in enumerate(frames)}
        lines = list(_lines(path))
        stated = {places[line.frame]: line.size for line in lines if line.frame in places}
        draft = VideoDraft(self.log, name, [*frames.values()], stated=stated)
        for line in lines:
            if line.frame not in places:
                with self.log.part("frames", line.where):
                    raise ValueError(f"there is no image of frame {line.frame}")
                continue
            with draft.frame(places[line.frame], line.where):
                mask = from_rle({"size": [*line.size], "counts": line.counts}, draft.size)
                self._add(draft, line.identity, line.label, places[line.frame], mask)
        return draft

    def _add(self, draft: VideoDraft, identity: int, label: int, frame: int, mask: Rle) -> None:
        if identity == _IGNORE or (label == _IGNORE_CLASS and label not in self.classes):
            self.log.notes["regions to ignore, taken as background"] += 1
            return
        if label not in self.classes:
            known = ", ".join(f"{k}={v}" for k, v in self.classes.items())
            raise UndecidedError(f"class {label} has no name; known: {known} (--classes)")
        draft.add(identity, self.classes[label], frame, mask)


def parse_classes(entries: list[str]) -> dict[int, str]:
    """``["1=car", "2=pedestrian"]`` as numbers and names.

    Raises:
        ValueError: for anything else, or a number or name that appears twice.
    """
    pairs = parse_pairs(entries, "NUMBER=NAME, such as 1=car,")
    wrong = next((n for n in pairs if not re.fullmatch(r"\s*[0-9]{1,5}\s*", n, re.ASCII)), None)
    if wrong is not None:
        raise ValueError(f"class {wrong!r}: a number is needed, as in 1=car")
    classes = {int(number): name.strip() for number, name in pairs.items()}
    if not len(set(classes.values())) == len(classes) == len(pairs):
        raise ValueError(f"classes {' '.join(entries)}: a number or a name appears twice")
    return classes


def _videos(source: Path) -> dict[str, Path]:
    """Text files, or folders of PNGs, by video."""
    if source.is_file():
        return {_video_of(source): source}
    require_folder(source, "MOTS text files or folders of PNGs")
    folders = [source, *sub_folders(source)]
    texts = [text for f in folders if (text := f.joinpath(*_GROUND_TRUTH)).is_file()]
    texts = texts or files_of(source, ".txt")  # beside MOTChallenge's folders, notes at most
    if texts:
        return {_video_of(path): path for path in texts}
    if files_of(source, ".png"):
        return {source.absolute().name: source}
    folders = [folder for folder in sub_folders(source) if files_of(folder, ".png")]
    if not folders:
        raise ValueError(
            f"{source}: holds no text file, no PNG, no folder of PNGs and no VIDEO/gt/gt.txt"
        )
    return {folder.name: folder for folder in folders}


def _video_of(text: Path) -> str:
    folder = _folder_of(text)
    return text.stem if folder is None else folder.name


def _folder_of(text: Path) -> Path | None:
    """The folder of a video in MOTChallenge's form; None for other forms."""
    *above, gt, name = text.absolute().parts
    return Path(*above) if (gt, name) == _GROUND_TRUTH and len(above) > 1 else None


def _image_root(source: Path, videos: Mapping[str, Path]) -> Path:
    """The folder of MOTChallenge's videos, where their frames are too."""
    folders = [_folder_of(path) for path in videos.values()]
    if None in folders:
        raise ValueError(f"{source}: MOTS needs the folder of the frames (--images)")
    return folders[0].parent


def _frames(images: Path, name: str) -> dict[int, Path]:
    folder = existing(images / name)
    inner = folder / "img1"
    return numbered_frames(inner if inner.is_dir() else folder)


def _lines(path: Path) -> Iterator[_Line]:
    """The lines of a file that are not empty; broken ones leave the frame unknown."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            fields = line.decode("ascii", errors="replace").split()
            if not fields:
                continue
            where = f"{path}, line {number}"
            if len(fields) != 6 or not all(f.isdecimal() and len(f) < 10 for f in fields[:5]):
                raise BrokenVideoError(f"{where}: {' '.join(fields)!r:.80}; {_FIELDS} are needed")
            frame, identity, label, height, width = map(int, fields[:5])
            yield _Line(where, frame, identity, label, (height, width), fields[5])
