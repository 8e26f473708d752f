"""Finding foreign files in their folders, and what JSON files among them hold."""

import codecs
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from simplevtr.formats.checks import shown, whole_number
from simplevtr.formats.files import read_json
from simplevtr.formats.images import IMAGE_SUFFIXES
from simplevtr.formats.paths import existing, natural_key
from simplevtr.toolbox.importing.reading import ImportedDataset, naming

# Which frames of a video are imported, where not all have annotations.
Frames = Literal["annotated", "all"]


def require_folder(path: Path, what: str) -> Path:
    """``path`` as the disk spells it; FileNotFoundError, in which ``what`` is missing, if none."""
    path = existing(path)
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such folder; {what} must be there")
    return path


def sub_folders(folder: Path) -> list[Path]:
    """The folders in what may be a folder in natural order, hidden ones left out.

    A link without suffix that leads nowhere is one too: it cannot be read, but it is not ignored.
    """
    inside = folder.iterdir() if folder.is_dir() else ()
    return _sorted(p for p in inside if p.is_dir() or not (p.suffix or p.exists()))


def files_of(folder: Path, *suffixes: str) -> list[Path]:
    """The files that end so, in any case, in natural order, hidden ones left out.

    Links that lead nowhere are among them: the files are missing, not the annotations.
    """
    named = (p for p in folder.iterdir() if p.suffix.lower() in suffixes)
    return _sorted(p for p in named if p.is_file() or not p.exists())


def _sorted(paths: Iterable[Path]) -> list[Path]:
    visible = (path for path in paths if not path.name.startswith("."))
    return sorted(visible, key=lambda path: natural_key(path.name))


def note_deeper(dataset: ImportedDataset, folder: Path, *suffixes: str, but: str = "") -> None:
    """Count the folders of such files next to files that are read: they are not looked into."""
    deeper = [f for f in sub_folders(folder) if f.name != but and files_of(f, *suffixes)]
    note = "folders of further videos left out, as there are files next to them"
    dataset.notes[note] = len(deeper)


def video_folder(folder: Path) -> Path:
    """The folder of a video's frames: ``folder``, or img1 in it, where MOTChallenge has them."""
    folder = existing(folder)
    inner = folder / "img1"
    return inner if inner.is_dir() else folder


def frames_of(folder: Path) -> dict[str, Path]:
    """The images of a folder, at least one, by name without suffix (in NFC), in natural order."""
    frames: dict[str, Path] = {}
    for path in files_of(require_folder(folder, "frames"), *IMAGE_SUFFIXES):
        other = frames.setdefault(_stem(path), path)
        if other != path:
            raise ValueError(f"{path}: {other.name} is the same frame; keep one")
    if not frames:
        raise ValueError(f"{folder}: holds no image ({', '.join(IMAGE_SUFFIXES)})")
    return frames


def numbered_frames(folder: Path) -> dict[int, Path]:
    """The images of a folder by the number that their names end in, ascending.

    ValueError: a name ends in none, or the numbers order the images otherwise than their names do,
    as those of times such as 10-59-59 and 11-00-00 would.
    """
    frames: dict[int, Path] = {}
    for stem, path in frames_of(folder).items():
        number = frame_number(stem)
        if number is None:
            raise ValueError(f"{path}: the name must end in the number of the frame")
        other = frames.setdefault(number, path)
        if other != path:
            raise ValueError(f"{path}: {other.name} has frame number {number} already")
    for (number, one), (following, other) in pairwise(frames.items()):
        if following < number:
            order = f"comes after {one.name} by its name, but before it by the number at its end"
            raise ValueError(f"{other}: {order}; rename the images")
    return frames


def frame_number(stem: str) -> int | None:
    """The number that a name without suffix ends in, None if it does not end in one."""
    digits = re.search(r"[0-9]{1,18}$", stem)
    return digits and int(digits[0])


def note_restarts(dataset: ImportedDataset, names: Iterable[str]) -> None:
    """Count a video of images in this order, without suffix, if their numbers start again."""
    numbers = [n for name in names if (n := frame_number(name)) is not None]
    note = "videos in which the images' numbers start again: several videos in one folder?"
    dataset.notes[note] += numbers != sorted(numbers)


def with_annotations(
    dataset: ImportedDataset, folder: Path, files: Iterable[Path], what: str, *, frames: str
) -> tuple[dict[str, Path], dict[str, Path]]:
    """The images of the frames to import, and their annotation files, by name in the same order.

    Files have the names of their images in ``folder``. ``frames`` is one of ``Frames``: with "all"
    images without a file (``what``, for the notes) are frames too.
    """
    images = frames_of(folder)
    note_restarts(dataset, images)
    found = {_stem(path): path for path in files}
    for stem in [stem for stem in found if stem not in images]:
        with dataset.part("frames", found.pop(stem)):
            raise FileNotFoundError(f"there is no image {stem}.* in {folder}")
    kept = "taken as empty" if frames == "all" else "left out"
    dataset.notes[f"frames without a {what} {kept}"] += len(images) - len(found)
    chosen = {stem: path for stem, path in images.items() if frames == "all" or stem in found}
    return chosen, {stem: found[stem] for stem in chosen if stem in found}


def _stem(path: Path) -> str:
    """The name without suffix in Unicode's composed form: a disk may spell two files apart."""
    return unicodedata.normalize("NFC", path.stem)


def table_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where each line of a text file that is not blank stands, and its values by column.

    They are integers of 0 or more, but for text in a column "rle". ValueError: a line has another
    number of values, or one that is no such integer.
    """
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        values = line.split()
        where = f"{path}, line {number}"
        if len(values) not in (0, len(columns)):
            raise ValueError(f"{where}: {' '.join(values)!r:.80}; {' '.join(columns)} are needed")
        if values:
            row = dict(zip(columns, values, strict=True))
            with naming(where):
                numbers = {key: whole_number(row, key) for key in columns if key != "rle"}
            yield where, row | numbers


def read_text(path: Path) -> str:
    """A text file in UTF-8, or in UTF-16 as Windows' PowerShell writes it; others are damaged."""
    content = path.read_bytes()
    is_wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if is_wide else "utf-8-sig", errors="replace")


def read_object(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds; ValueError for another value or what is not JSON."""
    return as_object(read_json(path), path)


def as_object(value: Any, where: object) -> dict[str, Any]:
    """``value`` if it is an object, else ValueError."""
    if not isinstance(value, dict):
        raise ValueError(f"{where}: is {shown(value)}; an object is needed")
    return value


def identity(value: Any, what: str) -> int | str:
    """What identifies something, an integer or a text, else ValueError; the text "1" is 1."""
    if type(value) not in (int, str):
        raise ValueError(f"{what} is {shown(value)}; an integer or a text is needed")
    is_number = isinstance(value, str) and re.fullmatch("0|[1-9][0-9]{0,17}", value)
    return int(value) if is_number else value
