"""DAVIS and YouTube-VOS: one PNG of object numbers per frame.

The source is the folder of ``Annotations/<video>/<frame>.png``, or of ``Annotations_unsupervised``,
or one of these; frames are in ``JPEGImages/<video>/<frame>.jpg`` next to it by default. Both may
have a folder such as "480p" above the videos.

The palette index, grey level or colour of a pixel is its object, 0 or black the background.
Void pixels become background, as YouTube-VIS cannot express them. With a ``meta.json`` as
YouTube-VOS has it, objects have its categories. Without, and where it names none, they are of the
category "object".
"""

import os
import re
from collections import Counter
from pathlib import Path

from simplevtr.formats import checks
from simplevtr.formats.images import image_header
from simplevtr.formats.paths import existing
from simplevtr.toolbox.importing import reading, shapes, sources

_LABELS = ("Annotations", "Annotations_unsupervised")
_ONLY_CATEGORY = "object"  # where none is named, as in DAVIS
_WHITE = 255  # void, or in pictures that know nothing else the object
_VOID_NOTE = "frames with void pixels, taken as background (see --void)"
_SMOOTH_NOTE = "frames with objects nowhere 3 pixels wide, of a colour or grey: or smoothed edges?"
_WHITE_NOTE = "frames whose only value, 255, is taken as the object"
_Objects = dict[str, dict[int, str]] | None  # categories by video and object, if there is meta.json


def read(
    dataset: reading.ImportedDataset,
    source: Path,
    images: Path | None,
    *,
    frames: sources.Frames = "annotated",
    void: int | None = None,
    subfolder: str = "",
    videos: str | Path | None = None,
) -> None:
    """Read the videos of an archive as it unpacks; the options are those of the command."""
    top, labels = _label_folder(source, subfolder)
    images = images or _image_folder(top, labels)
    dataset.image_root = sources.require_folder(images, "the videos' frames (--images)")
    metas = [home / "meta.json" for home in (top.parent, source)]
    metas = [path for path in metas if os.path.lexists(path)]  # a link that leads nowhere too
    objects = _read_meta(metas[0], dataset.notes) if metas else None
    folders = sources.sub_folders(labels)
    if videos is None and objects is not None:
        missing = objects.keys() - {folder.name for folder in folders}
        dataset.notes["videos of meta.json without PNGs left out"] = len(missing)
    if videos is not None:
        folders = _listed(folders, labels, _list_of_videos(Path(videos), top.parent / "ImageSets"))
    if not folders:
        raise ValueError(f"{labels}: holds no folder of a video")
    drafts = dataset.each_video(folders, lambda path: _draft(path, dataset, objects, frames, void))
    if void is None:
        _settle_white(drafts, objects, dataset.notes)
    dataset.videos = dataset.each_video(drafts, reading.VideoDraft.finished)
    names = {_ONLY_CATEGORY}
    if objects is not None:
        names = {name for of_video in objects.values() for name in of_video.values()}
    dataset.number_categories(sorted(names))


def _draft(
    folder: Path, dataset: reading.ImportedDataset, objects: _Objects, frames: str, void: int | None
) -> reading.VideoDraft:
    """A video, in which 255 is still an object unless ``void`` decides what it means."""
    if objects is not None and folder.name not in objects:
        raise ValueError(f"{folder}: is a video that meta.json does not have")
    files = sources.files_of(folder, ".png")
    if not files:
        hint = "; are the videos deeper? (--subfolder)" if sources.sub_folders(folder) else ""
        raise ValueError(f"{folder}: holds no PNG{hint}")
    images, pictures = sources.with_annotations(
        dataset, sources.video_folder(dataset.image_root / folder.name), files, "PNG", frames=frames
    )
    stated = {name: image_header(path)[0] for name, path in pictures.items()}
    draft = reading.VideoDraft(dataset, folder.name, images, stated=stated)
    known = objects and objects[folder.name]
    kinds: dict[bool | None, Path] = {}
    palette: dict[int, tuple[tuple[int, ...], Path]] = {}  # with the first picture that has it
    for name, path in pictures.items():
        with draft.frame(name, path):
            numbers, coloured, colours = shapes.read_object_numbers(path, draft.size)
            kinds.setdefault(coloured, path)
            for number, colour in colours.items():
                before, first = palette.setdefault(number, (colour, path))
                if before != colour:
                    found = f"the colour {colour}, and {first.name} one in which it is {before}"
                    raise reading.BrokenVideoError(f"has a palette in which {number} is {found}")
            if True in kinds and False in kinds:
                raise reading.BrokenVideoError(
                    "tells objects apart by colours or by numbers (a palette or grey levels), and "
                    f"{kinds[not coloured].name} of the same video the other way; save all alike"
                )
            masks = shapes.from_labels(numbers)
            between = [number for number in masks if shapes.LOW_LEVEL < number < _WHITE]
            if void is None and not coloured and _WHITE in masks and between:
                raise reading.UndecidedError(
                    f"has pixels of 255 and of {checks.listed(between)}: smoothed edges, or "
                    "objects? Save masks without smoothing, or say what is void (--void 255, or -1 "
                    "for nothing)"
                )
            if coloured or (between and not colours):  # greys of no palette
                dataset.notes[_SMOOTH_NOTE] += shapes.has_thin(numbers)
            for number, mask in masks.items():
                if number == void:
                    dataset.notes[_VOID_NOTE] += 1
                    continue
                undecided = number == _WHITE and void is None
                if known is not None and number not in known and not undecided:
                    listed = ", ".join(map(str, sorted(known)))
                    raise ValueError(f"object {number} is not in meta.json; there: {listed}")
                draft.add(number, (known or {}).get(number, _ONLY_CATEGORY), name, mask)
    return draft


