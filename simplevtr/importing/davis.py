"""DAVIS and YouTube-VOS: a PNG of object numbers for each frame."""

from __future__ import annotations

from pathlib import Path

from simplevtr.formats import checks
from simplevtr.importing.categories import numbered_categories
from simplevtr.importing.dataset import (
    FRAMES,
    ImportedDataset,
    ImportLog,
    Rle,
    naming,
    require_choice,
)
from simplevtr.importing.davis_folders import chosen_videos, image_folder, label_folder
from simplevtr.importing.folders import files_of, frames_of, require_folder, stem_of, sub_folders
from simplevtr.importing.json_source import as_object, read_object
from simplevtr.importing.label_pictures import png_size, read_object_numbers
from simplevtr.importing.mask_shapes import from_labels
from simplevtr.importing.video_draft import VideoDraft

from tqdm import tqdm

_ONLY_CATEGORY = "object"  # where none is named, as in DAVIS
_WHITE = 255  # void, or in pictures that know nothing else the object
# video -> object number -> category
_Names = dict[str, dict[int, str]]
# A video, the categories of its objects, and by frame its PNG and the mask of what is 255 there
_Read = tuple[VideoDraft, dict[int, str] | None, dict[int, tuple[Path, Rle]]]


def read_davis(
    source: Path,
    *,
    images: Path | None = None,
    skip_broken: bool = False,
    frames: str = "annotated",
    void: int | None = None,
    subfolder: str = "",
    videos: str | Path | None = None,
) -> ImportedDataset:
    """Read ``Annotations/<video>/<frame>.png`` with frames ``JPEGImages/<video>/<frame>.jpg``.

    The palette index, grey level or colour of a pixel tells its object, 0 or black the background.
    With a ``meta.json`` as YouTube-VOS has it, objects have its categories. Without, and where it
    names none, they are of the category "object".

    Args:
        source: the folder of ``Annotations``, or of ``Annotations_unsupervised`` if there is no
            other, or one of these.
        images: the folder of the videos' frames; None: ``JPEGImages`` next to the annotations.
        skip_broken: whether frames and videos that cannot be used are left out and counted.
        frames: "annotated" imports the frames that have a PNG, "all" the other ones too, as frames
            without any object.
        void: the index of pixels that are neither object nor background; they become background,
            as YouTube-VIS cannot express them. -1: none. None: 255, unless no picture of the
            import has any other value than 0 and 255, where 255 is the object.
        subfolder: a folder between ``Annotations`` or ``JPEGImages`` and the videos; "": the only
            one there is, such as "480p" in DAVIS, or none.
        videos: a text file that lists the videos to import, one in a line, or the name of one in
            ``ImageSets``, such as "2017/val"; None: all.

    Returns:
        The videos in natural order of their names.

    Raises:
        FileNotFoundError: a folder, frame or file is missing.
        ValueError: a file cannot be used; the message says which and why.
    """
    require_choice("frames", frames, FRAMES)
    log = ImportLog(skip_broken=skip_broken)
    labels = label_folder(source, subfolder)
    root = require_folder(images or image_folder(labels), "the videos' frames (--images)")
    meta = next(filter(Path.is_file, _metas(source, labels)), None)
    names = None if meta is None else _read_meta(meta, log)
    read: list[_Read] = []
    values: set[int] = set()
    for folder in tqdm(
        chosen_videos(labels, source, videos), desc="davis", unit="video", disable=None
    ):
        with log.part("videos"):
            if names is not None and folder.name not in names:
                raise ValueError(f"{meta}: has no video {folder.name!r}, but {folder} exists")
            objects = None if names is None else names[folder.name]
            read.append(_read_video(folder, root, objects, frames == "all", void, log, values))
    _decide_on_white(read, values == {_WHITE}, log)
    found = []
    for draft, *_ in read:
        with log.part("videos"):
            found.append(draft.finished(root))
    known = [_ONLY_CATEGORY]
    if names is not None:
        known = sorted({name for objects in names.values() for name in objects.values()})
    return ImportedDataset(root, found, numbered_categories(known), log.notes, log.broken)


def _read_video(
    folder: Path,
    root: Path,
    objects: dict[int, str] | None,
    all_frames: bool,
    void: int | None,
    log: ImportLog,
    values: set[int],
) -> _Read:
    """A video without what is 255 if ``void`` does not say what that means."""
    images = frames_of(root / folder.name)
    pictures = {stem_of(path): path for path in files_of(folder, ".png")}
    if not pictures:
        hint = "; are the videos deeper? (--subfolder)" if sub_folders(folder) else ""
        raise ValueError(f"{folder}: holds no PNG{hint}")
    for stem in [stem for stem in pictures if stem not in images]:
        path = pictures.pop(stem)
        with log.part("frames"):
            raise FileNotFoundError(f"{path}: there is no frame {root / folder.name / stem}.*")
    stems = [stem for stem in images if all_frames or stem in pictures]
    without = len(images) - len(pictures)
    log.notes[f"frames without a PNG {'taken as empty' if all_frames else 'left out'}"] += without
    stated = {t: png_size(pictures[s]) for t, s in enumerate(stems) if s in pictures}
    draft = VideoDraft(log, folder.name, [images[stem] for stem in stems], stated=stated)
    white: dict[int, tuple[Path, Rle]] = {}
    for t, stem in enumerate(stems):
        if stem not in pictures:
            continue
        path = pictures[stem]
        with draft.frame(t):
            for number, mask in from_labels(read_object_numbers(path, draft.size)).items():
                values.add(number)
                if number == void:
                    log.notes["frames with void pixels, taken as background (see --void)"] += 1
                elif number == _WHITE and void is None:
                    white[t] = path, mask
                else:
                    _add(draft, objects, number, t, path, mask)
    return draft, objects, white


def _decide_on_white(read: list[_Read], is_object: bool, log: ImportLog) -> None:
    """Make objects of what is 255 in all videos, or leave it out."""
    for draft, objects, white in read:
        for t, (path, mask) in white.items():
            if is_object:
                log.notes["frames whose only value, 255, is taken as the object"] += 1
                with draft.frame(t):
                    _add(draft, objects, _WHITE, t, path, mask)
            else:
                log.notes["frames with void pixels, taken as background (see --void)"] += 1


def _add(
    draft: VideoDraft, objects: dict[int, str] | None, number: int, t: int, path: Path, mask: Rle
) -> None:
    category = _ONLY_CATEGORY if objects is None else objects.get(number)
    with naming(path):
        if category is None:
            known = ", ".join(map(str, sorted(objects)))
            raise ValueError(f"object {number} is not in meta.json; there: {known}")
        draft.add(number, category, t, mask)


def _metas(source: Path, labels: Path) -> list[Path]:
    """Where YouTube-VOS's meta.json may be."""
    return [folder / "meta.json" for folder in (source, *labels.parents[:2])]


def _read_meta(path: Path, log: ImportLog) -> _Names:
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
            value = {"category": _ONLY_CATEGORY} | as_object(value, place)
            if "category" not in objects[number]:  # as where the categories are not public
                log.notes[f"objects without category, taken as {_ONLY_CATEGORY!r}"] += 1
            with naming(place):
                names[video][int(number)] = checks.name(value, "category")
    return names
