"""Examines the image files of videos."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from simplevtr.data.doctor.findings import Findings, shown_name
from simplevtr.data.doctor.records import Video, is_absent
from simplevtr.formats.images import check_frame, frame_size
from simplevtr.formats.paths import below, existing

from tqdm import tqdm

_Size = tuple[int, int]  # height, width
_BATCH = 1024  # frames that are handed to the threads at once


class Fault(NamedTuple):
    """What is wrong with a frame; ``size`` is that of a frame of another size than its video."""

    defect: str
    detail: str
    size: _Size | None = None


Faults = dict[int, Fault]
"""The faults of a video's frames, by their number."""


def look_at_frames(
    videos: Iterable[Video], image_root: str, *, decode: bool, workers: int | None
) -> dict[int, Faults]:
    """Read all frames as training does.

    Args:
        videos: the videos.
        image_root: the folder that the file names start at.
        decode: whether to decode whole images, and not only their headers: an image that is cut
            short has a whole header.
        workers: threads; None for one for each CPU core.

    Returns:
        The faults of each video that has any, by its id.

    Raises:
        FileNotFoundError: no frame exists, so the folder will be another one.
    """
    frames = [
        (video, number)
        for video in videos
        for number, name in enumerate(video.names)
        if name is not None
    ]

    def look(frame: tuple[Video, int]) -> Fault | None:
        video, number = frame
        path = existing(below(image_root, video.names[number]))
        return fault(path, (video.height, video.width), decode=decode)

    faults: dict[int, Faults] = {}
    missing = 0
    workers = workers or len(os.sched_getaffinity(0))
    with (
        ThreadPoolExecutor(max_workers=workers) as pool,
        tqdm(total=len(frames), unit="frame", desc="frames", disable=None) as bar,
    ):
        for start in range(0, len(frames), _BATCH):
            batch = frames[start : start + _BATCH]
            for (video, number), found in zip(batch, pool.map(look, batch), strict=True):
                bar.update()
                if found is not None:
                    faults.setdefault(video.id, {})[number] = found
                    missing += found.defect == "missing-frame"
    if frames and missing == len(frames):
        first = frames[0][0].names[frames[0][1]]
        raise FileNotFoundError(
            f"none of the {missing} frames is below {image_root}, such as {shown_name(first)}"
        )
    return faults


def fault(path: str | os.PathLike[str], size: _Size, *, decode: bool) -> Fault | None:
    """What is wrong with a frame that should have a (height, width)."""
    try:
        (check_frame if decode else frame_size)(path, size)
        return None
    except FileNotFoundError:
        return Fault("missing-frame", "there is no such file")
    except ValueError as error:
        detail = str(error).replace(f"frame {path} ", "").replace(str(path), "it")
    upright = _size(path)
    if upright is None or _size(path, size) is not None:
        return Fault("unreadable-frame", detail)
    return Fault("frame-size", detail, upright)


def _size(path: str | os.PathLike[str], expected: _Size | None = None) -> _Size | None:
    try:
        return frame_size(path, expected)
    except ValueError:
        return None


def settle_frames(video: Video, faults: Faults, findings: Findings) -> None:
    """Count what is wrong with the frames of a video; a size that all agree on becomes its own."""
    for frame, found in faults.items():
        place = video.place.but(frame=frame, file=video.names[frame])
        findings.add(found.defect, place, found.detail)
    sizes = {found.size for found in faults.values()} - {None}
    readable = len(video.file_names()) - sum(found.size is None for found in faults.values())
    agreeing = sum(found.size is not None for found in faults.values())
    if len(sizes) == 1 and agreeing == readable and _masks_have(video, *sizes):
        video.height, video.width = sizes.pop()
        findings.repaired("videos took the size of their frames and masks")
        faults = {frame: found for frame, found in faults.items() if found.size is None}
    video.lost.update(faults)
    findings.repaired("frames that cannot be used were taken out", len(faults))


def _masks_have(video: Video, size: _Size) -> bool:
    """Whether no mask speaks against a size; polygons do, they could be meant in any."""
    masks = [m for track in video.tracks for m in track.segmentations if not is_absent(m)]
    return all(isinstance(mask, dict) and mask.get("size") == [*size] for mask in masks)
