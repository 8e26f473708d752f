"""Cell Tracking Challenge: TIFFs of object numbers, and a text file of when each object lives.

The source is the folder of ``01/t000.tif`` and ``01_GT/TRA/man_track000.tif``, with as many
sequences as there are, or the folder ``01_GT`` of one. ``TRA/man_track.txt`` has a line ``label
begin end parent`` for each track. A cell that divides ends, and its daughters are tracks of their
own: YouTube-VIS has no parents. All objects are of the category "cell".

``TRA`` marks every cell in every frame, in some datasets by a spot inside of it. ``01_GT/SEG`` and
``01_ST/SEG`` have whole cells, of some frames, whose numbers mean nothing: a cell belongs to the
track whose mark it covers by more than a half, the rule of the challenge. Three-dimensional
datasets, whose TIFFs have several pages, are refused.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from simplevtr import video_io
from simplevtr.formats.images import image_header, opened, picture_count
from simplevtr.toolbox.importing import reading, shapes, sources

import numpy as np

_CELL = "cell"  # the only category
_FIELDS = ("label", "begin", "end", "parent")
_DEEP = ("I;16", "I;16B", "I;16L", "I;16N")  # Pillow's modes of 16-bit grey
_LABELS = ((*_DEEP, "L"), "16-bit grey")
_DARKEST, _BRIGHTEST = 0.001, 0.999  # the shares of a video's pixels that become 0 and 255
_MOST = 2**16  # numbers that a picture can hold
_ABSENT = "masks missing in frames in which a track lives, taken as absent"
_SPOTS = "marks without a whole cell in frames with whole cells (see --masks)"


def read(
    dataset: reading.ImportedDataset,
    source: Path,
    images: Path | None,
    *,
    masks: Literal["both", "tra", "seg", "st"] = "both",
    write_frames: Path | None = None,
) -> None:
    """Read all sequences; the options are those of the command."""
    source = sources.require_folder(source, "the sequences")
    truths = [f for f in sources.sub_folders(source) if re.fullmatch("[0-9]+_GT", f.name)]
    if not truths and source.absolute().name.endswith("_GT"):
        truths = [source.absolute()]
    if not truths:
        raise ValueError(f"{source}: holds no folder of true tracks, such as 01_GT")
    home = sources.require_folder(images or truths[0].parent, "the sequences' frames")
    dataset.image_root = write_frames or home
    dataset.videos = dataset.each_video(
        truths, lambda truth: _video(truth, home, dataset, masks, write_frames)
    )
    named = {truth.name.removesuffix("_GT") for truth in truths}
    others = [f for f in sources.sub_folders(home) if f.name.isdecimal() and f.name not in named]
    dataset.notes["sequences without true tracks left out"] = len(others)
    dataset.categories = [(1, _CELL)]


def _video(
    truth: Path, home: Path, dataset: reading.ImportedDataset, masks: str, write_frames: Path | None
) -> reading.ImportedVideo:
    name = truth.name.removesuffix("_GT")
    frames = sources.numbered_frames(home / name)
    lives = _lives(truth / "TRA" / "man_track.txt", dataset)
    marks = sources.numbered_frames(truth / "TRA")
    cells: dict[int, Path] = {}
    folder = (truth if masks != "st" else truth.with_name(f"{name}_ST")) / "SEG"
    if masks in ("seg", "st") or (masks == "both" and os.path.lexists(folder)):
        cells = sources.numbered_frames(folder)
    for path in (*frames.values(), *marks.values(), *cells.values()):
        if (pages := picture_count(path)) > 1:
            raise ValueError(f"{path}: has {pages} pages; three-dimensional datasets have no video")
    for number in [number for number in {**marks, **cells} if number not in frames]:
        with dataset.part("frames", marks.get(number) or cells[number]):
            raise FileNotFoundError(f"there is no frame {number} in {home / name}")
    annotated = cells.keys() & marks.keys() if masks in ("seg", "st") else marks.keys()
    chosen = {number: path for number, path in frames.items() if number in annotated}
    dataset.notes["frames without a picture of masks left out"] += len(frames) - len(chosen)
    draft = reading.VideoDraft(dataset, name, _readable(chosen, name, write_frames))
    for number in chosen:
        with draft.frame(number, marks[number]):
            picture = _labels(marks[number], draft.size)
            if number in cells:
                with reading.naming(cells[number].relative_to(truth.parent)):
                    whole = _labels(cells[number], draft.size)
                picture, lost, left = _carried(picture, whole, keep_marks=masks == "both")
                dataset.notes["whole cells of no single track left out"] += lost
                dataset.notes[_SPOTS] += left
            elif masks == "both" and cells:
                dataset.notes["frames with marks of cells alone (see --masks)"] += 1
            for label, mask in shapes.from_labels(picture).items():
                begin, end = lives.get(label, (None, None))
                if begin is None or not begin <= number <= end:
                    found = "has no line" if begin is None else f"lives in frames {begin} to {end}"
                    raise ValueError(f"holds object {label}, which {found} in man_track.txt")
                draft.add(label, _CELL, number, mask)
    dataset.notes["tracks of man_track.txt without a mask"] += len(lives.keys() - draft.tracks)
    for label, track in draft.tracks.items():
        begin, end = lives[label]
        absent = sum(begin <= number <= end for number in chosen.keys() - track.masks.keys())
        dataset.notes[_ABSENT] += absent
    return draft.finished()


def _readable(frames: dict[int, Path], name: str, write_frames: Path | None) -> dict[int, Path]:
    """The frames as readers can use them, which are written if there is a folder for them."""
    if write_frames is not None and frames:
        written = _write_grey([*frames.values()], write_frames / name)
        return dict(zip(frames, written, strict=True))
    for path in frames.values():
        if image_header(path)[1] in _DEEP:
            why = "is 16-bit grey, of which readers keep the upper 8 bits, often all dark"
            raise reading.UndecidedError(f"{path}: {why}; use --write-frames FOLDER")
    return frames


def _write_grey(pictures: Sequence[Path], folder: Path) -> list[Path]:
    """Write the grey pictures of a video, of 8 or 16 bits, as 8-bit PNGs of the same names.

    Of 16 bits, the level that 0.1 % of all pixels are below becomes 0, the one that 99.9 % are not
    above 255, and levels between are spread evenly; one scale keeps the brightness from flickering.
    ValueError: one is not such a picture, has another depth or size than the first, or lies in the
    folder itself, where it would be replaced or have a double.
    """
    if folder.is_dir() and any(path.parent.samefile(folder) for path in pictures):
        raise ValueError(f"{folder}: holds the frames that are to be copied; choose another folder")
    first = _levels(pictures[0])
    histogram = np.zeros(np.iinfo(first.dtype).max + 1, np.int64)
    for path in pictures:
        levels = _levels(path)
        if (levels.shape, levels.dtype) != (first.shape, first.dtype):
            found = f"{levels.shape} pixels of {levels.dtype}, {pictures[0].name} {first.shape}"
            raise ValueError(f"{path}: has {found} of {first.dtype}; a video has one of each")
        histogram += np.bincount(levels.ravel(), minlength=len(histogram))
    table = np.arange(len(histogram))
    if first.dtype != np.uint8:
        below = np.cumsum(histogram) / histogram.sum()
        low, high = np.searchsorted(below, (_DARKEST, _BRIGHTEST))
        table = np.clip((table - low) * 255 / max(high - low, 1) + 0.5, 0, 255)
    table = table.astype(np.uint8)
    names = [f"{path.stem}.png" for path in pictures]
    with video_io.open_sink(folder, 1, first.shape, names=names, overwrite=True) as sink:
        for path in pictures:
            sink.write(np.repeat(table[_levels(path)][..., None], 3, axis=2))
    return [folder / name for name in names]


def _levels(path: Path) -> np.ndarray:
    """(H, W) uint8 or uint16 of a grey picture."""
    with opened(path) as image:
        mode = image.mode
        if mode == "L" or mode in _DEEP:
            return np.array(image).astype(np.uint8 if mode == "L" else np.uint16)
    raise ValueError(f"{path}: is of mode {mode!r}; grey of 8 or 16 bits is needed")


def _lives(path: Path, dataset: reading.ImportedDataset) -> dict[int, tuple[Any, Any]]:
    """The first and the last frame of each track; parents are counted."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; it says when the tracks live")
    found: dict[int, tuple[int, int]] = {}
    parents: dict[str, int] = {}
    for where, row in sources.table_rows(path, _FIELDS):
        label, begin, end, parents[where] = row.values()
        if not 0 < label < _MOST or label in found or begin > end:
            line = " ".join(map(str, row.values()))
            rule = f"from 1 to {_MOST - 1}, each once, and a track ends no earlier than it begins"
            raise ValueError(f"{where}: {line!r}; labels are {rule}")
        found[label] = begin, end
    for where, parent in parents.items():
        if parent and parent not in found:
            raise ValueError(f"{where}: there is no track {parent}, the parent")
    daughters = sum(parent > 0 for parent in parents.values())
    dataset.notes["tracks with a parent, imported as tracks of their own"] += daughters
    return found


