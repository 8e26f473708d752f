"""LabelMe: a JSON file a frame, with shapes whose ``group_id`` is the track."""

from __future__ import annotations

import base64
import math
from collections import Counter
from pathlib import Path
from typing import Any

from simplevtr.importing.dataset import (
    ImportedDataset,
    ImportedVideo,
    Rle,
    TrackTable,
    naming,
    numbered_categories,
)
from simplevtr.importing.folders import (
    files_of,
    frames_of,
    relative_names,
    require_folder,
    sub_folders,
)
from simplevtr.importing.json_source import as_object, get_list, get_text, read_object
from simplevtr.importing.mask_shapes import (
    from_circle,
    from_pixels,
    from_polygons,
    from_rectangle,
)
from simplevtr.importing.pictures import common_size, read_embedded_mask

import numpy as np
from tqdm import tqdm

FRAMES = ("annotated", "all")
UNGROUPED = ("error", "label", "drop")
_OTHER_SHAPES = ("line", "linestrip", "point", "points")


def read_labelme(
    source: Path, *, images: Path | None = None, frames: str = "annotated", ungrouped: str = "error"
) -> ImportedDataset:
    """Read LabelMe's files, ``<frame>.json`` for the image ``<frame>.jpg``.

    Polygons, rectangles, circles and masks become masks. Shapes of one ``group_id`` are one track;
    in one frame they are united. Points and lines have no mask; they are left out and counted. The
    image in a file (``imageData``) and the folders in its ``imagePath`` are not looked at.

    Args:
        source: a folder of the files of one video, or of such folders.
        images: the folder of the videos' frames; None: the source, as LabelMe puts files beside
            their images. Frames are in ``<video>/``, or, for a source that is one video, there.
        frames: "annotated" imports the frames that have a file, "all" the other ones too, as frames
            without any object.
        ungrouped: what happens to a shape without ``group_id``: "error" it is refused; "label" it
            belongs to the track of its label, of which a video has one then; "drop" it is left out.

    Returns:
        The videos in natural order of their names; the labels in alphabetical order.

    Raises:
        FileNotFoundError: the source, a folder or a frame is missing.
        ValueError: a file cannot be used; the message says which, where and why.
    """
    for name, value, allowed in (
        ("frames", frames, FRAMES),
        ("ungrouped", ungrouped, UNGROUPED),
    ):
        if value not in allowed:
            raise ValueError(f"{name} is {value!r}; allowed: {', '.join(allowed)}")
    require_folder(source, "LabelMe's files")
    root = images or source
    single = bool(files_of(source, ".json"))
    folders = [source] if single else [f for f in sub_folders(source) if files_of(f, ".json")]
    if not folders:
        raise ValueError(f"{source}: holds no JSON file and no folder of JSON files")
    notes: Counter[str] = Counter()
    labels: set[str] = set()
    found = []
    for folder in tqdm(folders, desc="labelme", unit="video", disable=None):
        available = frames_of(root if single else root / folder.name)
        files = {path.stem: path for path in files_of(folder, ".json")}
        for stem, path in files.items():
            if stem not in available:
                raise FileNotFoundError(f"{path}: there is no image {stem}.* in {root}")
        stems = [stem for stem in available if frames == "all" or stem in files]
        kept = "taken as empty" if frames == "all" else "left out"
        notes[f"frames without a file {kept}"] += len(available) - len(files)
        paths = [available[stem] for stem in stems]
        size = common_size(paths)
        table = TrackTable(notes, unite=True)
        for t, stem in enumerate(stems):
            if stem in files:
                _read_frame(files[stem], t, size, ungrouped, table, labels, notes)
        name = folder.absolute().name
        found.append(ImportedVideo(name, size, relative_names(paths, root), table.tracks()))
    return ImportedDataset(root, found, numbered_categories(sorted(labels)), notes)


