"""Examines the image files of videos, and whether they are also in another split."""

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any, NamedTuple

from simplevtr.formats.images import check_frame, frame_size, read_frame
from simplevtr.formats.paths import below, existing, with_slashes
from simplevtr.formats.ytvis import is_absent
from simplevtr.toolbox.doctor.findings import shown_name
from simplevtr.toolbox.doctor.videos import Video

import numpy as np
from tqdm import tqdm

_LEAST_CONTRAST = 16  # of 255; a first frame with less shows nothing, as videos that fade in


class Fault(NamedTuple):
    """What is wrong with a frame; ``size`` is that of a frame of another size than its video."""

    defect: str
    detail: str
    size: tuple[int, int] | None = None


def look_at_frames(
    videos: Sequence[Video], image_root: str, *, decode: bool, workers: int
) -> dict[int, dict[int, Fault]]:
    """Read all frames as training does; their faults by the video's id and the frame's number.

    Without ``decode`` only the headers are read: an image that is cut short has a whole header.

    Raises:
        FileNotFoundError: no frame exists; this is probably the wrong folder.
    """
    frames = [(v, number, name) for v in videos for number, name in enumerate(v.names) if name]

    def look(frame: tuple[Video, int, str]) -> Fault | None:
        path = existing(below(image_root, frame[2]))
        return fault_of(path, frame[0].size, decode=decode)

    faults: dict[int, dict[int, Fault]] = {video.id: {} for video in videos}
    with ThreadPool(workers) as pool:
        found = pool.imap(look, frames, chunksize=8)
        found = tqdm(found, total=len(frames), unit="frame", desc="frames", disable=None)
        for (video, number, _), one in zip(frames, found, strict=True):
            if one is not None:
                faults[video.id][number] = one
    kinds = [one.defect for own in faults.values() for one in own.values()]
    if frames and kinds == ["missing-frame"] * len(frames):
        what = f"none of the {len(frames)} frames is below {image_root}, such as "
        raise FileNotFoundError(what + shown_name(frames[0][2]))
    return faults


def fault_of(path: str | os.PathLike[str], size: tuple[int, int], *, decode: bool) -> Fault | None:
    """What is wrong with a frame that should have a (height, width)."""
    try:
        (check_frame if decode else frame_size)(path, size)
        return None
    except FileNotFoundError:
        return Fault("missing-frame", "there is no such file")
    except ValueError as error:
        detail = str(error).replace(f"frame {path} ", "").replace(str(path), "it")
    with suppress(ValueError):
        upright = frame_size(path)
        try:
            frame_size(path, size)  # the header fits: what comes after it is broken
        except ValueError:
            return Fault("frame-size", detail, upright)
    return Fault("unreadable-frame", detail)


def settle_frames(video: Video, faults: dict[int, Fault]) -> None:
    """Count what is wrong with the frames of a video; a size that all agree on becomes its own."""
    for frame, fault in faults.items():
        video.found.at(frame=frame, file=video.names[frame]).add(fault.defect, fault.detail)
    dropped = [*faults]
    sizes = {fault.size for fault in faults.values() if fault.size is not None}
    if len(sizes) == 1 and len(faults) == len(video.file_names()):
        size, masks = sizes.pop(), (mask for t in video.tracks for mask in t.entry["segmentations"])
        # Polygons speak against it: they could be meant in any size.
        if all(is_absent(m) or (isinstance(m, dict) and m.get("size") == [*size]) for m in masks):
            video.size = size
            dropped = [frame for frame, fault in faults.items() if fault.size is None]
            video.found.repaired("videos took the size of their frames and masks")
    for frame in dropped:
        video.names[frame] = None
    video.found.repaired("frames that cannot be used were taken out", len(dropped))


class Split(NamedTuple):
    """What videos of another split are recognised by."""

    title: str  # its path
    image_root: str | None  # the folder that its file names start at, None if unknown
    files: set[str]  # its file names
    folders: set[str]  # that are in them
    first_frames: dict[bytes, Path]  # their paths by content's digest; empty without image root


def read_split(content: dict[str, Any], title: str, image_root: str | None) -> Split:
    """What is needed of the content of an annotation file; broken entries add nothing."""
    names_of_videos = [
        [name for name in video["file_names"] if isinstance(name, str) and name]
        for video in content["videos"]
        if isinstance(video, dict) and isinstance(video.get("file_names"), list)
    ]
    files = {with_slashes(name) for names in names_of_videos for name in names}
    split = Split(title, image_root, files, {*map(os.path.dirname, files)} - {""}, {})
    if image_root is not None:
        for names in tqdm(names_of_videos, unit="video", desc="other split", disable=None):
            if first := _first_frame(image_root, names):
                split.first_frames.setdefault(*first)
    return split


def examine_leaks(videos: Sequence[Video], split: Split, image_root: str | None) -> None:
    """Count the videos that another split has too, and drop those whose images are the same.

    Where the images of both are known, they decide, by first frames and by names of the same files;
    else names do, which may be equal by chance.
    """
    roots = [root for root in (image_root, split.image_root) if root is not None]
    known = len(roots) == 2
    same = known and os.path.samefile(*roots)
    files = split.files if same or not known else set()
    here = {os.path.dirname(with_slashes(n)) for video in videos for n in video.file_names()}
    # One folder of all frames says nothing.
    by_folder = not known or (same and len(here | split.folders) > 1)
    for video in tqdm(videos, unit="video", desc="leaks", disable=None):
        names = [*map(with_slashes, video.file_names())]
        first = _first_frame(roots[0], names) if known else None
        other = first and split.first_frames.get(first[0])
        shared = [name for name in names if name in files]
        folders = [folder for folder in map(os.path.dirname, names) if folder in split.folders]
        if first and other and _shows_something(first[1]):
            found, detail = video.found.at(file=names[0]), f"is also {shown_name(str(other))}"
            repair = "videos of another split were dropped"
            video.dropped |= found.add("leaked-frame", detail, repair)
        elif shared:
            detail = f"{len(shared)} of its file names are also in {split.title}"
            video.found.at(file=shared[0]).add("leaked-file", detail)
        elif folders and by_folder:
            detail = f"a folder of this name is also in {split.title}"
            video.found.at(file=folders[0]).add("leaked-name", detail)


def _first_frame(image_root: str, names: list[str]) -> tuple[bytes, Path] | None:
    """The digest of a first frame's content, and its path; None if it cannot be read."""
    with suppress(ValueError, OSError, IndexError):  # which is a matter of its own
        path = existing(below(image_root, names[0]))
        if path.is_file():  # pipes and devices could block
            with path.open("rb") as file:
                return hashlib.file_digest(file, "blake2b").digest(), path
    return None


def _shows_something(path: Path) -> bool:
    with suppress(ValueError, OSError):
        return int(np.ptp(read_frame(path), axis=(0, 1)).max()) >= _LEAST_CONTRAST
    return False
