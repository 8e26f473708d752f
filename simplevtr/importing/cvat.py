"""CVAT for video 1.1: an XML file of tracks, whose shapes are listed frame by frame."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from xml.etree import ElementTree

from simplevtr.formats.paths import existing
from simplevtr.importing.categories import numbered_categories
from simplevtr.importing.cvat_shapes import MASKS, OTHER_SHAPES, shape_mask, whole_number
from simplevtr.importing.dataset import (
    ImportedDataset,
    ImportLog,
    Rle,
    naming,
    require_choice,
)
from simplevtr.importing.folders import files_of, numbered_frames, require_folder
from simplevtr.importing.video_draft import Size, VideoDraft

from tqdm import tqdm

GAPS = ("absent", "hold")


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

    Returns:
        The videos in natural order of their names; categories are the labels of the files.

    Raises:
        FileNotFoundError: the source, a folder or a frame is missing.
        ValueError: a file cannot be used; the message says which, where and why.
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
    found = []
    for path in tqdm(files, desc="cvat", unit="video", disable=None):
        with log.part("videos"):
            folder = existing(images / path.stem)
            if path == source and not folder.is_dir():
                folder = images
            root = _parse(path)
            found.append(_read_video(root, path, folder, gaps == "hold", log).finished(images))
            labels = [*_labels(root), *labels, *map(_label, root.iterfind("track"))]
    categories = numbered_categories(labels)
    return ImportedDataset(images, found, categories, log.notes, log.broken)


def _task(root: ElementTree.Element) -> ElementTree.Element | None:
    """The head of the task or job that the tracks are of, None if there is none."""
    ids = sorted({track.get("task_id") for track in root.iterfind("track")} - {None})
    if len(ids) > 1:
        raise ValueError(
            f"holds tracks of {len(ids)} tasks (task_id {', '.join(ids)!s:.80}), but a file is "
            "one video; export every task by itself"
        )
    tasks = root.findall("meta/project/tasks/task")
    if tasks:
        return next((task for task in tasks if task.findtext("id") in ids), None)
    return next((head for head in root.iterfind("meta/*") if head.tag in ("task", "job")), None)


def _stated_frames(task: ElementTree.Element | None) -> range | None:
    """The numbers of the frames that a task or job has; None if its head does not give them."""
    keys = ("start_frame", "stop_frame", "frame_filter")
    texts = {} if task is None else {key: task.findtext(key, "").strip() for key in keys}
    ends = [texts.get(key, "") for key in keys[:2]]
    if not {"", "None"}.isdisjoint(ends):
        return None
    for key, end in zip(keys, ends, strict=False):
        if not (end.isascii() and end.isdecimal() and len(end) < 10):
            raise ValueError(f"{key} is {end!r:.40}; a number >= 0 is needed")
    text = texts["frame_filter"]
    step = re.fullmatch(r"(?:step\s*=\s*([1-9][0-9]{0,8}))?", text, re.ASCII)
    if step is None:
        raise ValueError(f"frame_filter is {text!r:.40}; step=<number>, or nothing, is needed")
    start, stop = map(int, ends)
    if stop < start:
        raise ValueError(f"stop_frame {stop} is before start_frame {start}")
    return range(start, stop + 1, int(step[1] or 1))


def _matched(
    images: dict[int, Path], folder: Path, stated: range | None, log: ImportLog
) -> dict[int, Path]:
    """The images by CVAT's number of the frame, ascending.

    By number goes only where no other reading is likely: images that start at 1 may be frames
    that start at 0, unless there are as many, which then go by order.
    """
    if stated is None:
        return images
    numbers = list(images)
    surplus = len(images) - len(stated)
    if not surplus:
        if numbers != list(stated):
            log.notes[
                "videos whose images have other numbers than CVAT's frames, taken in order"
            ] += 1
        return dict(zip(stated, images.values(), strict=True))
    if surplus > 0 and numbers[0] == 0 and all(number in images for number in stated):
        log.notes["images of frames that a file is not of left out"] += surplus
        return {number: images[number] for number in stated}
    if surplus < 0 and numbers[0] == stated[0] and all(number in stated for number in numbers):
        log.notes["frames without an image left out"] -= surplus
        return images
    raise ValueError(
        f"is of {len(stated)} frames, {stated[0]} to {stated[-1]} in steps of {stated.step} "
        f"(start_frame, stop_frame, frame_filter), but {folder} holds {len(images)} images, "
        f"{numbers[0]} to {numbers[-1]}; give one image for each of these frames, or all images of "
        "the video, numbered from 0"
    )


def _read_video(
    root: ElementTree.Element, path: Path, folder: Path, hold: bool, log: ImportLog
) -> VideoDraft:
    """The tracks of a file, whose frames are in a folder."""
    pictures = numbered_frames(folder)
    with naming(path):
        frames = _matched(pictures, folder, _stated_frames(_task(root)), log)
    places = {number: t for t, number in enumerate(frames)}
    stated = dict.fromkeys(places.values(), _original_size(root))
    draft = VideoDraft(log, path.stem, [*frames.values()], stated=stated)
    for index, track in enumerate(root.iterfind("track")):
        where = f"{path}, track {track.get('id', index)!r:.40}"
        with naming(where):
            label = _label(track)
            if not label:
                raise ValueError("has no label")
            shapes = _shapes(track, places, draft.size, log)
        for t, shape in _filled(shapes, places, hold, log).items():
            with draft.frame(t, where):
                if isinstance(shape, ValueError):
                    raise shape
                draft.add(index, label, t, shape)
    return draft


def _original_size(root: ElementTree.Element) -> Size | None:
    """(H, W) in pixels that the head gives for the video, None if it gives none."""
    sides = [root.findtext(f"meta/*/original_size/{side}", "") for side in ("height", "width")]
    sides = [int(side) for side in sides if side.isdecimal() and len(side) < 10]
    return tuple(sides) if len(sides) == 2 else None


def _label(track: ElementTree.Element) -> str:
    return unicodedata.normalize("NFC", track.get("label", ""))


# What a track has in a frame: a mask, None where it is outside, or why it cannot be used
_Shapes = dict[int, Rle | ValueError | None]


def _shapes(
    track: ElementTree.Element, places: dict[int, int], size: Size, log: ImportLog
) -> _Shapes:
    """The shapes of a track by CVAT's number of the frame."""
    shapes: _Shapes = {}
    numbers = list(places)
    for shape in track:
        if shape.tag == "track":
            log.notes["tracks within tracks (parts of skeletons) left out"] += 1
            continue
        if shape.tag in OTHER_SHAPES:
            log.notes[f"shapes of kind {shape.tag} left out"] += 1
            continue
        if shape.tag not in MASKS:
            raise ValueError(f"unknown shape {shape.tag!r:.40}; {', '.join(MASKS)} are imported")
        frame = whole_number(shape, "frame")
        with naming(f"frame {frame}"):
            if frame in shapes:
                raise ValueError("the track has a second shape in the same frame")
            try:
                shapes[frame] = shape_mask(shape, size, log.notes)
            except ValueError as error:
                shapes[frame] = ValueError(f"frame {frame}: {error}")
            # A track's end may stand in the frame after the last one.
            if shapes[frame] is not None and frame not in places:
                raise ValueError(
                    f"there is no image of it; there are of frames {numbers[0]} to {numbers[-1]}"
                )
    shown = [frame for frame, mask in shapes.items() if mask is not None]
    log.notes["tracks with one shape only"] += len(shown) == 1
    # CVAT exports shapes of no track as tracks of one, and leaves out their end in the last frame.
    if [*shapes] == shown == numbers[-2:-1]:
        shapes[numbers[-1]] = None
    return shapes


def _filled(shapes: _Shapes, places: dict[int, int], hold: bool, log: ImportLog) -> _Shapes:
    """Shapes by place of the frame, where the object shows; in gaps the last one, with ``hold``."""
    filled: _Shapes = {}
    last = None
    for frame in sorted({*shapes, *places}):
        listed = frame in shapes
        last = shapes[frame] if listed else last
        if last is None or frame not in places:
            continue
        if not listed:
            held = "filled with the last shape" if hold else "taken as absent"
            log.notes[f"frames between or after a track's shapes {held}"] += 1
        if listed or hold:
            filled[places[frame]] = last
    return filled


class _PlainTree(ElementTree.TreeBuilder):
    """Builds a tree without document types, whose entities could grow without end."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Called before any entity is declared."""
        raise ValueError(f"has a DOCTYPE ({name!r:.40}), which is not allowed")


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
    """The labels that the file's head lists, in its order, without parts of skeletons."""
    whole = (v for v in root.iterfind("meta/*/labels/label") if not v.findtext("parent"))
    names = (unicodedata.normalize("NFC", label.findtext("name", "")) for label in whole)
    return [name for name in names if name]
