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

import re
from pathlib import Path
from typing import Any, Literal

from simplevtr.formats.checks import whole_number
from simplevtr.formats.images import picture_count
from simplevtr.toolbox.importing import shapes, sources
from simplevtr.toolbox.importing.frames import DEEP, is_deep, write_grey
from simplevtr.toolbox.importing.reading import (
    ImportedDataset,
    ImportedVideo,
    UndecidedError,
    VideoDraft,
    naming,
)

import numpy as np

Masks = Literal["both", "tra", "seg", "st"]
_CELL = "cell"  # the only category
_FIELDS = ("label", "begin", "end", "parent")
_LABELS = ((*DEEP, "L"), "16-bit grey")
_MOST = 2**16  # numbers that a picture can hold
_ABSENT = "masks missing in frames in which a track lives, taken as absent"
_SPOTS = "marks without a whole cell in frames with whole cells (see --masks)"


def read(
    dataset: ImportedDataset,
    source: Path,
    images: Path | None,
    *,
    masks: Masks = "both",
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
    dataset.categories = [(1, _CELL)]


def _video(
    truth: Path, home: Path, dataset: ImportedDataset, masks: str, write_frames: Path | None
) -> ImportedVideo:
    name = truth.name.removesuffix("_GT")
    frames = sources.numbered_frames(home / name)
    lives = _lives(truth / "TRA" / "man_track.txt", dataset)
    marks = sources.numbered_frames(truth / "TRA")
    cells: dict[int, Path] = {}
    folder = (truth if masks != "st" else truth.with_name(f"{name}_ST")) / "SEG"
    if masks in ("seg", "st") or (masks == "both" and folder.is_dir()):
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
    draft = VideoDraft(dataset, name, _readable(chosen, name, write_frames))
    for number in chosen:
        with draft.frame(number, marks[number]):
            picture = _labels(marks[number], draft.size)
            if number in cells:
                with naming(cells[number].relative_to(truth.parent)):
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
        written = write_grey([*frames.values()], write_frames / name)
        return dict(zip(frames, written, strict=True))
    for path in frames.values():
        if is_deep(path):
            raise UndecidedError(
                f"{path}: is 16-bit grey, of which readers keep the upper 8 bits, in most of these "
                "datasets nothing; name a folder for 8-bit frames (--write-frames)"
            )
    return frames


def _lives(path: Path, dataset: ImportedDataset) -> dict[int, tuple[Any, Any]]:
    """The first and the last frame of each track; parents are counted."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; it says when the tracks live")
    found: dict[int, tuple[int, int]] = {}
    parents: dict[int, int] = {}
    lines = path.read_bytes().decode("ascii", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        values = line.split()
        if not values:
            continue
        with naming(f"{path}, line {number}"):
            if len(values) != len(_FIELDS):
                raise ValueError(f"{line!r:.80}; {' '.join(_FIELDS)} are needed")
            row = dict(zip(_FIELDS, values, strict=True))
            label, begin, end, parents[number] = (whole_number(row, key) for key in _FIELDS)
            if not 0 < label < _MOST or label in found or begin > end:
                raise ValueError(
                    f"{line!r:.80}; labels are from 1 to {_MOST - 1}, each once, and a track ends "
                    "no earlier than it begins"
                )
            found[label] = begin, end
    for number, parent in parents.items():
        if parent and parent not in found:
            raise ValueError(f"{path}, line {number}: there is no track {parent}, the parent")
    daughters = sum(parent > 0 for parent in parents.values())
    dataset.notes["tracks with a parent, imported as tracks of their own"] += daughters
    return found


def _labels(path: Path, size: shapes.Size) -> np.ndarray:
    """(H, W) int64, the number of an object in each pixel, 0 in the background."""
    return shapes.read_labels(path, size, _LABELS, formats=("TIFF", "PNG"))[0].astype(np.int64)


def _carried(
    marks: np.ndarray, cells: np.ndarray, *, keep_marks: bool
) -> tuple[np.ndarray, int, int]:
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
