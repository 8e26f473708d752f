"""Frames in: a video file, images, a camera or an address, by what the user wrote."""

import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path

from simplevtr.formats.images import IMAGE_SUFFIXES, is_image, picture_count
from simplevtr.formats.paths import existing
from simplevtr.video_io.frame_source import FrameSource
from simplevtr.video_io.image_source import ImageSource, PictureSource, images_in
from simplevtr.video_io.video_source import VideoSource, open_live, open_video

_SCHEMES = ("http", "https", "rtmp", "rtmps", "rtp", "rtsp", "rtsps", "srt", "tcp", "udp")


def open_source(
    path_or_pattern: str | os.PathLike | Sequence[str | os.PathLike], *, timeout: float = 20.0
) -> FrameSource:
    """Open a video, image sequence, camera or network stream for reading.

    Args:
        path_or_pattern: a video file (also an animated image, or a TIFF with several pages), an
            image, a folder of images, a glob pattern ("frames/*.png"), or several of these that
            name images only; images are always put in natural order of their paths. Or a camera:
            its number ("0") where no file has that name, or "/dev/video0". Or an address,
            "rtsp://..." for instance.
        timeout: seconds to wait for an address to answer, and later for its next data.

    Raises:
        FileNotFoundError: nothing has that path, no file matches the pattern, or there is no such
            camera.
        ValueError: a folder without images or with images of several kinds, two images that differ
            in nothing but the suffix, what cannot be read as video or image, or an address of an
            unknown kind or without an answer.
    """
    if isinstance(path_or_pattern, (str, os.PathLike)):
        path_or_pattern = [path_or_pattern]
    inputs = [os.fspath(item) for item in path_or_pattern]
    if len(inputs) == 1 and (live := _open_live(inputs[0], timeout)) is not None:
        return live
    if addresses := [item for item in inputs if "://" in item]:
        raise ValueError(f"{redacted(addresses[0])}: an address is read alone, without others")
    paths = [path for item in inputs for path in _expand(item)]
    if not paths:
        raise ValueError("no input was given: name a video, a folder of images or a pattern")
    if len(paths) == 1 and not is_image(paths[0]):
        return open_video(paths[0])
    if len(paths) == 1 and picture_count(paths[0]) > 1:
        return PictureSource(paths[0])
    if videos := [path for path in paths if not is_image(path)]:
        allowed = f"several inputs must all be images ({', '.join(IMAGE_SUFFIXES)})"
        raise ValueError(f"{videos[0]}: {allowed}; videos are read one at a time")
    return ImageSource(paths, " ".join(inputs))


def _expand(item: str) -> list[Path]:
    """The files that one input stands for, in no particular order."""
    path = existing(os.path.expanduser(item))
    if path.is_dir():
        return images_in(path)
    if path.exists():
        if not path.is_file():
            raise ValueError(f"{item}: is a device or pipe; videos of files are read several times")
        return [path]
    if not glob.has_magic(item):
        raise FileNotFoundError(f"{item}: no such file or folder")
    if matches := [Path(match) for match in glob.glob(str(path), recursive=True)]:
        return matches
    raise FileNotFoundError(f"{item}: no file matches this pattern")


def _open_live(text: str, timeout: float) -> VideoSource | None:
    """A camera (of Linux, video4linux) or an address; None where a text stands for neither."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text):
        if text.split("://", 1)[0].lower() not in _SCHEMES:
            raise ValueError(f"{redacted(text)}: unknown scheme; allowed: {', '.join(_SCHEMES)}")
        return open_live(text, redacted(text), timeout=timeout)
    camera = re.fullmatch(r"(/dev/video)?([0-9]{1,3})", text)
    if camera is None or (camera[1] is None and Path(text).exists()):
        return None
    device = text if camera[1] else f"/dev/video{int(text)}"
    if not Path(device).exists():
        there = ", ".join(sorted(map(str, Path("/dev").glob("video[0-9]*")))) or "none"
        raise FileNotFoundError(f"{text}: no such file, no camera {device} (cameras here: {there})")
    return open_live(device, device, format="v4l2")


def redacted(address: str) -> str:
    """An address without the user's name, password and query, in which secrets are handed over."""
    scheme, _, rest = address.partition("://")
    place, mark, _ = rest.partition("?")
    host, slash, path = place.partition("/")
    user, at, host = host.rpartition("@")
    return f"{scheme}://{'***@' if at else ''}{host}{slash}{path}{'?***' if mark else ''}"
