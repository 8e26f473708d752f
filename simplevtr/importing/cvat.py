"""CVAT for video 1.1: an XML file of tracks, whose shapes are listed frame by frame."""

import math
import re
import unicodedata
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from simplevtr.formats.checks import whole_number
from simplevtr.formats.paths import existing
from simplevtr.formats.rle import MAX_COORDINATE
from simplevtr.importing import shapes, sources
from simplevtr.importing.reading import (
    ImportedDataset,
    ImportedVideo,
    Rle,
    Size,
    VideoDraft,
    naming,
)  # fmt: skip

GAPS = ("absent", "hold")
_MASKS = ("polygon", "mask", "ellipse")
_OTHER_SHAPES = ("box", "polyline", "points", "cuboid", "skeleton")
_SMALLEST = 0.01  # of a radius in pixels; CVAT writes two decimals
_Shape = Rle | ValueError | None  # a mask, why it cannot be used, or that the track is outside


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
    sources.require_choice("gaps", gaps, GAPS)
    if images is None:
        raise ValueError(f"{source}: CVAT files need the folder of the frames (--images)")
    root = sources.require_folder(images, "the frames")
    files = [source]
    if not source.is_file():
        files = sources.files_of(sources.require_folder(source, "XML files"), ".xml")
    if not files:
        raise ValueError(f"{source}: holds no XML file")
    dataset = ImportedDataset(root, skip_broken)
    labels: list[str] = []

    def read(path: Path) -> ImportedVideo:
        folder = existing(root / path.stem)
        if source.is_file() and not folder.is_dir():
            folder = root
        tree = _parse(path)
        frames = _frames_by_number(tree, path, folder, dataset.notes)
        stated = dict.fromkeys(frames, _stated_size(tree))
        draft = VideoDraft(dataset, path.stem, frames, stated=stated)
        for index, track in enumerate(tree.iterfind("track")):
            _add_track(track, index, path, draft, hold=gaps == "hold")
        # The head's, without parts of skeletons, in front of those that only tracks have.
        heads = (v for v in tree.iterfind("meta/*/labels/label") if not v.findtext("parent"))
        labels.extend(filter(None, (_label(head.findtext("name")) for head in heads)))
        return draft.finished()

    dataset.videos = dataset.each_video(files, read)
    dataset.number_categories([*labels, *(track.category for track in dataset.tracks)])
    return dataset


def _add_track(track: Element, index: int, path: Path, draft: VideoDraft, *, hold: bool) -> None:
    where = f"{path}, track {track.get('id', index)!r:.40}"
    with naming(where):
        label = _label(track.get("label"))
        if not label:
            raise ValueError("has no label")
        shapes = _shapes(track, draft)
    last = None
    for frame in sorted({*shapes, *draft.frames}):
        last = shapes.get(frame, last)
        if last is None or frame not in draft.frames:
            continue
        if frame not in shapes:
            held = "filled with the last shape" if hold else "taken as absent"
            draft.dataset.notes[f"frames between or after a track's shapes {held}"] += 1
            if not hold:
                continue
        with draft.frame(frame, where):
            if isinstance(last, ValueError):
                raise last
            draft.add(index, label, frame, last)


def _shapes(track: Element, draft: VideoDraft) -> dict[int, _Shape]:
    """The shapes of a track by the number of the frame."""
    shapes: dict[int, _Shape] = {}
    numbers = [*draft.frames]
    notes = draft.dataset.notes
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


def _parse(path: Path) -> Element:
    parser = ElementTree.XMLParser(target=_PlainTree())
    with naming(path):
        try:
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


