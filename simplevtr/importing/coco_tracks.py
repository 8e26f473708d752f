"""COCO files whose images are frames of videos and whose annotations have track ids."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

from simplevtr.importing.dataset import ImportedDataset, ImportedVideo, TrackTable, naming
from simplevtr.importing.folders import inside, natural_order, relative_names, require_folder
from simplevtr.importing.json_source import (
    as_object,
    get_int,
    get_key,
    get_list,
    get_text,
    read_object,
)
from simplevtr.importing.mask_shapes import from_segmentation
from simplevtr.importing.pictures import common_size

from tqdm import tqdm

_TRACK_KEYS = ("track_id", "instance_id")
_FRAME_KEYS = ("frame_index", "frame_id")
# A video's images: (what orders them, image id, file name)
_Frames = list[tuple[Any, int, str]]


def read_coco_tracks(source: Path, *, images: Path | None = None) -> ImportedDataset:
    """Read a COCO file with ``track_id`` or ``instance_id`` in its annotations.

    An image belongs to the video of its ``video_id``; if no image has one, to that of the folder in
    its ``file_name``. A video's frames are in order of ``frame_index`` or ``frame_id``; if its
    images have neither, of their file names. Track ids count within a video. Crowd annotations and
    annotations without a segmentation are left out.

    Args:
        source: the JSON file.
        images: the folder that its file names start at; None: the file's own folder.

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
    annotations = _by_image(content, source, sizes)
    names = _video_names(content, source)
    notes: Counter[str] = Counter()
    found = []
    for video in tqdm(sorted(videos, key=_order), desc="coco-tracks", unit="video", disable=None):
        frames = videos[video]
        with naming(source):
            paths = [inside(root, file_name) for _, _, file_name in frames]
        size = common_size(paths)
        table = TrackTable(notes)
        for t, (_, image, _) in enumerate(frames):
            where = f"{source}, image {image}"
            if sizes[image] != size:
                raise ValueError(
                    f"{where}: height and width are {sizes[image]}, but {paths[t]} has {size}"
                )
            for entry in annotations.get(image, ()):
                _add(entry, t, size, categories, table, notes, where)
        name = names.get(video, str(video))
        found.append(ImportedVideo(name, size, relative_names(paths, root), table.tracks()))
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
    if entry.get("iscrowd", 0) not in (0, 1):
        raise ValueError(f"{where}: iscrowd is {entry['iscrowd']!r:.40}; 0 or 1 is needed")
    if entry.get("iscrowd", 0):
        notes["crowd annotations left out"] += 1
        return
    if not entry.get("segmentation"):
        notes["annotations without a segmentation left out"] += 1
        return
    key = get_key(entry, _TRACK_KEYS, where)
    category = get_int(entry, "category_id", where)
    if category not in categories:
        known = ", ".join(map(str, categories))
        raise ValueError(f"{where}: category_id is {category}; known: {known}")
    with naming(where):
        mask = from_segmentation(entry["segmentation"], size)
        table.add(key, categories[category], frame, mask)


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
) -> tuple[dict[int | str, _Frames], dict[int, tuple[int, int]]]:
    """The images of each video in order, and the (height, width) of each image."""
    entries = get_list(content, "images", str(source))
    by_id = any(isinstance(e, dict) and e.get("video_id") is not None for e in entries)
    videos: dict[int | str, _Frames] = {}
    sizes: dict[int, tuple[int, int]] = {}
    for entry in entries:
        entry = as_object(entry, f"{source}, image")
        image = get_int(entry, "id", f"{source}, image")
        where = f"{source}, image {image}"
        if image in sizes:
            raise ValueError(f"{where}: the id appears twice")
        sizes[image] = tuple(get_int(entry, side, where, lowest=1) for side in ("height", "width"))
        name = get_text(entry, "file_name", where)
        folder = PurePosixPath(name.replace("\\", "/")).parent.as_posix()
        video = get_key(entry, ("video_id",), where) if by_id else folder
        place = next((k for k in _FRAME_KEYS if entry.get(k) is not None), None)
        order = (1, natural_order(name)) if place is None else (0, get_int(entry, place, where))
        videos.setdefault(video, []).append((order, image, name))
    for video, frames in videos.items():
        frames.sort()
        orders = [order for order, _, _ in frames]
        if orders[0][0] != orders[-1][0]:
            raise ValueError(
                f"{source}: some images of video {video!r} have a frame index and others, such as "
                f"{frames[-1][2]!r}, have none"
            )
        for (a, one, _), (b, other, _) in zip(frames, frames[1:], strict=False):
            if a == b:
                raise ValueError(
                    f"{source}: images {one} and {other} of video {video!r} are the same frame"
                )
    return videos, sizes


def _by_image(
    content: dict[str, Any], source: Path, images: dict[int, tuple[int, int]]
) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for entry in get_list(content, "annotations", str(source)):
        entry = as_object(entry, f"{source}, annotation")
        where = f"{source}, annotation {entry.get('id')!r:.40}"
        image = get_int(entry, "image_id", where)
        if image not in images:
            raise ValueError(f"{where}: there is no image {image}")
        found.setdefault(image, []).append(entry)
    return found


def _video_names(content: dict[str, Any], source: Path) -> dict[int | str, str]:
    if content.get("videos") is None:
        return {}
    entries = [as_object(e, f"{source}, video") for e in get_list(content, "videos", str(source))]
    return {get_key(e, ("id",), f"{source}, video"): str(e.get("name", e["id"])) for e in entries}


def _order(video: int | str) -> tuple:
    """Numbers before texts."""
    return (0, video) if isinstance(video, int) else (1, natural_order(video))
