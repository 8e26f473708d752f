"""CVAT for video 1.1: an XML file of tracks, whose shapes are listed frame by frame."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from simplevtr.formats.checks import whole_number
from simplevtr.formats.paths import existing
from simplevtr.formats.rle import MAX_COORDINATE
from simplevtr.importing.categories import numbered_categories
from simplevtr.importing.cvat_frames import frames_by_number, stated_size
from simplevtr.importing.dataset import (
    ImportedDataset,
    ImportedVideo,
    ImportLog,
    Rle,
    Size,
    VideoDraft,
    naming,
    require_choice,
)
from simplevtr.importing.shapes import from_ellipse, from_polygons, from_window
from simplevtr.importing.sources import files_of, require_folder

GAPS = ("absent", "hold")
_MASKS = ("polygon", "mask", "ellipse")
_OTHER_SHAPES = ("box", "polyline", "points", "cuboid", "skeleton")
_SMALLEST = 0.01  # of a radius in pixels; CVAT writes two decimals


def read_cvat(
    source: Path, *, images: Path | None = None, skip_broken: bool = False, gaps: str = "absent"
) -> ImportedDataset:
    """Read files of the format "CVAT for video 1.1", each the tracks of one video.

    Polygons, masks and ellipses become masks, whether at keyframes or interpolated by CVAT, which
    lists a shape for every frame of a track. A shape with ``outside="1"`` shows no object. Boxes,
    skeletons and other shapes have no mask; they are left out and counted. Files of several tasks
    (exports of a project) are refused, and so are files with a document type (DOCTYPE): CVAT
    writes none, and its entities could grow without end.

    The files number frames and name no images. Where the file's head gives which frames it is of
    (start_frame, stop_frame, frame_filter), as many images are these frames in order, and images
    numbered from 0, or as the frames, go by number. Otherwise all images are frames, and the number
    that an image's name ends in is CVAT's number of the frame.

    Args:
        source: an XML file, or a folder of them.
        images: the folder of the frames, ``<name of the XML file>/..<number>.jpg``; for a single
            file also the frames themselves. Needed.
        skip_broken: whether frames and videos that cannot be used are left out and counted. A
            shape that cannot be used costs the frames that it would be in, with "hold" also those
            that would keep it.
        gaps: what a track does in frames between its shapes, and after its last one: "absent" it
            shows no object; "hold" it keeps the last shape until one is listed that is outside, as
            files that list nothing but keyframes mean it. The only shape of a track, in the last
            frame but one, is not kept: CVAT lists no end there.
    """
    require_choice("gaps", gaps, GAPS)
    if images is None:
        raise ValueError(f"{source}: CVAT files need the folder of the frames (--images)")
    images = require_folder(images, "the frames")
    if source.is_file():
        files = [source]
    else:
        files = files_of(require_folder(source, "XML files"), ".xml")
    if not files:
        raise ValueError(f"{source}: holds no XML file")
    log = ImportLog(skip_broken=skip_broken)
    labels: list[str] = []
    options = images, source.is_file(), gaps == "hold", labels, log
    found = log.videos(files, lambda path: _video(path, *options))
    return ImportedDataset(images, found, numbered_categories(labels), log.notes, log.broken)


def _video(
    path: Path, images: Path, single: bool, hold: bool, labels: list[str], log: ImportLog
) -> ImportedVideo:
    """The tracks of a file, whose labels are added to ``labels``."""
    folder = existing(images / path.stem)
    root = _parse(path)
    frames = frames_by_number(root, path, images if single and not folder.is_dir() else folder, log)
    draft = VideoDraft(log, path.stem, frames, stated=dict.fromkeys(frames, stated_size(root)))
    used = []
    for index, track in enumerate(root.iterfind("track")):
        where = f"{path}, track {track.get('id', index)!r:.40}"
        with naming(where):
            label = _label(track.get("label"))
            if not label:
                raise ValueError("has no label")
            shapes = _shapes(track, draft)
        used.append(label)
        last = None
        for frame in sorted({*shapes, *frames}):
            last = shapes.get(frame, last)
            if last is None or frame not in frames:
                continue
            if frame not in shapes:
                held = "filled with the last shape" if hold else "taken as absent"
                log.notes[f"frames between or after a track's shapes {held}"] += 1
                if not hold:
                    continue
            with draft.frame(frame, where):
                if isinstance(last, ValueError):
                    raise last
                draft.add(index, label, frame, last)
    video = draft.finished(images)
    # The head's, without parts of skeletons, then those of the tracks.
    whole = (v for v in root.iterfind("meta/*/labels/label") if not v.findtext("parent"))
    listed = [label for v in whole if (label := _label(v.findtext("name")))]
    labels[:] = [*listed, *labels, *used]
    return video


def _shapes(track: ElementTree.Element, draft: VideoDraft) -> dict[int, Rle | ValueError | None]:
    """By number of the frame a mask, None where the track is outside, or why it cannot be used."""
    shapes: dict[int, Rle | ValueError | None] = {}
    numbers = [*draft.frames]
    notes = draft.log.notes
    for shape in track:
        if shape.tag == "track":
            notes["tracks within tracks (parts of skeletons) left out"] += 1
            continue
        if shape.tag in _OTHER_SHAPES:
            notes[f"shapes of kind {shape.tag} left out"] += 1
            continue
        if shape.tag not in _MASKS:
            raise ValueError(f"unknown shape {shape.tag!r:.40}; {', '.join(_MASKS)} are imported")
        frame = whole_number(shape.attrib, "frame")
        with naming(f"frame {frame}"):
            if frame in shapes:
                raise ValueError("the track has a second shape in the same frame")
            try:
                shapes[frame] = _shape_mask(shape, draft.size, notes)
            except ValueError as error:
                shapes[frame] = ValueError(f"frame {frame}: {error}")
            # A track's end may stand in the frame after the last one.
            if shapes[frame] is not None and frame not in draft.frames:
                raise ValueError(
                    f"there is no image of it; there are of frames {numbers[0]} to {numbers[-1]}"
                )
    shown = [frame for frame, mask in shapes.items() if mask is not None]
    notes["tracks with one shape only"] += len(shown) == 1
    # CVAT exports shapes of no track as tracks of one, without their end in the last frame.
    if [*shapes] == shown == numbers[-2:-1]:
        shapes[numbers[-1]] = None
    return shapes


def _label(text: str | None) -> str:
    return unicodedata.normalize("NFC", text or "")


class _PlainTree(ElementTree.TreeBuilder):
    """Builds a tree without document types, whose entities could grow without end."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Called before any entity is declared."""
        raise ValueError(f"has a DOCTYPE ({name!r:.40}), which is not allowed")


