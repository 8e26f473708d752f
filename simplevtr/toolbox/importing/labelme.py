"""LabelMe: one JSON file per frame, with shapes whose label and ``group_id`` are the track.

The source is a folder of the files ``<frame>.json`` of one video, or of such folders; the images
``<frame>.jpg`` are next to the files by default, where LabelMe puts them, or in ``<video>/``.

Polygons, rectangles (also turned ones), circles and masks become masks. As in LabelMe, shapes of
one label and one ``group_id`` are one object: one track per video, united within a frame.
Points and lines have no mask; they and shapes labelled ``__ignore__`` are left out and counted. The
image in a file (``imageData``) and the folders in its ``imagePath`` are not read; a file whose
``imagePath`` is another image of the video, which LabelMe would show, is refused.
"""

import base64
import io
import math
import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any, Literal

from simplevtr.formats import checks
from simplevtr.toolbox.importing import reading, shapes, sources
from simplevtr.toolbox.importing.reading import ImportedDataset, UndecidedError, VideoDraft, naming

import numpy as np

_OTHER_SHAPES = ("line", "linestrip", "point", "points")
_TURNED = ("oriented_rectangle", "rotation")  # rectangles of LabelMe and X-AnyLabeling
_SHAPES = ("polygon", "rectangle", *_TURNED, "circle", "mask")
_IGNORE = "__ignore__"  # LabelMe's name for regions that are of no class, nor background


def read(
    dataset: ImportedDataset,
    source: Path,
    images: Path | None,
    *,
    frames: sources.Frames = "annotated",
    ungrouped: Literal["error", "label", "drop"] = "error",
    labels_with_number: bool = False,
) -> None:
    """Read one video or a folder of videos; the options are those of the command."""
    source = sources.require_folder(source, "LabelMe's files")
    root = dataset.image_root = sources.require_folder(images or source, "the videos' frames")
    single = bool(sources.files_of(source, ".json"))
    inside = [source] if single else sources.sub_folders(source)
    folders = [folder for folder in inside if sources.files_of(folder, ".json")]
    dataset.notes["folders without a JSON file left out"] = len(inside) - len(folders)
    if single:
        sources.note_deeper(dataset, source, ".json")
    if not folders:
        raise ValueError(f"{source}: holds no JSON file and no folder of JSON files")
    track_of = partial(_track_of, ungrouped=ungrouped, labels_with_number=labels_with_number)

    def video_of(folder: Path) -> reading.ImportedVideo:
        return _video(folder, root if single else root / folder.name, dataset, frames, track_of)

    dataset.videos = dataset.each_video(folders, video_of)
    dataset.number_categories(sorted(track.category for track in dataset.tracks))
    if not labels_with_number:
        stems = Counter(m[1] for _, name in dataset.categories if (m := _number_of(name)))
        note = "categories alike but for -NUMBER (see --labels-with-number)"
        dataset.notes[note] = sum(count for count in stems.values() if count > 1)


def _video(
    folder: Path, images: Path, dataset: ImportedDataset, frames: str, track_of: Callable
) -> reading.ImportedVideo:
    pictures, files = sources.with_annotations(
        dataset, images, sources.files_of(folder, ".json"), "file", frames=frames
    )
    contents: dict[str, dict[str, Any]] = {}
    stated: dict[str, tuple[Any, Any]] = {}  # as LabelMe showed the picture
    for name, path in files.items():
        with dataset.part("frames"):
            content = contents[name] = sources.read_object(path)
            content.pop("imageData", None)  # the picture again, the most of the file
            stated[name] = content.get("imageHeight"), content.get("imageWidth")
            continue
        del pictures[name]
    draft = VideoDraft(dataset, folder.absolute().name, pictures, stated=stated, unite=True)
    for name, content in contents.items():
        with draft.frame(name):
            with naming(files[name]):
                _check_image(content.get("imagePath"), pictures[name])
                draft.check_stated(name)
                entries = checks.items(content, "shapes")
            for number, shape in enumerate(entries, start=1):
                where = f"{files[name]}, shape {number}"
                shape = sources.as_object(shape, where)
                with naming(where):
                    key, category = track_of(shape)
                    if key is None:
                        dataset.notes[f"shapes {category} left out"] += 1
                    else:
                        draft.add(key, category, name, _mask(shape, draft.size))
    # Usually two objects; but it may be one whose label is wrong in some frames.
    shared = Counter(group for _, group in draft.tracks if group is not None)
    note = "group_ids with several labels, each label a track"
    dataset.notes[note] += sum(count > 1 for count in shared.values())
    return draft.finished()


