"""CVAT for video 1.1: an XML file of tracks, whose shapes are listed frame by frame.

The source is an XML file, which has the tracks of one video, or a folder of them. The folder of the
frames, ``<name of the XML file>/..<number>.jpg``, is needed; for a single file it may also hold the
frames themselves.

Polygons, masks and ellipses become masks, whether at keyframes or interpolated by CVAT, which lists
a shape for every frame of a track. A shape with ``outside="1"`` shows no object. Boxes, skeletons
and other shapes have no mask; they are left out and counted. Files of several tasks (exports of a
project) are refused, and so are files with a document type (DOCTYPE): CVAT writes none, and its
entities could grow without end.

The files number frames and name no images. Where the file's head gives which frames it is of
(start_frame, stop_frame, frame_filter), as many images are these frames in order, and images
numbered from 0, or as the frames, go by number. Otherwise all images are frames, and the number
that an image's name ends in is CVAT's number of the frame.
"""

import math
import re
from collections import Counter
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from simplevtr.formats.checks import name, whole_number
from simplevtr.formats.paths import existing
from simplevtr.formats.polygons import MAX_COORDINATE
from simplevtr.toolbox.importing import shapes, sources
from simplevtr.toolbox.importing.reading import ImportedDataset, ImportedVideo, VideoDraft, naming

import numpy as np

Gaps = Literal["absent", "hold"]
_MASKS = ("polygon", "mask", "ellipse")
_LEFT_OUT = {"track": "tracks within tracks (parts of skeletons) left out"} | {
    kind: f"shapes of kind {kind} left out"
    for kind in ("box", "polyline", "points", "cuboid", "skeleton")
}
_ORDER_NOTE = "videos whose images CVAT must have sorted naturally (by default it puts 10 before 2)"
# CVAT keeps points in the picture; a file of pictures, not of a video, does not state their size.
_BEYOND = "polygons that lead out of the frame, cut off: labelled in larger images?"
_SMALLEST = 0.01  # of a radius in pixels; CVAT writes two decimals
_ALONE = "export every task by itself"
_RANGE = ("start_frame", "stop_frame", "frame_filter")
# By number of the frame a mask, None where the track is outside, or why it cannot be used.
_Shapes = dict[int, shapes.Rle | ValueError | None]


def read(
    dataset: ImportedDataset, source: Path, images: Path | None, *, gaps: Gaps = "absent"
) -> None:
    """Read a video of each file.

    With ``gaps`` "hold" a track keeps its last shape in frames for which none is listed, until one
    is listed that is outside, as files that list nothing but keyframes mean it.
    """
    if images is None:
        raise ValueError(f"{source}: CVAT files need the folder of the frames (--images)")
    root = dataset.image_root = sources.require_folder(images, "the frames")
    files = [source] if source.is_file() else sources.files_of(source, ".xml")
    if not files:
        raise ValueError(f"{source}: holds no XML file")
    sources.note_deeper(dataset, source, ".xml")
    labels: list[str] = []

    def video_of(path: Path) -> ImportedVideo:
        folder = existing(root / path.stem)
        folder = folder if folder.is_dir() or not source.is_file() else root
        pictures = sources.numbered_frames(sources.video_folder(folder))
        with naming(path):
            tree = _parse(path)
            head = _head(tree)
            frames = _matched(pictures, _stated_frames(head), folder, dataset.notes)
        names = [picture.name for picture in frames.values()]
        dataset.notes[_ORDER_NOTE] += names != sorted(names)
        stated = dict.fromkeys(frames, _stated_size(tree, head))
        draft = VideoDraft(dataset, path.stem, frames, stated=stated)
        with naming(f"{path}, original_size"):
            draft.check_stated(next(iter(frames)))
        for index, track in enumerate(tree.iterfind("track")):
            where = f"{path}, track {track.get('id', index)!r:.40}"
            _add_track(draft, track, index, where, hold=gaps == "hold")
        # The head's, without parts of skeletons, before those that only tracks have.
        heads = (v for v in tree.iterfind("meta/*/labels/label") if not v.findtext("parent"))
        labels.extend(name({"name": text}) for v in heads if (text := v.findtext("name")))
        return draft.finished()

    dataset.videos = dataset.each_video(files, video_of)
    dataset.number_categories([*labels, *(track.category for track in dataset.tracks)])


class _PlainTree(ElementTree.TreeBuilder):
    """Builds a tree without document types, whose entities could grow without end."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Called before any entity is declared."""
        raise ValueError(f"has a DOCTYPE ({name!r:.40}), which is not allowed")