def _shape_mask(shape: Element, size: Size, notes: Counter[str]) -> Rle | None:
    """The mask of a shape whose tag is one of _MASKS, None if it is outside."""
    if _flag(shape, "outside", missing="0"):
        return None
    if not _flag(shape, "keyframe", missing="1"):
        notes["shapes interpolated by CVAT, imported"] += 1
    if shape.tag == "polygon":
        return shapes.from_polygons([_points(shape)], size)
    if shape.tag == "ellipse":
        centre = _number(shape, "cx"), _number(shape, "cy")
        radii = (_number(shape, "rx", least=_SMALLEST), _number(shape, "ry", least=_SMALLEST))
        angle = math.radians(_number(shape, "rotation", missing="0"))
        return shapes.from_ellipse(centre, radii, angle, size)
    window = tuple(whole_number(shape.attrib, k) for k in ("left", "top", "width", "height"))
    runs = [whole_number({"rle": run.strip()}, "rle") for run in shape.get("rle", "").split(",")]
    return shapes.from_window(runs, window, size)


def _points(shape: Element) -> list[float]:
    text = shape.get("points", "")
    pairs = [pair.split(",") for pair in text.split(";")]
    with naming(f"points are {text!r:.80}"):
        points = [float(value) for pair in pairs for value in pair]
    if any(len(pair) != 2 for pair in pairs) or not all(map(math.isfinite, points)):
        raise ValueError(f"points are {text!r:.80}; x,y;x,y;... are needed")
    return points


def _number(
    shape: Element, key: str, *, least: float = -MAX_COORDINATE, missing: str = ""
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


def _flag(shape: Element, key: str, *, missing: str) -> bool:
    text = shape.get(key, missing)
    if text not in ("0", "1"):
        raise ValueError(f"{key} must be 0 or 1, got {text!r:.40}")
    return text == "1"


def _frames_by_number(
    root: Element, path: Path, folder: Path, notes: Counter[str]
) -> dict[int, Path]:
    """The images of a video by CVAT's number of the frame, ascending.

    By number goes only where no other reading is likely: images that start at 1 may be frames
    that start at 0, unless there are as many, which then go by order.
    """
    images = sources.numbered_frames(folder)
    with naming(path):
        stated = _stated_frames(root)
        if stated is None:
            return images
        numbers = list(images)
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
        raise ValueError(
            f"is of {len(stated)} frames, {stated[0]} to {stated[-1]} in steps of {stated.step} "
            f"(start_frame, stop_frame, frame_filter), but {folder} holds {len(images)} images, "
            f"{numbers[0]} to {numbers[-1]}; give one image for each of these frames, or all "
            "images of the video, numbered from 0"
        )


def _stated_size(root: Element) -> Size | None:
    """(H, W) in pixels that the head gives for the video, None if it gives none."""
    sides = [root.findtext(f"meta/*/original_size/{side}", "") for side in ("height", "width")]
    sides = [int(side) for side in sides if side.isdecimal() and len(side) < 10]
    return tuple(sides) if len(sides) == 2 else None


def _stated_frames(root: Element) -> range | None:
    """The numbers of the frames of the task or job that the tracks are of, if its head has them."""
    ids = sorted({track.get("task_id") for track in root.iterfind("track")} - {None})
    if len(ids) > 1:
        raise ValueError(
            f"holds tracks of {len(ids)} tasks (task_id {', '.join(ids)!s:.80}), but a file is "
            "one video; export every task by itself"
        )
    heads = root.findall("meta/project/tasks/task")
    if heads:
        heads = [task for task in heads if task.findtext("id") in ids]
    else:
        heads = [head for head in root.iterfind("meta/*") if head.tag in ("task", "job")]
    keys = ("start_frame", "stop_frame", "frame_filter")
    head = {key: heads[0].findtext(key, "").strip() for key in keys} if heads else {}
    if not {"", "None"}.isdisjoint([head.get(key, "") for key in keys[:2]]):
        return None
    start, stop = (whole_number(head, key) for key in keys[:2])
    if stop < start:
        raise ValueError(f"stop_frame {stop} is before start_frame {start}")
    text = head["frame_filter"]
    step = re.fullmatch(r"(?:step\s*=\s*([1-9][0-9]{0,8}))?", text, re.ASCII)
    if step is None:
        raise ValueError(f"frame_filter is {text!r:.40}; step=<number>, or nothing, is needed")
    return range(start, stop + 1, int(step[1] or 1))