def _check_image(stated: Any, picture: Path) -> None:
    """ValueError if a file's ``imagePath`` is another image next to its picture."""
    name = PureWindowsPath(stated).name if isinstance(stated, str) else ""
    other = picture.parent / name
    if name and other.stem != picture.stem and other.exists():
        raise ValueError(f"imagePath is {stated!r:.80}, which is there too, and not {picture.name}")


def _track_of(
    shape: dict[str, Any], *, ungrouped: str, labels_with_number: bool
) -> tuple[tuple[str, int | str | None] | None, str]:
    """The track of a shape, by label and group, and its category; or None and why not, in words."""
    label = checks.name(shape, "label")
    kind, group = shape.get("shape_type"), shape.get("group_id")
    number = _number_of(label) if labels_with_number else None
    if label == _IGNORE:
        return None, f"labelled {_IGNORE}"
    if kind in _OTHER_SHAPES:
        return None, f"of kind {kind}"
    if group is not None:
        group = sources.identity(group, "group_id")
    elif ungrouped == "drop" and not number:
        return None, "without group_id"
    elif ungrouped == "error" and not number:
        hint = ", or numbered labels (--labels-with-number)" if _number_of(label) else ""
        ways = f"number the tracks, or use --ungrouped label or drop{hint}"
        raise UndecidedError(f"{label!r:.40} has no group_id, so its track is unknown; {ways}")
    return (label, group), number[1] if number else label


def _number_of(label: str) -> re.Match[str] | None:
    """Category and number of a label such as "bus-1"; None if it has another form."""
    return re.fullmatch(r"(.*\S)-([0-9]+)", label)


def _mask(shape: dict[str, Any], size: shapes.Size) -> shapes.Rle:
    kind = shape.get("shape_type")
    kind = "polygon" if kind is None else kind
    if kind not in _SHAPES:
        known = ", ".join(_SHAPES)
        raise ValueError(f"unknown shape_type {checks.shown(kind)}; imported are {known}")
    points = shapes.flat(shape.get("points"))
    # Rectangles of newer files have four corners.
    corners = 4 if kind in _TURNED or (kind == "rectangle" and len(points) == 8) else 2
    if kind == "polygon" or corners == len(points) / 2 == 4:
        return shapes.from_polygons([points], size)
    if len(points) != 2 * corners:
        found = len(points) // 2
        raise ValueError(f"a shape of kind {kind} has {found} points; {corners} are needed")
    x0, y0, x1, y1 = points
    if kind == "rectangle":
        return shapes.from_polygons([[x0, y0, x1, y0, x1, y1, x0, y1]], size)
    if kind == "circle":  # the centre and a point of the edge
        radius = math.hypot(x1 - x0, y1 - y0)
        return shapes.from_ellipse((x0, y0), (radius, radius), 0.0, size)
    # A PNG, base64-coded, of the pixels from the first to the last corner. The difference is
    # rounded, not both corners: a mask moved by half a pixel keeps its size.
    height, width = round(y1 - y0) + 1, round(x1 - x0) + 1
    if not (0 < height <= 2 * size[0] and 0 < width <= 2 * size[1]):  # before it is decoded
        mask = f"mask from {(x0, y0)} to {(x1, y1)}; the first corner must be the upper left one"
        raise ValueError(f"{mask}, sides at most twice the frame's, {size[0]} x {size[1]}")
    content = base64.b64decode(checks.text(shape, "mask"), validate=True)
    with naming("embedded PNG"):
        picture = shapes.read_labels(io.BytesIO(content), (height, width), shapes.GREY)
    return shapes.from_window(np.asarray(picture) != 0, round(x0), round(y0), size)