def _parse(path: Path) -> ElementTree.Element:
    parser = ElementTree.XMLParser(target=_PlainTree())
    with naming(path):
        try:
            root = ElementTree.parse(path, parser).getroot()
        except ElementTree.ParseError as error:
            raise ValueError(f"is not XML: {error}") from error
        except LookupError as error:  # an unknown encoding
            raise ValueError(str(error)) from error
        if root.tag != "annotations":
            raise ValueError(f"the root is {root.tag!r:.40}; CVAT's 'annotations' is needed")
        version = root.findtext("version", default="1.1").strip()
        if version != "1.1":
            raise ValueError(f"version {version!r:.40}; 1.1 is needed")
        if root.find("image") is not None:
            raise ValueError("is 'CVAT for images'; export it as 'CVAT for video 1.1'")
    return root


def _shape_mask(shape: ElementTree.Element, size: Size, notes: Counter[str]) -> Rle | None:
    """The mask of a shape whose tag is one of _MASKS, None if it is outside."""
    if _flag(shape, "outside", missing="0"):
        return None
    if not _flag(shape, "keyframe", missing="1"):
        notes["shapes interpolated by CVAT, imported"] += 1
    if shape.tag == "polygon":
        return from_polygons([_points(shape)], size)
    if shape.tag == "ellipse":
        centre = _number(shape, "cx"), _number(shape, "cy")
        radii = (_number(shape, "rx", least=_SMALLEST), _number(shape, "ry", least=_SMALLEST))
        angle = math.radians(_number(shape, "rotation", missing="0"))
        return from_ellipse(centre, radii, angle, size)
    keys = ("left", "top", "width", "height")
    window = tuple(whole_number(shape.attrib, key) for key in keys)
    runs = shape.get("rle", "").split(",")
    return from_window([whole_number({"rle": run.strip()}, "rle") for run in runs], window, size)


def _points(shape: ElementTree.Element) -> list[float]:
    text = shape.get("points", "")
    pairs = [pair.split(",") for pair in text.split(";")]
    try:
        points = [float(value) for pair in pairs for value in pair]
    except ValueError as error:
        raise ValueError(f"points are {text!r:.80}: {error!s:.80}") from error
    if any(len(pair) != 2 for pair in pairs) or not all(map(math.isfinite, points)):
        raise ValueError(f"points are {text!r:.80}; x,y;x,y;... are needed")
    return points


def _number(
    shape: ElementTree.Element, key: str, *, least: float = -MAX_COORDINATE, missing: str = ""
) -> float:
    text = shape.get(key, missing)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= MAX_COORDINATE:
        raise ValueError(
            f"{key} is {text!r:.40}; a number from {least:g} to {MAX_COORDINATE:g} is needed"
        )
    return value


def _flag(shape: ElementTree.Element, key: str, *, missing: str) -> bool:
    text = shape.get(key, missing)
    if text not in ("0", "1"):
        raise ValueError(f"{key} must be 0 or 1, got {text!r:.40}")
    return text == "1"