def _parse(path: Path) -> ElementTree.Element:
    try:
        parser = ElementTree.XMLParser(target=_PlainTree())
        root = ElementTree.parse(path, parser).getroot()
    except (ElementTree.ParseError, LookupError) as error:  # the latter: an unknown encoding
        raise ValueError(f"is not XML: {error}") from error
    if root.tag != "annotations":
        raise ValueError(f"the root is {root.tag!r:.40}; CVAT's 'annotations' is needed")
    version = root.findtext("version", default="1.1").strip()
    if version != "1.1":
        raise ValueError(f"version {version!r:.40}; 1.1 is needed")
    if root.find("image") is not None:
        raise ValueError("is 'CVAT for images'; export it as 'CVAT for video 1.1'")
    return root


def _head(root: ElementTree.Element) -> ElementTree.Element:
    """What the file says of the task or job that the tracks are of; empty if it says nothing."""
    ids = sorted({track.attrib["task_id"] for track in root.iterfind("track[@task_id]")})
    if len(ids) > 1:
        tasks = f"{len(ids)} tasks (task_id {', '.join(ids)!s:.80})"
        raise ValueError(f"holds tracks of {tasks}, but a file is one video; {_ALONE}")
    before: set[str] = set()  # subsets
    for task in root.iterfind("meta/project/tasks/task"):
        subset = task.findtext("subset", "")
        if task.findtext("id") in ids:
            if subset in before:
                numbers = "whose frames CVAT numbers after those of the project's tasks before it"
                raise ValueError(f"holds tracks of task {ids[0]!s:.40}, {numbers}; {_ALONE}")
            return task
        before.add(subset)
    heads = (*root.iterfind("meta/task"), *root.iterfind("meta/job"))
    return heads[0] if heads else ElementTree.Element("task")


def _stated_size(root: ElementTree.Element, head: ElementTree.Element) -> shapes.Size | None:
    """(H, W) in pixels that the head gives for the video, None if it gives none."""
    size = head.find("original_size")
    size = root.find("meta/original_size") if size is None else size  # of a job
    sides = [size.findtext(side, "") for side in ("height", "width")] if size is not None else [""]
    known = all(side.isdecimal() and len(side) < 10 for side in sides)
    return (int(sides[0]), int(sides[1])) if known else None


def _stated_frames(head: ElementTree.Element) -> range | None:
    """The numbers of the frames of a task or job, if its head has them."""
    found = {key: head.findtext(key, "").strip() for key in _RANGE}
    if not {"", "None"}.isdisjoint([found["start_frame"], found["stop_frame"]]):
        return None
    start, stop = whole_number(found, "start_frame"), whole_number(found, "stop_frame")
    if stop < start:
        raise ValueError(f"stop_frame {stop} is before start_frame {start}")
    text = found["frame_filter"]
    step = re.fullmatch(r"(?:step\s*=\s*([1-9][0-9]{0,8}))?", text, re.ASCII)
    if step is None:
        raise ValueError(f"frame_filter is {text!r:.40}; step=<number>, or nothing, is needed")
    return range(start, stop + 1, int(step[1] or 1))


def _matched(
    images: dict[int, Path], stated: range | None, folder: Path, notes: Counter[str]
) -> dict[int, Path]:
    """The numbered images of a video by CVAT's number of the frame, ascending.

    By number goes only where no other reading is likely: images that start at 1 may be frames
    that start at 0, unless there are as many, which then go by order.
    """
    numbers = list(images)
    if stated is None:
        notes["videos whose images do not begin at 0, taken by their numbers"] += numbers[0] != 0
        return images
    surplus = len(images) - len(stated)
    if not surplus:
        note = "videos whose images have other numbers than CVAT's frames, taken in order"
        notes[note] += numbers != list(stated)
        return dict(zip(stated, images.values(), strict=True))
    if surplus > 0 and numbers[0] == 0 and all(number in images for number in stated):
        notes["images of frames that a file is not of left out"] += surplus
        return {number: images[number] for number in stated}
    if surplus < 0 and numbers[0] == stated[0] and all(number in stated for number in numbers):
        notes["frames without an image left out"] -= surplus
        return images
    frames = f"{len(stated)} frames, {stated[0]} to {stated[-1]} in steps of {stated.step}"
    found = f"{len(images)} images, {numbers[0]} to {numbers[-1]}"
    way = "give one image for each of these frames, or all of the video, numbered from 0"
    raise ValueError(f"is of {frames} ({', '.join(_RANGE)}), but {folder} holds {found}; {way}")


