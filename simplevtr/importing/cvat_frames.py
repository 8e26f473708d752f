"""Which images CVAT's numbers of frames are."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from simplevtr.formats.checks import whole_number
from simplevtr.importing.dataset import ImportLog, Size, naming
from simplevtr.importing.sources import numbered_frames


def frames_by_number(
    root: ElementTree.Element, path: Path, folder: Path, log: ImportLog
) -> dict[int, Path]:
    """The images of a video by CVAT's number of the frame, ascending.

    By number goes only where no other reading is likely: images that start at 1 may be frames
    that start at 0, unless there are as many, which then go by order.
    """
    images = numbered_frames(folder)
    with naming(path):
        stated = _stated_frames(_task(root))
        if stated is None:
            return images
        numbers = list(images)
        surplus = len(images) - len(stated)
        if not surplus:
            note = "videos whose images have other numbers than CVAT's frames, taken in order"
            log.notes[note] += numbers != list(stated)
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
            f"{numbers[0]} to {numbers[-1]}; give one image for each of these frames, or all "
            "images of the video, numbered from 0"
        )


def stated_size(root: ElementTree.Element) -> Size | None:
    """(H, W) in pixels that the head gives for the video, None if it gives none."""
    sides = [root.findtext(f"meta/*/original_size/{side}", "") for side in ("height", "width")]
    sides = [int(side) for side in sides if side.isdecimal() and len(side) < 10]
    return tuple(sides) if len(sides) == 2 else None


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
    head = {} if task is None else {key: task.findtext(key, "").strip() for key in keys}
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
