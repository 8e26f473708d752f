"""The sound of a video, put into the mp4 that was made of its frames."""

import errno
import heapq
import logging
import math
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import takewhile
from pathlib import Path
from typing import Any

from simplevtr.video_io.frame_source import BACK, JUMP
from simplevtr.video_io.video_source import StreamReader, clock_may_jump, open_file

import av

logger = logging.getLogger(__name__)

# A packet or stream. PyAV has None for an unknown time, which does not occur in these.
_Timed = Any

# What mp4 files hold and players play, by the names of its decoders; anything else becomes AAC.
_COPIED = ("aac", "ac3", "alac", "eac3", "flac", "mp3", "mp3float", "opus")
_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
_FULL = (errno.EDQUOT, errno.EFBIG, errno.ENOSPC)
_BITS = 96_000  # a second and channel of AAC


def add_sound(path: Path, source: Path) -> None:
    """Give a silent mp4 the sound of the file whose frames it shows.

    Time zero is the first frame of the source's video, and the sound ends with the last frame.
    Packets are copied as they are where mp4 can hold them; otherwise the sound is encoded anew.
    Sound that cannot be read is left out with a warning. The silent file is replaced in one step.
    OSError: there is no room for the result.
    """
    target = path.with_name(f"{path.stem}.sound.mp4")
    try:
        with open_file(source) as container:
            stream = container.streams.best("audio")
            if stream is None:
                logger.warning("%s: it has no sound, so neither does the result", source)
                return
            codec = stream.codec_context
            ways = [_copied] * (codec.name in _COPIED) + [_encoded] if codec else []
            reader = StreamReader(container, str(source))
            next(iter(reader), None)
            zero = reader.timeline.origin()
        if any(_combine(path, source, zero, way, target) for way in ways):
            os.replace(target, path)
        else:
            logger.warning("%s: its sound cannot be read; the result has none", source)
    except ValueError as error:
        logger.warning("the result has no sound: %s", error)
    finally:
        target.unlink(missing_ok=True)


def _combine(
    silent: Path, source: Path, zero: Fraction, way: Callable[..., Iterator[_Timed]], target: Path
) -> bool:
    """Write ``target`` with both, side by side; whether there is any sound that an mp4 can hold."""
    heard = False
    try:
        with (
            av.open(f"file:{silent}") as shown,
            open_file(source) as container,
            av.open(f"file:{target}", "w", options={"movflags": "+faststart"}) as output,
        ):
            video: _Timed = shown.streams.video[0]
            end = video.duration * video.time_base
            pictures = _copied(video, output, Fraction(0))
            sound = way(container.streams.best("audio"), output, zero)
            sound = takewhile(lambda packet: packet.pts * packet.time_base < end, sound)
            for packet in heapq.merge(pictures, sound, key=lambda p: p.dts * p.time_base):
                heard = heard or packet.stream.type == "audio"
                output.mux(packet)
    except (av.FFmpegError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            raise
        return False
    return heard


def _copied(
    stream: _Timed, output: av.container.OutputContainer, zero: Fraction
) -> Iterator[_Timed]:
    """The packets of ``stream`` as they are, from the one that is shown or heard at ``zero``."""
    copy = output.add_stream_from_template(stream)
    start = round(zero / stream.time_base)
    last: int | None = None
    for packet in _readable(stream):
        if packet.dts is None:  # the mark of the end
            continue
        # A packet that ends just there is kept: decoders need the one before the first sound.
        ends = packet.pts + (packet.duration or 0)
        if ends < start or (last is not None and packet.dts <= last):
            continue
        last = packet.dts
        packet.pts, packet.dts, packet.stream = packet.pts - start, last - start, copy
        yield packet


def _encoded(
    stream: av.AudioStream, output: av.container.OutputContainer, zero: Fraction
) -> Iterator[av.Packet]:
    """As AAC; more than two channels are mixed into two. What is broken is left out."""
    aac = output.add_stream("aac", rate=stream.rate if stream.rate in _RATES else 48000)
    codec = aac.codec_context
    codec.layout, codec.format = "mono" if stream.channels == 1 else "stereo", "fltp"
    codec.bit_rate = _BITS * codec.channels
    for packet in _readable(stream):
        try:
            frames = packet.decode()
        except av.FFmpegError:
            continue
        for frame in frames:
            if frame.pts is None:
                continue
            frame.pts -= round(zero / frame.time_base)
            if frame.pts + frame.samples / frame.sample_rate / frame.time_base > 0:
                yield from aac.encode(frame)
    yield from aac.encode(None)


def _readable(stream: _Timed) -> Iterator[_Timed]:
    """The packets of a stream up to the end, or to where the file cannot be read further.

    They go on where the clock jumps, as frames do in a ``Timeline``.
    """
    ahead = JUMP if clock_may_jump(stream.container) else math.inf
    shift, due = 0, None  # ticks
    try:
        for packet in stream.container.demux(stream):
            if packet.dts is not None:
                late = 0 if due is None else packet.dts - shift - due
                if not -BACK <= late * stream.time_base <= ahead:
                    shift += late
                packet.dts -= shift
                packet.pts = packet.dts if packet.pts is None else packet.pts - shift
                due = packet.dts + (packet.duration or 0)
            yield packet
    except av.FFmpegError as error:
        found = stream.container.name, error
        logger.warning("%s: its sound is damaged; the result has what was read before (%s)", *found)
