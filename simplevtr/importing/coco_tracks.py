"""COCO files whose images are frames of videos and whose annotations have track ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from pathlib import Path, PurePosixPath
from typing import Any

from simplevtr.formats.paths import below, natural_key
from simplevtr.importing.coco_shapes import from_shapes
from simplevtr.importing.dataset import ImportedDataset, ImportedVideo, TrackTable, naming
from simplevtr.importing.folders import relative_names, require_folder
from simplevtr.importing.json_source import (
    as_object,
    get_int,
    get_key,
    get_list,
    get_text,
    read_object,
)
from simplevtr.importing.pictures import common_size

from tqdm import tqdm

_TRACK_KEYS = ("track_id", "instance_id")
_FRAME_KEYS = ("frame_index", "frame_id")
_VIDEO_KEYS = ("video_id", "first_frame_image_id")
_BOXES = "masks that are boxes"
# A video's images: (what orders them, image id, file name)
_Frames = list[tuple[Any, int, str]]
# (height, width) as the file has it, None where it says nothing
_Stated = tuple[int | None, int | None]


def read_coco_tracks(
    source: Path, *, images: Path | None = None, crowds: bool = False
) -> ImportedDataset:
    """Read a COCO file with ``track_id`` or ``instance_id`` in its annotations.

    The id may also be ``track_id`` in an annotation's ``attributes``, where CVAT writes it. Track
    ids count within a video.

    An image belongs to the video of its ``video_id``; if no image has one, to that of its
    ``first_frame_image_id``, the image that a sequence starts with; if none has that either, to
    that of the folder in its ``file_name``. A video's frames are in order of ``frame_index`` or
    ``frame_id``; if its images have neither, of their file names. Sizes are read from the pictures
    and compared with what the file says.

    Crowds, annotations to ``ignore``, those without a segmentation and, where others have a track
    id, those without one are left out. Masks that are boxes are kept and counted in the notes.

    Args:
        source: the JSON file.
        images: the folder that its file names start at; None: the file's own folder.
        crowds: whether crowds are objects too. Some tools write ``iscrowd`` 1 for every mask that
            is an RLE, since COCO's own RLEs are crowds.

    Returns:
        The videos in order of their ids; the categories with the file's ids.

    Raises:
        FileNotFoundError: the file, the folder or an image is missing.
        ValueError: the file cannot be used; the message says where and why.
    """
    content = read_object(source)
    root = source.parent if images is None else images
    require_folder(root, "the videos' frames")
    categories = _read_categories(content, source)
    videos, sizes = _read_images(content, source)
    notes: Counter[str] = Counter()
    annotations = _by_image(content, source, sizes, crowds, notes)
    names = _video_names(content, source)
    found = []
    for video in tqdm(sorted(videos, key=_order), desc="coco-tracks", unit="video", disable=None):
        frames = videos[video]
        with naming(source):
            paths = [below(root, file_name) for _, _, file_name in frames]
        size = common_size(paths)
        table = TrackTable(notes)
        for t, (_, image, _) in enumerate(frames):
            where = f"{source}, image {image}"
            stated = sizes[image]
            if any(a not in (None, b) for a, b in zip(stated, size, strict=True)):
                raise ValueError(
                    f"{where}: height and width are {stated}, but {paths[t]} has {size}"
                )
            for entry in annotations.get(image, ()):
                _add(entry, t, size, categories, table, notes, where)
        name = names.get(video, str(video))
        found.append(ImportedVideo(name, size, relative_names(paths, root), table.tracks()))
    _say_if_all_are_boxes(notes, sum(len(t.masks) for video in found for t in video.tracks))
    return ImportedDataset(root, found, sorted(categories.items()), notes)


def _add(
    entry: dict[str, Any],
    frame: int,
    size: tuple[int, int],
    categories: dict[int, str],
    table: TrackTable,
    notes: Counter[str],
    where: str,
) -> None:
    """Put one annotation into the table."""
    where = f"{where}, annotation {entry.get('id')!r:.40}"
    track = _track(entry)
    if type(track) not in (int, str):
        raise ValueError(
            f"{where}: 'track_id' or 'instance_id', also 'track_id' in 'attributes', is "
            f"{track!r:.80}; an integer or a text is needed"
        )
    category = get_int(entry, "category_id", where)
    if category not in categories:
        known = ", ".join(map(str, categories))
        raise ValueError(f"{where}: category_id is {category}; known: {known}")
    with naming(where):
        mask, is_box = from_shapes(entry["segmentation"], size)
        table.add(track, categories[category], frame, mask)
    if is_box:
        notes[_BOXES] += 1


def _say_if_all_are_boxes(notes: Counter[str], masks: int) -> None:
    """Training on such a file teaches boxes, which a mere count does not tell."""
    if masks and notes[_BOXES] == masks:
        notes[f"{_BOXES}: all, the file has no outlines"] = notes.pop(_BOXES)


def _track(entry: dict[str, Any]) -> Any:
    """The track id of an annotation as the file has it, None if it has none."""
    attributes = entry.get("attributes")
    nested = attributes.get("track_id") if isinstance(attributes, dict) else None
    return next((entry[key] for key in _TRACK_KEYS if entry.get(key) is not None), nested)


def _read_categories(content: dict[str, Any], source: Path) -> dict[int, str]:
    categories: dict[int, str] = {}
    for entry in get_list(content, "categories", str(source)):
        entry = as_object(entry, f"{source}, category")
        number = get_int(entry, "id", f"{source}, category")
        name = get_text(entry, "name", f"{source}, category {number}")
        if number in categories or name in categories.values():
            raise ValueError(f"{source}: category {number} {name!r}: id or name appears twice")
        categories[number] = name
    return categories


def _read_images(
    content: dict[str, Any], source: Path
) -> tuple[dict[int | str, _Frames], dict[int, _Stated]]:
    """The images of each video in order, and the size that each image has in the file."""
    entries = get_list(content, "images", str(source))
    key = _key_of_videos(entries)
    videos: dict[int | str, _Frames] = {}
    sizes: dict[int, _Stated] = {}
    for entry in entries:
        entry = as_object(entry, f"{source}, image")
        image = get_int(entry, "id", f"{source}, image")
        where = f"{source}, image {image}"
        if image in sizes:
            raise ValueError(f"{where}: the id appears twice")
        sizes[image] = tuple(
            None if entry.get(side) is None else get_int(entry, side, where, lowest=1)
            for side in ("height", "width")
        )
        name = get_text(entry, "file_name", where)
        folder = PurePosixPath(name.replace("\\", "/")).parent.as_posix()
        video = folder if key is None else get_key(entry, (key,), where)
        place = next((k for k in _FRAME_KEYS if entry.get(k) is not None), None)
        order = (1, natural_key(name)) if place is None else (0, get_int(entry, place, where))
        videos.setdefault(video, []).append((order, image, name))
    for video, frames in videos.items():
        with naming(source):
            _sort(frames, video)
    return videos, sizes


def _key_of_videos(entries: list[Any]) -> str | None:
    """What tells the videos of the images apart; None: their folders."""
    images = [entry for entry in entries if isinstance(entry, dict)]
    return next((k for k in _VIDEO_KEYS if any(e.get(k) is not None for e in images)), None)


def _sort(frames: _Frames, video: int | str) -> None:
    """Put the frames of a video in order, which must be one."""
    frames.sort()
    orders = [order for order, _, _ in frames]
    if orders[0][0] != orders[-1][0]:
        raise ValueError(
            f"some images of video {video!r} have a frame index and others, such as "
            f"{frames[-1][2]!r}, have none"
        )
    for (a, one, _), (b, other, _) in zip(frames, frames[1:], strict=False):
        if a == b:
            raise ValueError(
                f"images {one} and {other} of video {video!r} are the same frame; if they are of "
                "two videos, these must differ in the images' 'video_id', or, where none has it, "
                "'first_frame_image_id', or, where none has either, the folder in 'file_name'"
            )


def _by_image(
    content: dict[str, Any],
    source: Path,
    images: Container[int],
    crowds: bool,
    notes: Counter[str],
) -> dict[int, list[dict[str, Any]]]:
    """The annotations of each image; those that are left out are counted."""
    entries = get_list(content, "annotations", str(source))
    some_tracked = any(isinstance(e, dict) and _track(e) is not None for e in entries)
    found: dict[int, list[dict[str, Any]]] = {}
    for entry in entries:
        entry = as_object(entry, f"{source}, annotation")
        where = f"{source}, annotation {entry.get('id')!r:.40}"
        image = get_int(entry, "image_id", where)
        if image not in images:
            raise ValueError(f"{where}: there is no image {image}")
        if _flag(entry, "iscrowd", where) and not crowds:
            notes["crowds left out (see crowds)"] += 1
        elif _flag(entry, "ignore", where):
            notes["annotations to ignore left out"] += 1
        elif not entry.get("segmentation"):
            notes["annotations without a segmentation left out"] += 1
        elif some_tracked and _track(entry) is None:
            notes["annotations without a track id left out"] += 1
        else:
            found.setdefault(image, []).append(entry)
    return found


def _flag(entry: dict[str, Any], key: str, where: str) -> bool:
    value = entry.get(key)
    if value not in (None, 0, 1):
        raise ValueError(f"{where}: {key} is {value!r:.40}; 0 or 1 is needed")
    return bool(value)


def _video_names(content: dict[str, Any], source: Path) -> dict[int | str, str]:
    if content.get("videos") is None:
        return {}
    entries = [as_object(e, f"{source}, video") for e in get_list(content, "videos", str(source))]
    return {
        get_key(e, ("id",), f"{source}, video"): str(e.get("name") or e.get("file_name") or e["id"])
        for e in entries
    }


def _order(video: int | str) -> tuple:
    """Numbers before texts."""
    return (0, video) if isinstance(video, int) else (1, natural_key(video))
