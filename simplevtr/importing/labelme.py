"""LabelMe: a JSON file a frame, with shapes whose label and ``group_id`` are the track."""

from __future__ import annotations

import base64
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simplevtr.importing.dataset import (
    FRAMES,
    ImportedDataset,
    ImportedTrack,
    ImportedVideo,
    Rle,
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
from simplevtr.importing.json_source import as_object, get_list, get_text, read_object
from simplevtr.importing.mask_shapes import (
    from_circle,
    from_overlapping,
    from_polygons,
    from_rectangle,
)
from simplevtr.importing.pictures import common_size, read_embedded_mask

from tqdm import tqdm

UNGROUPED = ("error", "label", "drop")
_OTHER_SHAPES = ("line", "linestrip", "point", "points")
_TURNED = ("oriented_rectangle", "rotation")  # rectangles of LabelMe and X-AnyLabeling
_SHAPES = ("polygon", "rectangle", *_TURNED, "circle", "mask")
_IGNORE = "__ignore__"  # LabelMe's name for regions that are of no class, nor background


def read_labelme(
    source: Path,
    *,
    images: Path | None = None,
    frames: str = "annotated",
    ungrouped: str = "error",
    labels_with_number: bool = False,
) -> ImportedDataset:
    """Read LabelMe's files, ``<frame>.json`` for the image ``<frame>.jpg``.

    Polygons, rectangles (also turned ones), circles and masks become masks. As in LabelMe, shapes
    of one label and one ``group_id`` are one object: in a video a track, in a frame they are
    united. Points and lines have no mask; they and shapes labelled ``__ignore__`` are left out and
    counted. The image in a file (``imageData``) and the folders in its ``imagePath`` are not looked
    at.

    Args:
        source: a folder of the files of one video, or of such folders.
        images: the folder of the videos' frames; None: the source, as LabelMe puts files beside
            their images. Frames are in ``<video>/``, or, for a source that is one video, there.
        frames: "annotated" imports the frames that have a file, "all" the other ones too, as frames
            without any object.
        ungrouped: what happens to a shape without ``group_id``: "error" it is refused; "label" it
            belongs to the track of its label, of which a video has one then; "drop" it is left out.
        labels_with_number: labels such as "bus-1" and "bus-2", which LabelMe's first versions had
            for want of a ``group_id``, are tracks 1 and 2 of the category "bus".

    Returns:
        The videos in natural order of their names; the labels in alphabetical order.

    Raises:
        FileNotFoundError: the source, a folder or a frame is missing.
        ValueError: a file cannot be used; the message says which, where and why.
    """
    require_choice("frames", frames, FRAMES)
    require_choice("ungrouped", ungrouped, UNGROUPED)
    require_folder(source, "LabelMe's files")
    root = images or source
    single = bool(files_of(source, ".json"))
    folders = [source] if single else [f for f in sub_folders(source) if files_of(f, ".json")]
    if not folders:
        raise ValueError(f"{source}: holds no JSON file and no folder of JSON files")
    reader = _Reader(ungrouped, labels_with_number)
    found = []
    for folder in tqdm(folders, desc="labelme", unit="video", disable=None):
        available = frames_of(root if single else root / folder.name)
        files = _files_by_frame(folder, available, frames == "all", reader.notes)
        paths = [available[stem] for stem in files]
        size = common_size(paths)
        tracks = reader.tracks([*files.values()], size)
        name = folder.absolute().name
        found.append(ImportedVideo(name, size, relative_names(paths, root), tracks))
    if not labels_with_number:
        note = "categories alike but for -NUMBER (see labels-with-number)"
        reader.notes[note] = _differing_in_number(reader.categories)
    return ImportedDataset(
        root, found, numbered_categories(sorted(reader.categories)), reader.notes
    )


def _files_by_frame(
    folder: Path, available: dict[str, Path], every: bool, notes: Counter[str]
) -> dict[str, Path | None]:
    """The file of each frame to import in order of the frames; None: there is none."""
    files = {path.stem: path for path in files_of(folder, ".json")}
    for stem, path in files.items():
        if stem not in available:
            images = next(iter(available.values())).parent
            raise FileNotFoundError(f"{path}: there is no image {stem}.* in {images}")
    kept = "taken as empty" if every else "left out"
    notes[f"frames without a file {kept}"] += len(available) - len(files)
    return {stem: files.get(stem) for stem in available if every or stem in files}


@dataclass
class _Reader:
    """How shapes become tracks, and what was found in the videos so far."""

    ungrouped: str
    labels_with_number: bool
    categories: set[str] = field(default_factory=set)
    notes: Counter[str] = field(default_factory=Counter)

    def tracks(self, files: list[Path | None], size: tuple[int, int]) -> list[ImportedTrack]:
        """The tracks of a video, of which ``files`` has the file of each frame, if there is one."""
        table = TrackTable(self.notes, unite=True)
        groups: set[tuple[Any, ...]] = set()
        for frame, path in enumerate(files):
            if path is None:
                continue
            for where, shape in _shapes(path, size):
                label = get_text(shape, "label", where)
                kind = shape.get("shape_type")
                kind = "polygon" if kind is None else kind
                if self._is_left_out(label, kind):
                    continue
                key = self._track_key(shape, label, where)
                if key is None:
                    self.notes["shapes without group_id left out"] += 1
                    continue
                category, _ = self._split(label)
                self.categories.add(category)
                groups.add(key)
                with naming(where):
                    table.add(key, category, frame, _mask(shape, kind, size))
        # Usually two objects; but it may be one whose label is wrong in some frames.
        shared = Counter(group for _, group in groups if group is not None)
        note = "group_ids with several labels, each label a track"
        self.notes[note] += sum(count > 1 for count in shared.values())
        return table.tracks()

    def _is_left_out(self, label: str, kind: Any) -> bool:
        if label == _IGNORE:
            self.notes[f"shapes labelled {_IGNORE} left out"] += 1
        elif kind in _OTHER_SHAPES:
            self.notes[f"shapes of kind {kind} left out"] += 1
        else:
            return False
        return True

    def _track_key(
        self, shape: dict[str, Any], label: str, where: str
    ) -> tuple[str, int | str | None] | None:
        """Label and group, which tell the track from others; None: the shape is to be left out."""
        group = shape.get("group_id")
        if group is not None and type(group) not in (int, str):
            raise ValueError(f"{where}: group_id is {group!r:.40}; a number is needed")
        numbered = self._split(label)[1]
        if group is not None or self.ungrouped == "label" or numbered:
            return label, group
        if self.ungrouped == "drop":
            return None
        hint = ", or say that labels have numbers (labels-with-number)" * bool(_number_of(label))
        raise ValueError(
            f"{where}: {label!r:.40} has no group_id, so its track is unknown; number the tracks, "
            f"or choose what happens to such shapes (ungrouped: label, drop){hint}"
        )

    def _split(self, label: str) -> tuple[str, bool]:
        """The category of a label, and whether the label names one track of it."""
        found = _number_of(label) if self.labels_with_number else None
        return (found[1], True) if found else (label, False)


def _shapes(path: Path, size: tuple[int, int]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The shapes of a file, each with its place for messages."""
    content = read_object(path)
    for key, side in (("imageHeight", size[0]), ("imageWidth", size[1])):
        if content.get(key, side) not in (side, None):
            raise ValueError(f"{path}: {key} is {content[key]!r:.40}, but the image has {side}")
    for number, shape in enumerate(get_list(content, "shapes", str(path)), start=1):
        where = f"{path}, shape {number}"
        yield where, as_object(shape, where)


def _number_of(label: str) -> re.Match[str] | None:
    """Category and number of a label such as "bus-1"; None if it is no such label."""
    return re.fullmatch(r"(.*\S)-([0-9]+)", label)


def _differing_in_number(labels: set[str]) -> int:
    """How many labels are as others but for the number at their end."""
    stems = Counter(found[1] for found in map(_number_of, labels) if found)
    return sum(count for count in stems.values() if count > 1)


def _mask(shape: dict[str, Any], kind: Any, size: tuple[int, int]) -> Rle | None:
    if kind not in _SHAPES:
        raise ValueError(f"unknown shape_type {kind!r:.40}; imported are {', '.join(_SHAPES)}")
    points = _points(shape)
    outline = [value for point in points for value in point]
    if kind == "polygon" or (kind == "rectangle" and len(points) == 4):  # as newer files have it
        return from_polygons([outline], size)
    needed = 4 if kind in _TURNED else 2
    if len(points) != needed:
        raise ValueError(f"a shape of kind {kind} has {len(points)} points; {needed} are needed")
    if kind in _TURNED:
        return from_polygons([outline], size)
    (x0, y0), (x1, y1) = points
    if kind == "rectangle":
        return from_rectangle(x0, y0, x1, y1, size)
    if kind == "circle":  # the centre and a point of the edge
        return from_circle(x0, y0, math.hypot(x1 - x0, y1 - y0), size)
    return _pasted(shape, (x0, y0, x1, y1), size)


def _pasted(shape: dict[str, Any], corners: tuple[float, ...], size: tuple[int, int]) -> Rle:
    """The mask of a PNG, base64-coded, of the pixels from the first to the last corner."""
    x0, y0, x1, y1 = corners
    # The difference is rounded, not both corners: a mask that was moved by half a pixel keeps its
    # size.
    height, width = round(y1 - y0) + 1, round(x1 - x0) + 1
    if not (0 < height <= 2 * size[0] and 0 < width <= 2 * size[1]):  # before it is decoded
        raise ValueError(
            f"mask from {(x0, y0)} to {(x1, y1)}; the first corner must be the upper left one, and "
            f"height and width at most twice the frame's, {size[0]} x {size[1]}"
        )
    text = shape.get("mask")
    if not isinstance(text, str):
        raise ValueError(f"mask is {text!r:.40}; a PNG as base64 is needed")
    pixels = read_embedded_mask(base64.b64decode(text, validate=True), (height, width))
    return from_overlapping(pixels, round(x0), round(y0), size)


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
