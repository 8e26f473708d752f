"""The sound of a video, carried into the mp4 that is made of its frames."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

from simplevtr.video_io.sound_encoder import encoded
from simplevtr.video_io.video_source import open_file
from simplevtr.video_io.video_stream import pick_stream

import av

logger = logging.getLogger(__name__)

# What mp4 files hold and players play, by the names of its decoders; anything else becomes AAC.
_COPIED = ("aac", "ac3", "alac", "eac3", "flac", "mp3", "mp3float", "opus")
_TRIED = 50  # packets, to find out whether a sound can be decoded


class SoundCopy:
    """The sound of a file, written beside its pictures as these come, and no further.

    Packets are copied as they are where mp4 can hold them; otherwise the sound is encoded anew.
    Time zero is the first frame of the file's video.
    """

    def __init__(
        self, container: av.container.InputContainer, output: av.container.OutputContainer,
        packets: Iterator[tuple[Fraction, av.Packet]],
    ):  # fmt: skip
        """Take (start in seconds, packet of a stream of ``output``) in order; see ``begin``."""
        self._container, self._output = container, output
        self._packets = packets
        self._waiting: tuple[Fraction, av.Packet] | None = None
        self._done = False

    @classmethod
    def begin(cls, path: Path, output: av.container.OutputContainer) -> SoundCopy | None:
        """Add a sound stream to ``output``; must come before its first packet.

        Returns:
            None, after a warning, if the file has no sound that can be read.
        """
        try:
            origin = _first_picture(path)
            container = open_file(path)
        except ValueError as error:
            logger.warning("the result has no sound: %s", error)
            return None
        stream = _best_stream(container)
        if stream is None:
            logger.warning("%s: it has no sound, nor has the result", path)
        elif stream.codec_context is not None:
            if stream.codec_context.name in _COPIED and _fits(path):
                copy = output.add_stream_from_template(stream)
                return cls(container, output, _copied(container, stream, copy, origin))
            if _can_be_decoded(path):
                return cls(container, output, encoded(container, stream, output, origin))
        if stream is not None:
            logger.warning("%s: its sound cannot be read; the result has none", path)
        container.close()
        return None

    def write_until(self, seconds: Fraction) -> None:
        """Write what begins before ``seconds``."""
        while not self._done:
            try:
                if self._waiting is None:
                    self._waiting = next(self._packets, None)
                if self._waiting is None:
                    self._done = True
                    return
                start, packet = self._waiting
                if start >= seconds:
                    return
                self._waiting = None
                self._output.mux(packet)
            except (av.FFmpegError, ValueError) as error:
                self._done = True
                logger.warning(
                    "%s: its sound is damaged; the result has what was read before (%s)",
                    self._container.name, error,
                )  # fmt: skip

    def finish(self, seconds: Fraction) -> None:
        """Write the rest that begins before ``seconds``, and close the file that is read."""
        self.write_until(seconds)
        self.close()

    def close(self) -> None:
        """Close the file that is read."""
        self._done = True
        self._container.close()


def _best_stream(container: av.container.InputContainer) -> av.AudioStream | None:
    """The sound stream a player would choose."""
    return container.streams.best("audio")


def _first_picture(path: Path) -> Fraction:
    """Seconds on the file's clock at which its first frame is shown; 0 if it has no video."""
    with open_file(path) as container:
        if not container.streams.video:
            return Fraction(0)
        stream = pick_stream(container, str(path))
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                continue
            if frames:
                pts = frames[0].pts
                return Fraction(0) if pts is None else pts * Fraction(frames[0].time_base)
    return Fraction(0)


def _fits(path: Path) -> bool:
    """Whether mp4 takes the packets: a header cannot be taken back once it is refused."""
    with open_file(path) as container:
        stream = _best_stream(container)
        try:
            with av.open(io.BytesIO(), "w", format="mp4") as trial:
                copy = trial.add_stream_from_template(stream)
                for _, packet in islice(_copied(container, stream, copy, Fraction(0)), 3):
                    trial.mux(packet)
        except (av.FFmpegError, ValueError):
            return False
    return True


def _can_be_decoded(path: Path) -> bool:
    """Whether there is a sound in the first packets."""
    with open_file(path) as container:
        for packet in islice(container.demux(_best_stream(container)), _TRIED):
            try:
                if packet.decode():
                    return True
            except av.FFmpegError:
                continue
    return False


def _copied(
    container: av.container.InputContainer, stream: av.AudioStream, copy: av.AudioStream,
    origin: Fraction,
) -> Iterator[tuple[Fraction, av.Packet]]:  # fmt: skip
    """The packets of ``stream``, for ``copy``, from the one that sounds at ``origin``."""
    tick = Fraction(stream.time_base)
    zero = round(origin / tick)
    last: int | None = None
    for packet in container.demux(stream):
        if packet.dts is None:  # the mark of the end
            continue
        pts = packet.dts if packet.pts is None else packet.pts
        # A packet that ends just there is kept: decoders need the one before the first sound.
        if pts + (packet.duration or 0) < zero or (last is not None and packet.dts <= last):
            continue
        last = packet.dts
        packet.pts, packet.dts = pts - zero, packet.dts - zero
        packet.stream = copy
        yield packet.pts * tick, packet
