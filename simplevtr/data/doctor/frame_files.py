"""Examines the image files of videos."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from simplevtr.data.doctor.findings import Findings, shown_name
from simplevtr.data.doctor.records import Video, is_absent
from simplevtr.formats.images import UNREADABLE, open_image

from PIL import UnidentifiedImageError
from tqdm import tqdm

_Size = tuple[int, int]  # height, width


def examine_frame_files(
    videos: Iterable[Video], image_root: str, findings: Findings, *, decode: bool, workers: int
) -> int:
    """Count what is wrong with the frames of videos; a size that all agree on becomes the video's.

    Args:
        videos: changed: frames that cannot be used are marked as lost.
        image_root: the folder that the file names start at.
        findings: where the defects go.
        decode: whether to decode whole images, and not only their headers.
        workers: threads; several hide the latency of a network's file system.

    Returns:
        The number of files looked at.

    Raises:
        FileNotFoundError: there is none of them, so that the folder will be another one.
    """
    videos = list(videos)
    files = sum(len(video.file_names()) for video in videos)
    present = False
    with (
        ThreadPoolExecutor(max_workers=workers) as pool,
        tqdm(total=files, unit="frame", desc="frames", disable=None) as bar,
    ):
        for video in videos:
            frames = [frame for frame, name in enumerate(video.names) if name is not None]
            paths = [os.path.join(image_root, video.names[frame]) for frame in frames]
            found = list(pool.map(lambda path: frame_size(path, decode=decode), paths))
            present = present or any(size is not None for size in found)
            _examine_video(video, dict(zip(frames, found, strict=True)), findings)
            bar.update(len(paths))
    if files and not present:
        first = next(name for video in videos for name in video.file_names())
        raise FileNotFoundError(
            f"none of the {files} frames is below {image_root}, such as {shown_name(first)}"
        )
    return files


def frame_size(path: str, *, decode: bool = False) -> _Size | str | None:
    """(height, width) in pixels; None if there is no such file; why it cannot be read."""
    if not os.path.isfile(path):  # no pipes and devices either, which could block
        return None
    try:
        with open_image(path) as image:
            if decode:
                image.convert("RGB")
            return image.height, image.width
    except UnidentifiedImageError:
        return "is no image of a known format"
    except UNREADABLE as error:
        return f"{type(error).__name__}: {str(error).replace(path, 'it')}"


def _examine_video(video: Video, found: dict[int, _Size | str | None], findings: Findings) -> None:
    sizes = {frame: size for frame, size in found.items() if isinstance(size, tuple)}
    common = set(sizes.values())
    stated = (video.height, video.width)
    for frame, size in found.items():
        place = video.place.but(frame=frame, file=video.names[frame])
        if size is None:
            findings.add("missing-frame", place, "there is no such file")
        elif isinstance(size, str):
            findings.add("unreadable-frame", place, size)
        elif size != stated:
            detail = f"has {_text(size)} pixels (height x width), the video {_text(stated)}"
            findings.add("frame-size", place, detail)
    if len(common) == 1 and common != {stated} and _masks_have(video, *common):
        video.height, video.width = stated = common.pop()
        findings.repaired("videos took the size of their frames and masks")
    lost = [frame for frame, size in found.items() if size != stated]
    video.lost.update(lost)
    findings.repaired("frames that cannot be used were taken out", len(lost))


def _masks_have(video: Video, size: _Size) -> bool:
    """Whether no mask speaks against a size; polygons do, they could be meant in any."""
    masks = [m for track in video.tracks for m in track.segmentations if not is_absent(m)]
    return all(isinstance(mask, dict) and mask.get("size") == [*size] for mask in masks)


def _text(size: _Size) -> str:
    return f"{size[0]}x{size[1]}"