def _add_track(
    draft: VideoDraft, track: ElementTree.Element, index: int, where: str, *, hold: bool
) -> None:
    """Add the masks of a track; a shape that is broken costs the frames that it would be in."""
    with naming(where):
        label = name(track.attrib, "label")
        found = _shapes(track, draft)
    last = None
    for frame in sorted({*found, *draft.frames}):
        last = found.get(frame, last)
        if last is None:
            continue
        if frame not in found:
            held = "filled with the last shape" if hold else "taken as absent"
            draft.dataset.notes[f"frames between or after a track's shapes {held}"] += 1
        if frame in found or hold:
            with draft.frame(frame, where):
                if isinstance(last, ValueError):
                    raise last
                draft.add(index, label, frame, last)


def _shapes(track: ElementTree.Element, draft: VideoDraft) -> _Shapes:
    """What a track shows in the frames for which it lists a shape that has a mask."""
    found: _Shapes = {}
    numbers = [*draft.frames]
    notes = draft.dataset.notes
    for shape in track:
        if shape.tag in _LEFT_OUT:
            notes[_LEFT_OUT[shape.tag]] += 1
            continue
        if shape.tag not in _MASKS:
            raise ValueError(f"unknown shape {shape.tag!r:.40}; {', '.join(_MASKS)} are imported")
        frame = whole_number(shape.attrib, "frame")
        if frame in found:
            raise ValueError(f"frame {frame}: the track has a second shape in the same frame")
        try:
            found[frame] = _mask(shape, draft.size, notes)
        except ValueError as error:
            found[frame] = ValueError(f"frame {frame}: {error}")
        # A track's end may stand in the frame after the last one.
        if found[frame] is not None and frame not in draft.frames:
            there = f"there are images of frames {numbers[0]} to {numbers[-1]}"
            missing = ValueError(f"frame {frame} has no image; {there}")
            if not numbers[0] <= frame <= numbers[-1]:
                raise missing
            found[frame] = missing  # it may cost this frame alone
    shown = [frame for frame, mask in found.items() if mask is not None]
    notes["tracks with one shape only"] += len(shown) == 1
    # CVAT exports shapes of no track as tracks of one, without their end in the last frame.
    if [*found] == shown == numbers[-2:-1]:
        found[numbers[-1]] = None
    return found


def _mask(shape: ElementTree.Element, size: shapes.Size, notes: Counter[str]) -> shapes.Rle | None:
    """The mask of a shape whose tag is one of _MASKS, None if it is outside."""
    flags = {"outside": "0", "keyframe": "1"} | shape.attrib
    for key in ("outside", "keyframe"):
        if flags[key] not in ("0", "1"):
            raise ValueError(f"{key} must be 0 or 1, got {flags[key]!r:.40}")
    if flags["outside"] == "1":
        return None
    notes["shapes interpolated by CVAT, imported"] += flags["keyframe"] == "0"
    if shape.tag == "polygon":
        text = shape.get("points", "")
        with naming(f"points {text!r:.80}"):
            points = [[*map(float, pair.split(","))] for pair in text.split(";")]
        ring = shapes.flat(points)
        notes[_BEYOND] += max(ring[::2]) > size[1] + 1 or max(ring[1::2]) > size[0] + 1
        return shapes.from_polygons([ring], size)
    if shape.tag == "ellipse":
        keys = ("cx", "cy", "rx", "ry", "rotation")
        x, y, rx, ry, degrees = (_number(shape, key) for key in keys)
        return shapes.from_ellipse((x, y), (rx, ry), math.radians(degrees), size)
    # Run lengths along rows, background first.
    runs = [whole_number({"rle": run.strip()}, "rle") for run in shape.get("rle", "").split(",")]
    window = (whole_number(shape.attrib, key) for key in ("left", "top", "width", "height"))
    left, top, width, height = window
    if not (left < left + width <= size[1] and top < top + height <= size[0]):
        mask = f"mask of {width} x {height} pixels (width x height) at left {left}, top {top}"
        raise ValueError(f"{mask} leaves the frame of {size[1]} x {size[0]}")
    if sum(runs) != width * height:
        raise ValueError(f"run lengths {runs!r:.80} do not fill a mask of {width} x {height}")
    pixels = np.repeat(np.arange(len(runs)) % 2, runs).reshape(height, width)
    return shapes.from_window(pixels, left, top, size)


def _number(shape: ElementTree.Element, key: str) -> float:
    text = shape.get(key, "0" if key == "rotation" else "")
    least = _SMALLEST if key in ("rx", "ry") else -MAX_COORDINATE
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= MAX_COORDINATE:
        allowed = f"a number from {least:g} to {MAX_COORDINATE:g}"
        raise ValueError(f"{key} is {text!r:.40}; {allowed} is needed")
    return value
