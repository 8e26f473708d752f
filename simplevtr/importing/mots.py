"""MOTS: a text file a video, or a 16-bit PNG a frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from simplevtr.formats.mots import NUMBERS
from simplevtr.importing.dataset import ImportedDataset, ImportedVideo, Rle, TrackTable, naming
from simplevtr.importing.folders import (
    files_of,
    numbered_frames,
    relative_names,
    require_folder,
    sub_folders,
)
from simplevtr.importing.mask_shapes import from_labels, from_segmentation
from simplevtr.importing.pictures import common_size, read_deep_labels

from tqdm import tqdm

KITTI_CLASSES = {1: "car", 2: "pedestrian"}
_IGNORE_CLASS = 10  # of regions in which nothing is annotated
_IGNORE = _IGNORE_CLASS * NUMBERS  # their usual identity
_GROUND_TRUTH = ("gt", "gt.txt")  # where MOTChallenge has it, below the folder of a video
_FIELDS = "time_frame id class_id img_height img_width rle"


class _Entry(NamedTuple):
    """One object in one frame."""

    frame: int
    identity: int
    label: int
    mask: Rle
    where: str


def read_mots(
    source: Path, *, images: Path | None = None, classes: Mapping[int, str] | None = None
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
        classes: class number -> category; None: 1 car, 2 pedestrian. A class 10 that has a name
            here is one like the others, but for the identity 10000.

    Returns:
        The videos in natural order of their names.

    Raises:
        FileNotFoundError: the source, a folder or a frame is missing.
        ValueError: a file cannot be used; the message says which, where and why.
    """
    videos = _videos(source)
    root = _image_root(source, videos) if images is None else images
    require_folder(root, "the videos' frames")
    names = dict(KITTI_CLASSES if classes is None else classes)
    notes: Counter[str] = Counter()
    found = []
    for name, path in tqdm(videos.items(), desc="mots", unit="video", disable=None):
        frames = _frames(root, name)
        size = common_size(list(frames.values()))
        read = _read_folder if path.is_dir() else _read_text
        places = {number: t for t, number in enumerate(frames)}
        table = TrackTable(notes)
        for entry in read(path, size, places):
            unnamed = entry.label not in names
            if entry.identity == _IGNORE or (entry.label == _IGNORE_CLASS and unnamed):
                notes["regions to ignore, taken as background"] += 1
                continue
            with naming(entry.where):
                if unnamed:
                    known = ", ".join(f"{k}={v}" for k, v in names.items())
                    raise ValueError(f"class {entry.label} has no name; known: {known} (classes)")
                table.add(entry.identity, names[entry.label], places[entry.frame], entry.mask)
        files = relative_names(list(frames.values()), root)
        found.append(ImportedVideo(name, size, files, table.tracks()))
    return ImportedDataset(root, found, sorted(names.items()), notes)


def parse_classes(entries: list[str]) -> dict[int, str]:
    """``["1=car", "2=pedestrian"]`` as numbers and names.

    Raises:
        ValueError: for anything else, or a number or name that appears twice.
    """
    classes: dict[int, str] = {}
    for entry in entries:
        number, _, name = (part.strip() for part in entry.partition("="))
        if not (number.isascii() and number.isdecimal() and len(number) < 6 and name):
            raise ValueError(f"class {entry!r}; NUMBER=NAME is needed, such as 1=car")
        if int(number) in classes or name in classes.values():
            raise ValueError(f"class {entry!r}: the number or the name appears twice")
        classes[int(number)] = name
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
        raise ValueError(f"{source}: MOTS needs the folder of the frames (images)")
    return folders[0].parent


def _frames(images: Path, name: str) -> dict[int, Path]:
    inner = images / name / "img1"
    return numbered_frames(inner if inner.is_dir() else images / name)


def _read_folder(
    folder: Path, size: tuple[int, int], places: Mapping[int, int]
) -> Iterator[_Entry]:
    for frame, path in numbered_frames(folder).items():
        if frame not in places:
            raise ValueError(f"{path}: there is no image of frame {frame}")
        for value, mask in from_labels(read_deep_labels(path, size)).items():
            if value < NUMBERS:
                raise ValueError(f"{path}: pixel value {value}; 0, or {NUMBERS} and more, needed")
            yield _Entry(frame, value, value // NUMBERS, mask, str(path))


def _read_text(path: Path, size: tuple[int, int], places: Mapping[int, int]) -> Iterator[_Entry]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            where = f"{path}, line {number}"
            fields = line.decode("ascii", errors="replace").split()
            if not fields:
                continue
            if len(fields) != 6 or not all(f.isdecimal() and len(f) < 10 for f in fields[:5]):
                raise ValueError(f"{where}: {' '.join(fields)!r:.80}; {_FIELDS} are needed")
            frame, identity, label, height, width = map(int, fields[:5])
            if frame not in places:
                raise ValueError(f"{where}: there is no image of frame {frame}")
            with naming(where):
                rle = {"size": [height, width], "counts": fields[5]}
                mask = from_segmentation(rle, size)
            yield _Entry(frame, identity, label, mask, where)
