"""LabelMe: a JSON file a frame, with shapes whose label and ``group_id`` are the track."""

from __future__ import annotations

import base64
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simplevtr.formats import checks
from simplevtr.importing.categories import numbered_categories
from simplevtr.importing.dataset import (
    FRAMES,
    ImportedDataset,
    ImportLog,
    Rle,
    UndecidedError,
    naming,
    require_choice,
)
from simplevtr.importing.folders import files_of, frames_of, require_folder, stem_of, sub_folders
from simplevtr.importing.json_source import as_object, get_list, read_object
from simplevtr.importing.label_pictures import read_embedded_mask
from simplevtr.importing.mask_shapes import from_ellipse, from_overlapping, from_polygons
from simplevtr.importing.video_draft import Size, VideoDraft

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
    skip_broken: bool = False,
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
        images: the folder of the videos' frames; None: the source, as LabelMe puts files next to
            their images. Frames are in ``<video>/``, or, for a source that is one video, there.
        skip_broken: whether frames and videos that cannot be used are left out and counted.
        frames: "annotated" imports the frames that have a file, "all" the other ones too, as frames
            without any object.
        ungrouped: what happens to a shape without ``group_id``: "error" it is refused; "label" it
            belongs to the track of its label, of which a video has one then; "drop" it is left out.
        labels_with_number: labels such as "bus-1" and "bus-2", which LabelMe's first versions had
            as there was no ``group_id``, are tracks 1 and 2 of the category "bus".

    Returns:
        The videos in natural order of their names; the labels in alphabetical order.

    Raises:
        FileNotFoundError: the source, a folder or a frame is missing.
        ValueError: a file cannot be used; the message says which, where and why.
    """
    require_choice("frames", frames, FRAMES)
    require_choice("ungrouped", ungrouped, UNGROUPED)
    source = require_folder(source, "LabelMe's files")
    root = require_folder(images or source, "the videos' frames")
    single = bool(files_of(source, ".json"))
    folders = [source] if single else [f for f in sub_folders(source) if files_of(f, ".json")]
    if not folders:
        raise ValueError(f"{source}: holds no JSON file and no folder of JSON files")
    reader = _Reader(ungrouped, labels_with_number, ImportLog(skip_broken=skip_broken))
    found = []
    for folder in tqdm(folders, desc="labelme", unit="video", disable=None):
        with reader.log.part("videos"):
            available = frames_of(root if single else root / folder.name)
            files = _files_by_frame(folder, available, frames == "all", reader.log)
            paths = [available[stem] for stem in files]
            draft = reader.video(folder.absolute().name, paths, [*files.values()])
            found.append(draft.finished(root))
    notes = reader.log.notes
    if not labels_with_number:
        note = "categories alike but for -NUMBER (see --labels-with-number)"
        notes[note] = _differing_in_number(reader.categories)
    categories = numbered_categories(sorted(reader.categories))
    return ImportedDataset(root, found, categories, notes, reader.log.broken)


def _files_by_frame(
    folder: Path, available: dict[str, Path], every: bool, log: ImportLog
) -> dict[str, Path | None]:
    """The file of each frame to import in order of the frames; None: there is none."""
    files = {stem_of(path): path for path in files_of(folder, ".json")}
    for stem in [stem for stem in files if stem not in available]:
        images = next(iter(available.values())).parent
        with log.part("frames", files.pop(stem)):
            raise FileNotFoundError(f"there is no image {stem}.* in {images}")
    kept = "taken as empty" if every else "left out"
    log.notes[f"frames without a file {kept}"] += len(available) - len(files)
    return {stem: files.get(stem) for stem in available if every or stem in files}


@dataclass
class _Reader:
    """How shapes become tracks, and what was found in the videos so far."""

    ungrouped: str
    labels_with_number: bool
    log: ImportLog
    categories: set[str] = field(default_factory=set)

    def video(self, name: str, frames: list[Path], files: list[Path | None]) -> VideoDraft:
        """A video, of which ``files`` has the file of each frame, if there is one."""
        contents: dict[int, dict[str, Any]] = {}
        unread: dict[int, Exception] = {}
        for t, path in enumerate(files):
            try:
                contents[t] = {} if path is None else read_object(path)
            except (ValueError, OSError) as error:
                unread[t] = error
            else:
                contents[t].pop("imageData", None)  # the picture again, often larger than the rest
        stated = {t: _stated_size(content) for t, content in contents.items()}
        draft = VideoDraft(self.log, name, frames, stated=stated, unite=True)
        groups: set[tuple[Any, ...]] = set()
        for t, path in enumerate(files):
            with draft.frame(t):
                if t in unread:
                    raise unread[t]
                if path is not None:
                    self._add_shapes(contents[t], path, t, draft, groups)
        # Usually two objects; but it may be one whose label is wrong in some frames.
        shared = Counter(group for _, group in groups if group is not None)
        note = "group_ids with several labels, each label a track"
        self.log.notes[note] += sum(count > 1 for count in shared.values())
        return draft

    def _add_shapes(
        self,
        content: dict[str, Any],
        path: Path,
        frame: int,
        draft: VideoDraft,
        groups: set[tuple[Any, ...]],
    ) -> None:
        """Add the shapes of a file, and their labels and groups to ``groups``."""
        for key, side in zip(("imageHeight", "imageWidth"), draft.size, strict=True):
            if content.get(key, side) not in (side, None):
                raise ValueError(f"{path}: {key} is {content[key]!r:.40}, but the image has {side}")
        for number, shape in enumerate(get_list(content, "shapes", path), start=1):
            where = f"{path}, shape {number}"
            shape = as_object(shape, where)
            with naming(where):
                label = checks.name(shape, "label")
                kind = shape.get("shape_type")
                kind = "polygon" if kind is None else kind
                if self._is_left_out(label, kind):
                    continue
                key = self._track_key(shape, label)
                if key is None:
                    self.log.notes["shapes without group_id left out"] += 1
                    continue
                category, _ = self._split(label)
                draft.add(key, category, frame, _mask(shape, kind, draft.size))
                self.categories.add(category)
                groups.add(key)

    def _is_left_out(self, label: str, kind: Any) -> bool:
        if label == _IGNORE:
            self.log.notes[f"shapes labelled {_IGNORE} left out"] += 1
        elif kind in _OTHER_SHAPES:
            self.log.notes[f"shapes of kind {kind} left out"] += 1
        else:
            return False
        return True

    def _track_key(self, shape: dict[str, Any], label: str) -> tuple[str, int | str | None] | None:
        """Label and group, which tell the track from others; None: the shape is to be left out."""
        group = shape.get("group_id")
        if group is not None and type(group) not in (int, str):
            raise ValueError(f"group_id is {group!r:.40}; a number is needed")
        numbered = self._split(label)[1]
        if group is not None or self.ungrouped == "label" or numbered:
            return label, group
        if self.ungrouped == "drop":
            return None
        hint = ", or say that labels have numbers (--labels-with-number)" * bool(_number_of(label))
        raise UndecidedError(
            f"{label!r:.40} has no group_id, so its track is unknown; number the tracks, or choose "
            f"what happens to such shapes (--ungrouped label or drop){hint}"
        )

    def _split(self, label: str) -> tuple[str, bool]:
        """The category of a label, and whether the label names one track of it."""
        found = _number_of(label) if self.labels_with_number else None
        return (found[1], True) if found else (label, False)


def _stated_size(content: dict[str, Any]) -> Size | None:
    """(H, W) in pixels of the picture as LabelMe showed it, None if the file does not say."""
    size = content.get("imageHeight"), content.get("imageWidth")
    return size if all(type(side) is int for side in size) else None


def _number_of(label: str) -> re.Match[str] | None:
    """Category and number of a label such as "bus-1"; None if it has another form."""
    return re.fullmatch(r"(.*\S)-([0-9]+)", label)


def _differing_in_number(labels: set[str]) -> int:
    """How many labels are as others but for the number at their end."""
    stems = Counter(found[1] for found in map(_number_of, labels) if found)
    return sum(count for count in stems.values() if count > 1)


def _mask(shape: dict[str, Any], kind: Any, size: Size) -> Rle | None:
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
        return from_polygons([[x0, y0, x1, y0, x1, y1, x0, y1]], size)
    if kind == "circle":  # the centre and a point of the edge
        radius = math.hypot(x1 - x0, y1 - y0)
        return from_ellipse((x0, y0), (radius, radius), 0.0, size)
    return _pasted(shape, (x0, y0, x1, y1), size)


def _pasted(shape: dict[str, Any], corners: tuple[float, ...], size: Size) -> Rle:
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