def _settle_white(drafts: list[reading.VideoDraft], objects: _Objects, notes: Counter[str]) -> None:
    """Leave out pixels of 255 unless no video has other values and meta.json allows it."""
    alone = {number for draft in drafts for number in draft.tracks} == {_WHITE}
    for draft in drafts:
        if _WHITE in draft.tracks:
            is_object = alone and (objects is None or _WHITE in objects[draft.name])
            notes[_WHITE_NOTE if is_object else _VOID_NOTE] += len(draft.tracks[_WHITE].masks)
            if not is_object:
                del draft.tracks[_WHITE]


def _read_meta(path: Path, notes: Counter[str]) -> dict[str, dict[int, str]]:
    """The categories that YouTube-VOS's meta.json gives to the objects of each video."""
    videos = sources.as_object(sources.read_object(path).get("videos"), f"{path}, 'videos'")
    names: dict[str, dict[int, str]] = {}
    for video, entry in videos.items():
        where = f"{path}, video {video!r}"
        objects = sources.as_object(entry, where).get("objects")
        names[video] = {}
        for number, value in sources.as_object(objects, f"{where}, 'objects'").items():
            place = f"{where}, object {number!r}"
            if "category" not in sources.as_object(value, place):  # as where they are not public
                notes[f"objects without category, taken as {_ONLY_CATEGORY!r}"] += 1
            with reading.naming(place):
                key = checks.whole_number({"its name": number}, "its name")
                names[video][key] = checks.name({"category": _ONLY_CATEGORY} | value, "category")
    return names


def _label_folder(source: Path, subfolder: str) -> tuple[Path, Path]:
    """The folder of annotations, and the one in it whose folders hold the PNGs of one video each.

    The source holds the former, or is the only folder above it, it or the latter.
    """
    source = Path(os.path.abspath(source))  # "." and ".." have names then
    around = [path for path in (source, source.parent) if path.name in _LABELS][:1]
    found = _labels_in(source) or around or _labels_in(*sources.sub_folders(source))
    if len(found) > 1:
        names = ", ".join(map(str, found))
        raise ValueError(f"{source}: holds several sets: {names}; give one of them as SOURCE")
    top = sources.require_folder(found[0] if found else source / _LABELS[0], "the videos' PNGs")
    root = source if found == around else top
    if subfolder:
        return top, sources.require_folder(root / subfolder, "the videos' PNGs")
    inner = {folder: sources.sub_folders(folder) for folder in [root, *sources.sub_folders(root)]}
    found = [f for f, videos in inner.items() if any(sources.files_of(v, ".png") for v in videos)]
    if len(found) > 1:
        names = ", ".join(folder.name for folder in found if folder != root)
        raise ValueError(f"{root}: there are videos below {names}; choose one (--subfolder)")
    return top, found[0] if found else root


def _labels_in(*folders: Path) -> list[Path]:
    return [path for folder in folders for name in _LABELS if (path := folder / name).is_dir()]


def _image_folder(top: Path, labels: Path) -> Path:
    """The folder in ``JPEGImages`` called as the labels' one, or the only one with their videos."""
    root = top.parent / "JPEGImages"
    videos = {folder.name for folder in sources.sub_folders(labels)}
    usual = root / labels.relative_to(top)
    places = dict.fromkeys([usual, root, *sources.sub_folders(root)])
    fitting = [p for p in places if any((p / video).is_dir() for video in videos)]
    if len(fitting) > 1 and usual not in fitting:
        names = ", ".join(map(str, fitting))
        raise ValueError(f"{root}: frames of the videos are in {names}; choose one (--images)")
    return fitting[0] if fitting else usual


def _list_of_videos(path: Path, sets: Path) -> Path:
    """The text file of this path, or of which it is the end in ``ImageSets``."""
    if path.is_file():
        return path
    known = {p.relative_to(sets).with_suffix("").as_posix(): p for p in sets.rglob("*.txt")}
    wanted = "/" + path.as_posix().removesuffix(".txt")
    found = [name for name in sorted(known) if f"/{name}".endswith(wanted)]
    if len(found) > 1:
        raise ValueError(f"--videos {path} may be {', '.join(found)}; choose one")
    if not found:
        listed = f"; in ImageSets are {', '.join(sorted(known))}" if known else ""
        raise FileNotFoundError(f"{path}: no such file{listed}")
    return known[found[0]]


def _listed(folders: list[Path], labels: Path, path: Path) -> list[Path]:
    """Those of the videos' folders that a text file lists."""
    lines = [line.strip() for line in sources.read_text(path).splitlines()]
    # One name per line or, as in DAVIS 2016, the paths of a frame.
    frame = re.compile(r"/?JPEGImages/\S+/")
    names = [Path(n.split()[0]).parent.name if frame.match(n) else n for n in lines]
    wanted = {existing(labels / name): name for name in names if name}
    missing = [name for folder, name in wanted.items() if folder not in folders]
    if missing:
        raise ValueError(f"{path}: video {missing[0]!r} is not in {labels}")
    return [folder for folder in folders if folder in wanted]
