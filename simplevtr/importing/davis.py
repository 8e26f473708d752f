"""DAVIS and YouTube-VOS: a PNG of object numbers a frame."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from simplevtr.importing.dataset import (
    FRAMES,
    ImportedDataset,
    ImportedVideo,
    TrackTable,
    naming,
    numbered_categories,
    require_choice,
)
from simplevtr.importing.folders import (
    files_of,
    frames_of,
    relative_names,
    require_folder,
    sub_folders,
)
from simplevtr.importing.json_source import as_object, get_text, read_object
from simplevtr.importing.mask_shapes import from_labels
from simplevtr.importing.pictures import common_size, read_palette_labels

from tqdm import tqdm

_ONLY_CATEGORY = "object"  # where none is named, as in DAVIS
# video -> object number -> category
_Names = dict[str, dict[int, str]]


def read_davis(
    source: Path,
    *,
    images: Path | None = None,
    frames: str = "annotated",
    void: int = 255,
    subfolder: str = "",
    videos: Path | None = None,
) -> ImportedDataset:
    """Read ``Annotations/<video>/<frame>.png`` with frames ``JPEGImages/<video>/<frame>.jpg``.

    The palette index (or grey level) of a pixel is the number of its object, 0 the background. With
    a ``meta.json`` as YouTube-VOS has it, objects have its categories. Without, and where it names
    none, they are of the category "object".

    Args:
        source: the folder of ``Annotations``.
        images: the folder of the videos' frames; None: ``JPEGImages`` in the source.
        frames: "annotated" imports the frames that have a PNG, "all" the other ones too, as frames
            without any object.
        void: the index of pixels that are neither object nor background; they become background,
            as YouTube-VIS cannot say so. -1: none.
        subfolder: a folder between ``Annotations`` or ``JPEGImages`` and the videos, such as "480p"
            in DAVIS.
        videos: a text file with the names of the videos to import, one a line, as in DAVIS's
            ``ImageSets``; None: all.

    Returns:
        The videos in natural order of their names.

    Raises:
        FileNotFoundError: a folder, frame or file is missing.
        ValueError: a file cannot be used; the message says which and why.
    """
    require_choice("frames", frames, FRAMES)
    labels = require_folder(source / "Annotations" / subfolder, "the videos' PNGs")
    root = images or source / "JPEGImages" / subfolder
    require_folder(root, "the videos' frames")
    meta = source / "meta.json"
    notes: Counter[str] = Counter()
    names = _read_meta(meta, notes) if meta.is_file() else None
    found = []
    for folder in tqdm(_chosen(labels, videos), desc="davis", unit="video", disable=None):
        if names is not None and folder.name not in names:
            raise ValueError(f"{meta}: has no video {folder.name!r}, but {folder} exists")
        objects = None if names is None else names[folder.name]
        found.append(_read_video(folder, root, objects, frames == "all", void, notes))
    known = [_ONLY_CATEGORY]
    if names is not None:
        known = sorted({name for objects in names.values() for name in objects.values()})
    return ImportedDataset(root, found, numbered_categories(known), notes)


def _chosen(labels: Path, videos: Path | None) -> list[Path]:
    folders = sub_folders(labels)
    if videos is not None:
        if not videos.is_file():
            raise FileNotFoundError(f"{videos}: no such file")
        with naming(videos):
            wanted = dict.fromkeys(map(str.strip, videos.read_text("utf-8").splitlines()))
            wanted.pop("", None)
        missing = [name for name in wanted if name not in {f.name for f in folders}]
        if missing:
            raise ValueError(f"{videos}: video {missing[0]!r} is not in {labels}")
        folders = [folder for folder in folders if folder.name in wanted]
    if not folders:
        raise ValueError(f"{labels}: holds no folder of a video")
    for folder in folders:
        if not files_of(folder, ".png"):
            deeper = sub_folders(folder)
            hint = f"; are the videos below {folder.name}? (subfolder)" if deeper else ""
            raise ValueError(f"{folder}: holds no PNG{hint}")
    return folders


def _read_video(
    folder: Path,
    root: Path,
    objects: dict[int, str] | None,
    all_frames: bool,
    void: int,
    notes: Counter[str],
) -> ImportedVideo:
    images = frames_of(root / folder.name)
    pictures = {path.stem: path for path in files_of(folder, ".png")}
    for stem, path in pictures.items():
        if stem not in images:
            raise FileNotFoundError(f"{path}: there is no frame {root / folder.name / stem}.*")
    stems = [stem for stem in images if all_frames or stem in pictures]
    without = len(images) - len(pictures)
    notes[f"frames without a PNG {'taken as empty' if all_frames else 'left out'}"] += without
    paths = [images[stem] for stem in stems]
    size = common_size(paths)
    table = TrackTable(notes)
    for t, stem in enumerate(stems):
        if stem not in pictures:
            continue
        picture = pictures[stem]
        for number, mask in from_labels(read_palette_labels(picture, size)).items():
            if number == void:
                notes["frames with void pixels, taken as background"] += 1
                continue
            category = _ONLY_CATEGORY if objects is None else objects.get(number)
            if category is None:
                known = ", ".join(map(str, sorted(objects or ())))
                raise ValueError(f"{picture}: object {number} is not in meta.json; there: {known}")
            table.add(number, category, t, mask)
    return ImportedVideo(folder.name, size, relative_names(paths, root), table.tracks())


def _read_meta(path: Path, notes: Counter[str]) -> _Names:
    """The categories that YouTube-VOS's meta.json gives to the objects of each video."""
    videos = as_object(read_object(path).get("videos"), f"{path}, 'videos'")
    names: _Names = {}
    for video, entry in videos.items():
        where = f"{path}, video {video!r}"
        objects = as_object(as_object(entry, where).get("objects"), f"{where}, 'objects'")
        names[video] = {}
        for number, value in objects.items():
            place = f"{where}, object {number!r}"
            if not (number.isascii() and number.isdecimal() and int(number[:9]) < 256):
                raise ValueError(f"{place}: the name of an object must be a number below 256")
            if "category" in as_object(value, place):
                names[video][int(number)] = get_text(value, "category", place)
            else:  # as where the categories are not public
                names[video][int(number)] = _ONLY_CATEGORY
                notes[f"objects without category, taken as {_ONLY_CATEGORY!r}"] += 1
    return names
