"""A video file as frames."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from simplevtr.video_io.video_stream import StreamReader, StreamSource

import av
import numpy as np

logger = logging.getLogger(__name__)

# FFmpeg follows these to further files or addresses, which nobody asked it to read.
_PLAYLISTS = {"hls", "concat", "dash", "sdp", "imf"}


class VideoSource(StreamSource):
    """A video file; each pass reads it anew, so that memory holds one frame however long it is."""

    def __init__(self, path: Path):
        """Look into a file and decode its first frame.

        Raises:
            ValueError: it is not a video, a playlist, or no frame can be decoded.
        """
        self.files = [path]
        self.path = str(path)
        self._warned = False
        with open_file(path) as container:
            self._begin(container)
            self.sound = path if container.streams.audio else None

    def __iter__(self) -> Iterator[np.ndarray]:
        with open_file(self.files[0]) as container:
            reader = self._reader = StreamReader(container, self.path)
            yield from reader
            self._report_damage(reader, reader.seconds or _seconds(container))

    def _report_damage(self, reader: StreamReader, seconds: Fraction | None) -> None:
        """Warn once when frames are missing, or the video ends earlier than its header states."""
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


def open_file(path: Path) -> av.container.InputContainer:
    """Open a local media file, from which FFmpeg may not go on to the network.

    Raises:
        ValueError: it cannot be read, or is a playlist of other files.
    """
    try:
        # "file:" keeps a name with a colon in it from being taken for an address.
        container = av.open(f"file:{path}", container_options={"protocol_whitelist": "file"})
        reason = "a playlist of other files"
        if not _PLAYLISTS & set(container.format.name.split(",")):
            return container
        container.close()
    except (av.FFmpegError, OSError) as error:
        reason = error.strerror
    raise ValueError(f"{path}: not a video or image that PyAV/PIL can read ({reason})")


def _seconds(container: av.container.InputContainer) -> Fraction | None:
    """Seconds from the first frame to the end, of Matroska, which counts no frames.

    It writes "00:01:23.450000000" as a tag: the time of the end.
    """
    stream = container.streams.video[0]
    found = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if found is None:
        return None
    hours, minutes, seconds = map(Fraction, found.groups())
    start = (stream.start_time or 0) * Fraction(stream.time_base or 0)
    return 3600 * hours + 60 * minutes + seconds - start
