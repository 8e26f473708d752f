"""A video file as frames."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from simplevtr.video_io.frame_source import FrameSource
from simplevtr.video_io.frame_times import FrameTiming
from simplevtr.video_io.video_stream import StreamReader, frame_rate, pick_stream

import av
import numpy as np

logger = logging.getLogger(__name__)

# FFmpeg follows these to further files or addresses, which nobody asked it to read.
_PLAYLISTS = {"hls", "concat", "dash", "sdp", "imf"}


class VideoSource(FrameSource):
    """A video file; each pass reads it anew, so that memory holds one frame however long it is."""

    def __init__(self, path: Path):
        """Look into a file and decode its first frame.

        Raises:
            ValueError: it is not a video, a playlist, or no frame can be decoded.
        """
        self._file = path
        self.files = [path]
        self.path = str(path)
        self._warned = False
        with open_file(path) as container:
            stream = pick_stream(container, self.path)
            self.fps = frame_rate(stream)
            self.length = stream.frames or None
            self.sound = path if container.streams.audio else None
            reader = self._reader = StreamReader(container, stream, self.path, self.fps)
            first = next(iter(reader), None)
        if first is None:
            raise ValueError(f"{path}: no frame of this video can be decoded")
        self.size = first.shape[:2]
        self.sample_aspect_ratio = reader.sample_aspect_ratio

    def __iter__(self) -> Iterator[np.ndarray]:
        with open_file(self._file) as container:
            stream = pick_stream(container, self.path)
            # Threads that take a frame each lose good frames beside a broken one, and how many
            # depends on the number of cores.
            stream.thread_type = "SLICE"
            reader = self._reader = StreamReader(container, stream, self.path, self.fps)
            yield from reader
            self._report_damage(reader, _seconds(stream))

    def _report_damage(self, reader: StreamReader, seconds: Fraction | None) -> None:
        """Say once when frames are missing, or the video ends before its header says so."""
        cut = bool(self.length and reader.count < self.length)
        if seconds and self.fps and (cut or self.length is None):
            # An edit list may hide frames that the header counts; nothing is missing then.
            cut = reader.timeline.end() + 1 / self.fps < seconds
        if self._warned or reader.count == 0 or not (cut or reader.error or reader.bad_packets):
            return
        self._warned = True
        of = f" of {self.length}" if self.length else ""
        if reader.error or reader.bad_tail or not reader.bad_packets:
            logger.warning(
                "%s: damaged; the first %d%s frames can be read and are kept (%s)",
                self.path, reader.count, of, reader.error or "the file ends early",
            )  # fmt: skip
            return
        logger.warning(
            "%s: damaged; %d%s frames can be read and are kept "
            "(%d packets between them are broken)",
            self.path, reader.count, of, reader.bad_packets,
        )  # fmt: skip

    def timing(self, index: int) -> FrameTiming | None:
        """When frame ``index`` of the latest pass is shown."""
        return self._reader.timeline.timing(index)

    def uneven_times(self) -> list[Fraction] | None:
        """Display times of the latest pass if the frame rate varies, else None."""
        return self._reader.timeline.uneven()


def open_file(path: Path) -> av.container.InputContainer:
    """Open a local media file, from which FFmpeg may not go on to the network.

    Raises:
        ValueError: it cannot be read, or is a playlist of other files.
    """
    try:
        # "file:" keeps a name with a colon in it from being taken for an address.
        container = av.open(f"file:{path}", container_options={"protocol_whitelist": "file"})
    except (av.FFmpegError, OSError) as error:
        raise ValueError(
            f"{path}: not a video or image that PyAV/PIL can read ({error.strerror})"
        ) from error
    if _PLAYLISTS & set(container.format.name.split(",")):
        container.close()
        raise ValueError(
            f"{path}: not a video or image that PyAV/PIL can read (a playlist of other files)"
        )
    return container


def _seconds(stream: av.VideoStream) -> Fraction | None:
    """Seconds from the first frame to the end, as the file's head says; None where it does not."""
    if stream.frames and stream.duration and stream.time_base:
        return stream.duration * Fraction(stream.time_base)
    # Matroska counts no frames, but writes "00:01:23.450000000" as a tag: the time of the end.
    found = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if found is None:
        return None
    hours, minutes, seconds = map(Fraction, found.groups())
    start = (stream.start_time or 0) * Fraction(stream.time_base or 0)
    return 3600 * hours + 60 * minutes + seconds - start