def _read_frame(
    path: Path,
    frame: int,
    size: tuple[int, int],
    ungrouped: str,
    table: TrackTable,
    labels: set[str],
    notes: Counter[str],
) -> None:
    content = read_object(path)
    for key, side in (("imageHeight", size[0]), ("imageWidth", size[1])):
        if content.get(key, side) not in (side, None):
            raise ValueError(f"{path}: {key} is {content[key]!r:.40}, but the image has {side}")
    for number, shape in enumerate(get_list(content, "shapes", str(path)), start=1):
        where = f"{path}, shape {number}"
        shape = as_object(shape, where)
        label = get_text(shape, "label", where)
        labels.add(label)
        kind = shape.get("shape_type", "polygon")
        if kind in _OTHER_SHAPES:
            notes[f"shapes of kind {kind} left out"] += 1
            continue
        key = _track_key(shape, label, ungrouped, where)
        if key is None:
            notes["shapes without group_id left out"] += 1
            continue
        with naming(where):
            table.add(key, label, frame, _mask(shape, kind, size))


def _track_key(
    shape: dict[str, Any], label: str, ungrouped: str, where: str
) -> tuple[str, int | str] | None:
    """What tells the track from others, None if the shape is to be left out."""
    group = shape.get("group_id")
    if type(group) in (int, str):
        return "group", group
    if group is not None:
        raise ValueError(f"{where}: group_id is {group!r:.40}; a number is needed")
    if ungrouped == "error":
        raise ValueError(
            f"{where}: {label!r:.40} has no group_id, so its track is unknown; number the tracks, "
            "or choose what happens to such shapes (ungrouped: label, drop)"
        )
    return ("label", label) if ungrouped == "label" else None


def _mask(shape: dict[str, Any], kind: Any, size: tuple[int, int]) -> Rle | None:
    points = _points(shape)
    if kind == "polygon":
        return from_polygons([[value for point in points for value in point]], size)
    if kind not in ("rectangle", "circle", "mask"):
        raise ValueError(
            f"unknown shape_type {kind!r:.40}; polygon, rectangle, circle and mask are imported"
        )
    if kind == "rectangle" and len(points) == 4:  # newer files list all corners
        return from_polygons([[value for point in points for value in point]], size)
    if len(points) != 2:
        raise ValueError(f"a {kind} has {len(points)} points; 2 are needed")
    (x0, y0), (x1, y1) = points
    if kind == "rectangle":
        return from_rectangle(x0, y0, x1, y1, size)
    if kind == "circle":  # the centre and a point of the edge
        return from_circle(x0, y0, math.hypot(x1 - x0, y1 - y0), size)
    return _pasted(shape, (x0, y0, x1, y1), size)


def _pasted(shape: dict[str, Any], corners: tuple[float, ...], size: tuple[int, int]) -> Rle:
    """The mask of a PNG, base64-coded, of the pixels from the first to the last corner."""
    x0, y0, x1, y1 = (round(value) for value in corners)
    if not (0 <= x0 <= x1 < size[1] and 0 <= y0 <= y1 < size[0]):
        raise ValueError(f"mask from {(x0, y0)} to {(x1, y1)} leaves the frame of {size} pixels")
    text = shape.get("mask")
    if not isinstance(text, str):
        raise ValueError(f"mask is {text!r:.40}; a PNG as base64 is needed")
    content = base64.b64decode(text, validate=True)
    pixels = np.zeros(size, dtype=bool)
    window = pixels[y0 : y1 + 1, x0 : x1 + 1]
    window[:] = read_embedded_mask(content, window.shape)
    return from_pixels(pixels)


def _points(shape: dict[str, Any]) -> list[list[float]]:
    points = shape.get("points")
    if not isinstance(points, list) or not points:
        raise ValueError(f"points are {points!r:.80}; a list of [x, y] is needed")
    for point in points:
        if (
            not isinstance(point, list)
            or len(point) != 2
            or not all(type(value) in (int, float) and abs(value) < 1e9 for value in point)
        ):
            raise ValueError(f"point {point!r:.80}; [x, y] in pixels is needed")
    return points
