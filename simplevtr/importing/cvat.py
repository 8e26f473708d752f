"""CVAT for video 1.1: an XML file of tracks, whose shapes are listed frame by frame."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

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
    numbered_frames,
    relative_names,
    require_folder,
)
from simplevtr.importing.mask_shapes import from_polygons, from_window
from simplevtr.importing.pictures import common_size

from tqdm import tqdm

GAPS = ("absent", "hold")
_MASKS = ("polygon", "mask")
_OTHER_SHAPES = ("box", "polyline", "points", "ellipse", "cuboid", "skeleton")
_DEEPEST = 20  # levels of elements; CVAT's files have about 6


def read_cvat(source: Path, *, images: Path | None = None, gaps: str = "absent") -> ImportedDataset:
    """Read files of the format "CVAT for video 1.1", each the tracks of one video.

    Polygons and masks become masks, whether at keyframes or interpolated by CVAT, which lists a
    shape for every frame of a track. A shape with ``outside="1"`` shows no object. Boxes and other
    shapes have no mask; they are left out and counted. Files with a document type (DOCTYPE) are
    refused: CVAT writes none, and its entities could grow without end.

    Args:
        source: an XML file, or a folder of them.
        images: the folder of the frames, ``<name of the XML file>/..<number>.jpg``; for a single
            file also the frames themselves. Needed. The number that an image's name ends in is
            CVAT's number of the frame. All images are frames.
        gaps: what a track does in frames between its shapes, and after its last one: "absent" it
            shows no object; "hold" it keeps the last shape until one is listed that is outside, as
            files that list nothing but keyframes mean it.

    Returns:
        The videos in natural order of their names; categories are the labels of the files.

    Raises:
        FileNotFoundError: the source, a folder or a frame is missing.
        ValueError: a file cannot be used; the message says which, where and why.
    """
    if gaps not in GAPS:
        raise ValueError(f"gaps is {gaps!r}; allowed: {', '.join(GAPS)}")
    if images is None:
        raise ValueError(f"{source}: CVAT files need the folder of the frames (images)")
    require_folder(images, "the frames")
    if source.is_file():
        files = [source]
    else:
        files = files_of(require_folder(source, "XML files"), ".xml")
    if not files:
        raise ValueError(f"{source}: holds no XML file")
    notes: Counter[str] = Counter()
    labels: list[str] = []
    found = []
    for path in tqdm(files, desc="cvat", unit="video", disable=None):
        folder = images / path.stem
        if path == source and not folder.is_dir():
            folder = images
        frames = numbered_frames(folder)
        size = common_size(list(frames.values()))
        root = _parse(path)
        table = TrackTable(notes)
        places = {number: t for t, number in enumerate(frames)}
        for index, track in enumerate(root.iterfind("track")):
            where = f"{path}, track {track.get('id', index)!r:.40}"
            label = track.get("label")
            if not label:
                raise ValueError(f"{where}: has no label")
            labels.append(label)
            with naming(where):
                masks = _track_masks(track, places, size, gaps == "hold", notes)
                for t, mask in masks.items():
                    table.add(index, label, t, mask)
        names = relative_names(list(frames.values()), images)
        found.append(ImportedVideo(path.stem, size, names, table.tracks()))
        labels = [*_labels(root), *labels]
    return ImportedDataset(images, found, numbered_categories(labels), notes)


def _track_masks(
    track: ElementTree.Element,
    places: dict[int, int],
    size: tuple[int, int],
    hold: bool,
    notes: Counter[str],
) -> dict[int, Rle | None]:
    """The masks of a track by place of the frame."""
    shapes: dict[int, Rle | None] = {}
    for shape in track:
        if shape.tag in _OTHER_SHAPES:
            notes[f"shapes of kind {shape.tag} left out"] += 1
            continue
        if shape.tag not in _MASKS:
            raise ValueError(f"unknown shape {shape.tag!r:.40}; {', '.join(_MASKS)} are imported")
        frame = _int(shape, "frame")
        with naming(f"frame {frame}"):
            if frame not in places:
                raise ValueError("there is no image with this number")
            if places[frame] in shapes:
                raise ValueError("the track has a second shape in the same frame")
            shapes[places[frame]] = _shape_mask(shape, size, notes)
    return _filled(shapes, len(places), hold, notes)


def _filled(
    shapes: dict[int, Rle | None], length: int, hold: bool, notes: Counter[str]
) -> dict[int, Rle | None]:
    """Masks of the frames that show the object; in gaps, as ``hold`` says."""
    masks: dict[int, Rle | None] = {}
    last = None
    for t in range(min(shapes, default=length), length):
        listed = t in shapes
        last = shapes[t] if listed else last
        if last is None:
            continue
        if not listed:
            held = "filled with the last shape" if hold else "taken as absent"
            notes[f"frames between or after a track's shapes {held}"] += 1
        if listed or hold:
            masks[t] = last
    return masks


def _shape_mask(
    shape: ElementTree.Element, size: tuple[int, int], notes: Counter[str]
) -> Rle | None:
    """The mask of a polygon or mask, None if it is outside."""
    if _flag(shape, "outside"):
        return None
    if not _flag(shape, "keyframe", missing=1):
        notes["shapes interpolated by CVAT, imported"] += 1
    if shape.tag == "polygon":
        return from_polygons([_points(shape)], size)
    window = tuple(_int(shape, key) for key in ("left", "top", "width", "height"))
    text = shape.get("rle") or ""
    runs = [part.strip() for part in text.split(",")]
    if not all(run.isascii() and run.isdecimal() and len(run) < 12 for run in runs):
        raise ValueError(f"rle is {text!r:.80}; run lengths with commas between are needed")
    return from_window([int(run) for run in runs], window, size)


def _points(shape: ElementTree.Element) -> list[float]:
    text = shape.get("points") or ""
    pairs = [pair.split(",") for pair in text.split(";")]
    try:
        points = [float(value) for pair in pairs for value in pair]
    except ValueError as error:
        raise ValueError(f"points are {text!r:.80}: {error!s:.80}") from error
    if any(len(pair) != 2 for pair in pairs) or not all(map(math.isfinite, points)):
        raise ValueError(f"points are {text!r:.80}; x,y;x,y;... are needed")
    return points


def _int(shape: ElementTree.Element, key: str) -> int:
    text = shape.get(key, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise ValueError(f"{key} of a {shape.tag} is {text!r:.40}; a number >= 0 is needed")
    return int(text)


def _flag(shape: ElementTree.Element, key: str, *, missing: int = 0) -> bool:
    text = shape.get(key, str(missing))
    if text not in ("0", "1"):
        raise ValueError(f"{key} of a {shape.tag} is {text!r:.40}; 0 or 1 is needed")
    return text == "1"


class _PlainTree(ElementTree.TreeBuilder):
    """Builds a tree without document types and of bounded depth."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Called before any entity is declared."""
        raise ValueError(f"has a DOCTYPE ({name!r:.40}), which is not allowed")

    def start(self, tag: Any, attrs: Any) -> ElementTree.Element:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError(f"elements are nested more than {_DEEPEST} levels deep")
        return super().start(tag, attrs)

    def end(self, tag: Any) -> ElementTree.Element:
        self._depth -= 1
        return super().end(tag)


def _parse(path: Path) -> ElementTree.Element:
    parser = ElementTree.XMLParser(target=_PlainTree())
    try:
        root = ElementTree.parse(path, parser).getroot()
    except ElementTree.ParseError as error:
        raise ValueError(f"{path}: is not XML: {error}") from error
    except (ValueError, LookupError) as error:  # ours, or an unknown encoding
        raise ValueError(f"{path}: {error}") from error
    if root.tag != "annotations":
        raise ValueError(f"{path}: the root is {root.tag!r:.40}; CVAT's 'annotations' is needed")
    version = root.findtext("version", default="1.1").strip()
    if version != "1.1":
        raise ValueError(f"{path}: version {version!r:.40}; 1.1 is needed")
    if root.find("image") is not None:
        raise ValueError(f"{path}: is 'CVAT for images'; export it as 'CVAT for video 1.1'")
    return root


def _labels(root: ElementTree.Element) -> list[str]:
    """The labels that the file's head lists, in its order."""
    found = root.iterfind("meta/*/labels/label/name")
    return [name.text for name in found if name.text]
