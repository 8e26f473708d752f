"""Examines the image files of videos."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.pool import ThreadPool
from typing import NamedTuple

from simplevtr.data.doctor.findings import shown_name
from simplevtr.data.doctor.tracks import is_absent
from simplevtr.data.doctor.videos import Video
from simplevtr.formats.images import check_frame, frame_size
from simplevtr.formats.paths import below, existing

from tqdm import tqdm


class Fault(NamedTuple):
    """What is wrong with a frame; ``size`` is that of a frame of another size than its video."""

    defect: str
    detail: str
    size: tuple[int, int] | None = None


def look_at_frames(
    videos: Sequence[Video], image_root: str, *, decode: bool, workers: int
) -> dict[int, dict[int, Fault]]:
    """Read all frames as training does.

    Args:
        videos: the videos.
        image_root: the folder that the file names start at.
        decode: whether to decode whole images, and not only their headers: an image that is cut
            short has a whole header.
        workers: threads.

    Returns:
        The faults of each video that has any, by its id and the frame's number.

    Raises:
        FileNotFoundError: no frame exists, so the folder will be another one.
    """
    frames = [
        (video, number, name)
        for video in videos
        for number, name in enumerate(video.names)
        if name is not None
    ]

    def look(frame: tuple[Video, int, str]) -> Fault | None:
        path = existing(below(image_root, frame[2]))
        return fault(path, frame[0].size, decode=decode)

    faults: dict[int, dict[int, Fault]] = {}
    missing = 0
    with ThreadPool(workers) as pool:
        found = tqdm(
            pool.imap(look, frames, chunksize=8),
            total=len(frames), unit="frame", desc="frames", disable=None,
        )  # fmt: skip
        for (video, number, _), one in zip(frames, found, strict=True):
            if one is not None:
                faults.setdefault(video.id, {})[number] = one
                missing += one.defect == "missing-frame"
    if frames and missing == len(frames):
        first = shown_name(frames[0][2])
        what = f"none of the {missing} frames is below {image_root}, such as {first}"
        raise FileNotFoundError(what)
    return faults


def fault(path: str | os.PathLike[str], size: tuple[int, int], *, decode: bool) -> Fault | None:
    """What is wrong with a frame that should have a (height, width)."""
    try:
        (check_frame if decode else frame_size)(path, size)
        return None
    except FileNotFoundError:
        return Fault("missing-frame", "there is no such file")
    except ValueError as error:
        detail = str(error).replace(f"frame {path} ", "").replace(str(path), "it")
    upright = None
    with suppress(ValueError):
        upright = frame_size(path)
        frame_size(path, size)
        upright = None  # the header fits: what comes after it is broken
    return Fault("unreadable-frame" if upright is None else "frame-size", detail, upright)


def settle_frames(video: Video, faults: dict[int, Fault]) -> None:
    """Count what is wrong with the frames of a video; a size that all agree on becomes its own."""
    for frame, fault in faults.items():
        video.found.at(frame=frame, file=video.names[frame]).add(fault.defect, fault.detail)
    other_size = [frame for frame, fault in faults.items() if fault.size is not None]
    sizes = {faults[frame].size for frame in other_size}
    readable = len(video.file_names()) - (len(faults) - len(other_size))
    if len(sizes) == 1 and len(other_size) == readable and _masks_have(video, *sizes):
        video.size = sizes.pop()
        video.found.repaired("videos took the size of their frames and masks")
        faults = {frame: fault for frame, fault in faults.items() if fault.size is None}
    for frame in faults:
        video.names[frame] = None
    video.found.repaired("frames that cannot be used were taken out", len(faults))


def _masks_have(video: Video, size: tuple[int, int]) -> bool:
    """Whether no mask speaks against a size; polygons do, they could be meant in any."""
    masks = [mask for track in video.tracks for mask in track.entry["segmentations"]]
    return all(
        isinstance(mask, dict) and mask.get("size") == [*size]
        for mask in masks
        if not is_absent(mask)
    )