def _labels(path: Path, size: shapes.Size) -> np.ndarray:
    """(H, W) int64, the number of an object in each pixel, 0 in the background."""
    picture = shapes.read_labels(path, size, _LABELS, formats=("TIFF", "PNG"))
    return np.asarray(picture).astype(np.int64)


def _carried(marks: np.ndarray, cells: np.ndarray, keep_marks: bool) -> tuple[np.ndarray, int, int]:
    """Whole cells under the numbers of the tracks whose marks they cover by more than a half.

    Both pictures are (H, W) int64. With ``keep_marks`` a mark that no cell covers, or only one that
    covers several, stays as it is. Also returns how many cells belong to no single track, and how
    many marks stay.
    """
    pairs, counts = np.unique(marks * _MOST + cells, return_counts=True)
    mark, cell = pairs // _MOST, pairs % _MOST
    covered = (mark > 0) & (cell > 0) & (2 * counts > np.bincount(marks.ravel())[mark])
    single = covered & (np.bincount(cell[covered], minlength=_MOST)[cell] == 1)
    numbers = np.zeros(_MOST, np.int64)
    numbers[cell[single]] = mark[single]
    picture = numbers[cells]
    kept = (picture == 0) & (marks > 0) & ~np.isin(marks, mark[single]) & keep_marks
    picture = np.where(kept, marks, picture)
    lost = len(np.unique(cell[cell > 0])) - int(single.sum())
    return picture, lost, len(np.unique(marks[kept]))
