"""MOTS: one text file per video, or one 16-bit PNG per frame.

A text file has a line ``time_frame id class_id img_height img_width rle`` for each object of each
frame; a PNG has the value 1000 * class + instance in each pixel, and 0 for background. Regions to
ignore (class 10, or 10000) become background, as YouTube-VIS cannot express them. All images of a
video are its frames; those without annotations have no objects.

The source is a text file, a folder of text files ``<video>.txt``, a folder of PNGs of one video, or
a folder of such folders. A PNG's name ends in the number of its frame. Frames are
``<video>/<number>.jpg`` or ``<video>/img1/<number>.jpg``. In MOTChallenge's form the source is
``<video>/gt/gt.txt``, ``<video>``, or a folder of such videos, and frames are there by default.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from simplevtr.formats.checks import whole_number
from simplevtr.formats.images import image_header
from simplevtr.formats.mots import NUMBERS
from simplevtr.toolbox.importing import reading, shapes, sources
from simplevtr.toolbox.importing.output import parse_pairs
from simplevtr.toolbox.importing.reading import ImportedDataset

import numpy as np

KITTI_CLASSES = {1: "car", 2: "pedestrian"}
_IGNORE_CLASS = 10  # of regions in which nothing is annotated
_IGNORE = _IGNORE_CLASS * NUMBERS  # their usual identity
_GROUND_TRUTH = ("gt", "gt.txt")  # where MOTChallenge has it, below the folder of a video
_FIELDS = ("time_frame", "id", "class_id", "img_height", "img_width", "rle")
_Object = tuple[int, int, reading.Rle]  # identity, class and mask


def read(
    dataset: ImportedDataset, source: Path, images: Path | None, *, classes: Sequence[str] = ()
) -> None:
    """Read videos of either form; ``classes`` are as of ``--classes``."""
    names = _parse_classes(classes) if classes else KITTI_CLASSES
    videos = _videos(source, dataset)
    if images is None:
        own = _folder_of(next(iter(videos.values())))
        if own is None:
            raise ValueError(f"{source}: MOTS needs the folder of the frames (--images)")
        images = own.parent
    dataset.image_root = sources.require_folder(images, "the videos' frames")
    dataset.videos = dataset.each_video(videos, lambda v: _video(v, videos[v], dataset, names))
    dataset.categories = sorted(names.items())


def _parse_classes(entries: Sequence[str]) -> dict[int, str]:
    """``["1=car", "2=pedestrian"]`` as numbers and names, neither twice; else ValueError."""
    pairs = parse_pairs(entries, "NUMBER=NAME, such as 1=car,")
    classes = {
        whole_number({"class": number.strip()}, "class"): name.strip()
        for number, name in pairs.items()
    }
    if not len(set(classes.values())) == len(classes) == len(pairs):
        raise ValueError(f"classes {' '.join(entries)}: a number or a name appears twice")
    return classes


def _videos(source: Path, dataset: ImportedDataset) -> dict[str, Path]:
    """Text files, or folders of PNGs, by video."""
    folders = sources.sub_folders(source)
    truths = {folder: folder.joinpath(*_GROUND_TRUTH) for folder in (source, *folders)}
    found = {folder: text for folder, text in truths.items() if os.path.lexists(text)}
    if not found:  # next to MOTChallenge's folders, text files are notes at most
        if texts := [source] if source.is_file() else sources.files_of(source, ".txt"):
            sources.note_deeper(dataset, source, ".txt", ".png", but="img1")
            return {(_folder_of(path) or path.with_suffix("")).name: path for path in texts}
        if sources.files_of(source, ".png"):
            sources.note_deeper(dataset, source, ".png", but="img1")
            return {source.absolute().name: source}
        found = {folder: folder for folder in folders if sources.files_of(folder, ".png")}
    if not found:
        raise ValueError(f"{source}: holds no text file, no PNG, no folder of PNGs, no gt/gt.txt")
    if source not in found:
        dataset.notes["folders without annotations left out"] = len(folders) - len(found)
    return {folder.absolute().name: path for folder, path in found.items()}


def _folder_of(text: Path) -> Path | None:
    """The folder of a video in MOTChallenge's form, where its frames are too; else None."""
    *above, gt, name = text.absolute().parts
    return Path(*above) if (gt, name) == _GROUND_TRUTH and len(above) > 1 else None


def _video(
    name: str, source: Path, dataset: ImportedDataset, classes: Mapping[int, str]
) -> reading.ImportedVideo:
    frames = sources.numbered_frames(sources.video_folder(dataset.image_root / name))
    entries: list[tuple[Any, int, reading.Size | None, Any]]
    if source.is_dir():
        pictures = sources.numbered_frames(source)
        entries = [(path, t, image_header(path)[0], path) for t, path in pictures.items()]
        dataset.notes["frames without a PNG taken as empty"] += len(frames.keys() - pictures.keys())
    else:
        entries = [*_lines(source)]
    stated = {frame: size for _, frame, size, _ in entries}
    draft = reading.VideoDraft(dataset, name, frames, stated=stated)
    for where, frame, _, content in entries:
        with draft.frame(frame, where):
            if frame not in frames:
                raise ValueError(f"there is no image of frame {frame}")
            for identity, label, mask in _objects(content, draft.size):
                if identity == _IGNORE or (label == _IGNORE_CLASS and label not in classes):
                    dataset.notes["regions to ignore, taken as background"] += 1
                    continue
                if label not in classes:
                    known = ", ".join(f"{k}={v}" for k, v in classes.items())
                    why = f"class {label} has no name; known: {known} (--classes)"
                    raise reading.UndecidedError(why)
                draft.add(identity, classes[label], frame, mask)
    return draft.finished()


def _lines(path: Path) -> Iterator[tuple[str, int, reading.Size, _Object]]:
    """Where a line stands, its frame and size, and its object, whose mask is not checked yet."""
    for where, row in sources.table_rows(path, _FIELDS):
        frame, identity, label, height, width, counts = row.values()
        rle = {"size": [height, width], "counts": counts}
        yield where, frame, (height, width), (identity, label, rle)


def _objects(content: Path | _Object, size: reading.Size) -> Iterator[_Object]:
    """The objects of a PNG or a line in a frame of this size."""
    if not isinstance(content, Path):
        identity, label, rle = content
        yield identity, label, shapes.from_rle(rle, size)
        return
    labels = np.asarray(shapes.read_labels(content, size, shapes.DEEP_LABELS), np.int32)
    for value, mask in shapes.from_labels(labels).items():
        if value < NUMBERS:
            raise ValueError(f"pixel value {value}; 0, or {NUMBERS} and more, needed")
        yield value, value // NUMBERS, mask
