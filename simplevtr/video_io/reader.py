"""Frames in: a video file, a folder of images, a glob or several images, one frame at a time.

A source can be iterated several times; each pass reads the files anew, so that memory holds one
frame however long the video is.
"""

from __future__ import annotations

import glob
import logging
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageOps

logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
# FFmpeg follows these to further files or addresses, which nobody asked it to read.
_PLAYLISTS = {"hls", "concat", "dash"}


class FrameSource(ABC):
    """A sequence of RGB frames of one size that can be iterated more than once.

    Attributes:
        path: what is read, as the user wrote it, for messages.
        files: the files that are read.
        size: (H, W) of every frame in pixels, as displayed.
        fps: frames per second, exact; None where nothing says it (image sequences).
        length: number of frames; None where it is known only after reading (some video
            containers). A damaged video may give fewer.
        names: one file name a frame for image sequences (unique, in order); None for videos.
    """

    path: str
    files: list[Path]
    size: tuple[int, int]
    fps: Fraction | None = None
    length: int | None = None
    names: list[str] | None = None

    @abstractmethod
    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield (H, W, 3) uint8 RGB frames in display order."""

    def uneven_times(self) -> list[Fraction] | None:
        """Display times in seconds from the first frame, for a video of variable frame rate.

        None where ``fps`` says everything. Known for the frames of the latest pass.
        """
        return None


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Sort key that compares runs of digits by value: "frame2" before "frame10"."""
    parts = re.split(r"([0-9]+)", name)
    return [int(p) if i % 2 else p.lower() for i, p in enumerate(parts)], name


def open_source(path_or_pattern: str | os.PathLike | Sequence[str | os.PathLike]) -> FrameSource:
    """Open a video or image sequence for reading.

    Args:
        path_or_pattern: a video file, an image, a folder of images, a glob pattern
            ("frames/*.png"), or several of these that name images only. Images are always put in
            natural order of their paths.

    Raises:
        FileNotFoundError: nothing has that path, or no file matches the pattern.
        ValueError: a folder without images, or a file that cannot be read as video or image.
    """
    single = isinstance(path_or_pattern, (str, os.PathLike))
    inputs = [path_or_pattern] if single else list(path_or_pattern)
    paths = [path for item in inputs for path in _expand(os.fspath(item))]
    if not paths:
        raise ValueError("no input was given: name a video, a folder of images or a pattern")
    shown = " ".join(os.fspath(item) for item in inputs)
    if len(paths) == 1 and not _is_image(paths[0]):
        return _VideoSource(paths[0])
    for path in paths:
        if not _is_image(path):
            raise ValueError(
                f"{path}: several inputs must all be images ({', '.join(IMAGE_SUFFIXES)}); "
                "videos are read one at a time"
            )
    return _ImageSource(sorted(paths, key=lambda path: natural_key(str(path))), shown)


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def _expand(item: str) -> list[Path]:
    """The files that one input stands for, in no particular order."""
    path = Path(item).expanduser()
    if path.is_dir():
        # Names with a leading dot are the file manager's, such as "._00001.jpg".
        frames = [p for p in path.iterdir() if _is_image(p) and not p.name.startswith(".")]
        if not frames:
            raise ValueError(f"{path}: no frames ({', '.join(IMAGE_SUFFIXES)}) in this folder")
        return frames
    if path.exists():
        return [path]
    if glob.has_magic(item):
        matches = [Path(match) for match in glob.glob(str(path), recursive=True)]
        if not matches:
            raise FileNotFoundError(f"{item}: no file matches this pattern")
        return matches
    raise FileNotFoundError(f"{item}: no such file or folder")


class _ImageSource(FrameSource):
    def __init__(self, paths: list[Path], shown: str):
        self.files = paths
        self.path = shown
        self.length = len(paths)
        self.size = _read_image(paths[0]).shape[:2]
        names = [path.name for path in paths]
        # Images from several folders may share names, which then cannot name output files.
        self.names = names if len(set(names)) == len(names) else None

    def __iter__(self) -> Iterator[np.ndarray]:
        for path in self.files:
            frame = _read_image(path)
            if frame.shape[:2] != self.size:
                (h, w), (first_h, first_w) = frame.shape[:2], self.size
                raise ValueError(
                    f"{path} is {w}x{h} pixels, but the first frame {self.files[0]} is "
                    f"{first_w}x{first_h}; all frames of a video must have one size"
                )
            yield frame


def _read_image(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as image:
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise ValueError(
            f"{path}: not a video or image that PyAV/PIL can read ({error})"
        ) from error


class _VideoSource(FrameSource):
    def __init__(self, path: Path):
        self._file = path
        self.files = [path]
        self.path = str(path)
        self._times: list[Fraction] | None = []
        self._warned = False
        with self._open() as container:
            stream = _video_stream(container, path)
            rate = stream.average_rate or stream.guessed_rate
            self.fps = Fraction(rate) if rate else None
            self.length = stream.frames or None
        first = next(iter(self), None)
        if first is None:
            raise ValueError(f"{path}: no frame of this video can be decoded")
        self.size = first.shape[:2]

    def _open(self) -> av.container.InputContainer:
        try:
            # "file:" keeps a name with a colon in it from being taken for an address.
            container = av.open(f"file:{self._file}")
        except (av.FFmpegError, OSError) as error:
            raise ValueError(
                f"{self._file}: not a video or image that PyAV/PIL can read ({error})"
            ) from error
        if _PLAYLISTS & set(container.format.name.split(",")):
            container.close()
            raise ValueError(f"{self._file}: a playlist of other files, not a video")
        return container

    def __iter__(self) -> Iterator[np.ndarray]:
        self._times = []
        count = 0
        damage = None
        shape: tuple[int, int] | None = None
        with self._open() as container:
            stream = _video_stream(container, self._file)
            stream.thread_type = "AUTO"
            try:
                for frame in container.decode(stream):
                    shape = shape or (frame.height, frame.width)  # a stream may change its size
                    self._note_time(frame)
                    count += 1
                    yield _upright(frame, shape)
            except av.FFmpegError as error:
                damage = str(error)
            self._report_damage(count, damage, _seconds(stream))

    def _note_time(self, frame: av.VideoFrame) -> None:
        if self._times is None or frame.pts is None or frame.time_base is None:
            self._times = None
            return
        self._times.append(frame.pts * Fraction(frame.time_base))

    def _report_damage(self, count: int, damage: str | None, seconds: Fraction | None) -> None:
        """Say once when the video ends before its header says so."""
        cut = bool(self.length and count < self.length)
        if cut and damage is None and self._times and self.fps and seconds is not None:
            # An edit list may hide frames that the header counts; nothing is missing then.
            cut = self._times[-1] - self._times[0] + 2 / self.fps < seconds
        if self._warned or count == 0 or not (damage or cut):
            return
        self._warned = True
        of = f" of {self.length}" if self.length else ""
        logger.warning(
            "%s: damaged; the first %d%s frames can be read and are kept (%s)",
            self.path, count, of, damage or "the file ends early",
        )  # fmt: skip

    def uneven_times(self) -> list[Fraction] | None:
        if not self._times or self.fps is None:
            return None
        times = [time - self._times[0] for time in self._times]
        # Containers round times, to milliseconds for instance; within half a frame that is even.
        if all(
            abs(time - i / self.fps) * self.fps <= Fraction(1, 2) for i, time in enumerate(times)
        ):
            return None
        return times


def _video_stream(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    # The cover picture of a sound file is a "video" of one frame; leave it out.
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    raise ValueError(
        f"{path}: not a video or image that PyAV/PIL can read (it has no video stream)"
    )


def _seconds(stream: av.VideoStream) -> Fraction | None:
    if stream.duration is None or stream.time_base is None:
        return None
    return stream.duration * Fraction(stream.time_base)


def _upright(frame: av.VideoFrame, shape: tuple[int, int]) -> np.ndarray:
    """The frame as (H, W, 3) uint8 RGB, turned as the container's rotation says."""
    height, width = shape
    image = frame.to_ndarray(format="rgb24", height=height, width=width)
    # Counterclockwise quarter turns; players ignore other angles too.
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image
