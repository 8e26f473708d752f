"""Encoded video as frames: video files, and cameras and addresses, which can be read only once."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import Any

from simplevtr.video_io.frame_source import FrameSource, FrameTiming, Timeline

import av
import numpy as np
from av.container import InputContainer

logger = logging.getLogger(__name__)

_DEPENDENT = 1 << 19  # a part of another stream's picture; PyAV has no name for it
_LOG = Lock()  # FFmpeg has one log for all threads
_HOPELESS = 1000  # packets without a single frame
# FFmpeg follows these to other files or addresses, which the user did not name.
_PLAYLISTS = {"hls", "concat", "dash", "sdp", "imf"}
# A server may send a playlist; it must not lead to files of this machine.
_PROTOCOLS = "http,https,httpproxy,tls,crypto,data,tcp,udp,rtp,srtp,rtmp,rtmps,rtmpt,srt"


class StreamReader:
    """Decodes one pass of a container's first video stream; broken packets are left out.

    ``name`` begins messages; ValueError if there is no video that can be decoded.
    """

    def __init__(self, container: InputContainer, name: str):
        self._name, self.container = name, container
        self._stream = stream = _pick_stream(container, name)
        # Threads that take a frame each hold back as many frames of a camera, and lose good frames
        # next to a broken one, how many depends on the number of cores.
        stream.thread_type = "SLICE"
        rate = stream.average_rate or stream.guessed_rate
        self.fps = Fraction(rate) if rate else None
        # Each of the next two is None where the container does not state it.
        self.seconds = _seconds(stream)
        self.length = stream.frames or None
        # The header of an mp4 in fragments counts the frames of the first one.
        if self.length and self.seconds and self.fps and self.seconds * self.fps > self.length + 1:
            self.length = None
        self.bad_packets = 0  # packets left out so far
        self.bad_tail = False  # whether no later packet gave a frame
        # Frames that FFmpeg filled up or complains about, or whose packet has a gap before it
        self.bad_frames = 0
        self.error: str | None = None  # why reading ended before the end
        self.sample_aspect_ratio = Fraction(1)  # of the first frame, upright, once it is read
        tick = Fraction(stream.time_base or Fraction(1, 90000))
        self.timeline = Timeline(self.fps, tick, may_jump=clock_may_jump(container))

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield (H, W, 3) uint8 RGB frames, upright, all of the first one's size."""
        # What holds for the first frame holds for all: a stream may change its size or be turned.
        size, turn, resized = None, (False, False, False), False
        for frame in self._decoded():
            if size is None:
                size, turn = (frame.height, frame.width), _turn(frame)
                own, codecs = self._stream.sample_aspect_ratio, self._stream.codec_context
                if ratio := own or codecs.sample_aspect_ratio:
                    self.sample_aspect_ratio = Fraction(ratio) ** (-1 if turn[0] else 1)
            elif (frame.height, frame.width) != size and not resized:
                resized = True
                sizes = frame.width, frame.height, size[1], size[0]
                text = "%s: from frame %d on, %dx%d pixels are resized to the first one's %dx%d"
                logger.warning(text, self._name, len(self.timeline), *sizes)
            self.timeline.add(frame.pts, frame.duration, frame.dts)
            image = frame.to_ndarray(format="rgb24", height=size[0], width=size[1])
            swap_axes, flip_rows, flip_columns = turn
            image = image.swapaxes(0, 1) if swap_axes else image
            image = image[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]
            yield np.ascontiguousarray(image)

    def _decoded(self) -> Iterator[av.VideoFrame]:
        for packet in self._packets():
            try:
                with _LOG, _complaints() as complaints:
                    frames = packet.decode()
            except av.error.EOFError:
                continue
            except av.FFmpegError:
                self.bad_packets += 1
                self.bad_tail = True
                if not len(self.timeline) and self.bad_packets >= _HOPELESS:
                    return
                continue
            marked = sum(frame.is_corrupt for frame in frames)
            self.bad_frames += max(marked, int(packet.is_corrupt), int(bool(complaints)))
            self.bad_tail &= not (frames and packet.size)  # an empty one gives what was held back
            yield from frames

    def _packets(self) -> Iterator[av.Packet]:
        """All packets, then an empty one, for which a decoder gives the frames that it holds."""
        try:
            yield from self.container.demux(self._stream)
        except av.FFmpegError as error:
            self.error = error.strerror
            last = av.Packet()
            last.stream = self._stream
            yield last


class VideoSource(FrameSource):
    """Encoded video: a file, which each pass reads anew, or a live stream, which is read once.

    The first frame is decoded at once; ValueError if that fails. Memory holds one frame however
    long the video is.
    """

    def __init__(self, container: InputContainer, path: str, file: Path | None = None) -> None:
        self.path, self.live, self.files = path, file is None, [] if file is None else [file]
        self.sound_file = file if container.streams.audio else None
        self._reader = reader = StreamReader(container, path)
        self.fps, self.length = reader.fps, reader.length
        frames = iter(reader)
        first = next(frames, None)
        if first is None:
            why = reader.error or f"{reader.bad_packets} packets are broken"
            raise ValueError(f"{path}: no frame of this video can be decoded ({why})")
        self.size, self.sample_aspect_ratio = first.shape[:2], reader.sample_aspect_ratio
        self._frames = chain((first,), frames) if self.live else None  # until they are read

    def __iter__(self) -> Iterator[np.ndarray]:
        if not self.live:
            self._reader = reader = StreamReader(open_file(self.files[0]), self.path)
            return self._pass(reader, iter(reader))
        if self._frames is None:
            raise ValueError(f"{self.path}: a live source can be read only once")
        frames, self._frames = self._frames, None
        return self._pass(self._reader, frames)

    def _pass(self, reader: StreamReader, frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        with reader.container:
            yield from frames
        self._report_damage(reader)

    def _report_damage(self, reader: StreamReader) -> None:
        """Warn once when frames are missing, or a video ends earlier than its header states."""
        count = len(reader.timeline)
        cut = bool(self.length and count < self.length)
        if reader.seconds and self.fps and (cut or self.length is None):
            # An edit list may hide frames that the header counts; nothing is missing then.
            cut = reader.timeline.end() + 1 / self.fps < reader.seconds
        if self.damage or count == 0:
            return
        if reader.bad_packets and not (reader.error or reader.bad_tail):
            first, why = "", f"{reader.bad_packets} packets between them are broken"
        elif cut or reader.error or reader.bad_packets:
            kind = "stream" if self.live else "file"
            first, why = "the first ", reader.error or f"the {kind} ends early"
        elif reader.bad_frames:
            first, why = "", f"errors in at least {reader.bad_frames} of them"
        else:
            return
        frames = f"{first}{count}{f' of {self.length}' if self.length else ''} frames"
        what = "broke off" if self.live and reader.error else "damaged"
        self.damage = f"{what}; {frames} can be read and are kept ({why})"
        logger.warning("%s: %s", self.path, self.damage)

    def timing(self, index: int) -> FrameTiming | None:
        """See ``FrameSource``."""
        return self._reader.timeline.timing(index)

    def close(self) -> None:
        """See ``FrameSource``."""
        self._frames = None
        self._reader.container.close()


@contextmanager
def _complaints() -> Iterator[list]:
    """What FFmpeg logs as errors meanwhile: decoders of H.264 say in no other way what is lost."""
    before = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture(local=False) as found:
            yield found
    finally:
        av.logging.set_level(before)


def open_video(path: Path) -> VideoSource:
    """Open a video file; ValueError if it is not one."""
    with open_file(path) as container:
        return VideoSource(container, str(path), path)


def open_live(
    address: str, shown: str, *, format: str | None = None, timeout: float = 20.0
) -> VideoSource:
    """Open a camera or connect to an address, which stays open; ValueError if that fails.

    ``shown`` stands for the address in messages; ``format`` is FFmpeg's name of the format, None to
    find out; an answer, and later the next data, may take ``timeout`` seconds.
    """
    options = {} if format else {"protocol_whitelist": _PROTOCOLS, "rtsp_flags": "prefer_tcp"}
    try:
        more: Any = {"format": format, "metadata_errors": "replace", "timeout": timeout}
        container = av.open(address, container_options=options, **more)
        if container.format.name == "mpjpeg":  # pictures without times: those of their arrival
            container.close()
            options["use_wallclock_as_timestamps"] = "1"
            container = av.open(address, container_options=options, **more)
    except (av.FFmpegError, OSError) as error:
        # The error's own text and the chain would show the address with its password.
        late = isinstance(error, av.error.ExitError)
        reason = f"no answer within {timeout:g} s" if late else error.strerror
        raise ValueError(f"{shown}: cannot be opened as a video ({reason})") from None
    try:
        return VideoSource(container, shown)
    except ValueError:
        container.close()
        raise


def open_file(path: Path) -> InputContainer:
    """Open a local media file, from which FFmpeg may not go on to the network.

    ValueError: it cannot be read, or is a playlist of other files.
    """
    try:
        # "file:" keeps a name with a colon in it from being taken for an address. Titles and the
        # like may be in any encoding.
        options = {"protocol_whitelist": "file"}
        container = av.open(f"file:{path}", container_options=options, metadata_errors="replace")
        reason = "a playlist of other files"
        if not _PLAYLISTS & set(container.format.name.split(",")):
            return container
        container.close()
    except (av.FFmpegError, OSError) as error:
        reason = error.strerror or str(error)
    raise ValueError(f"{path}: not a video or image that PyAV/PIL can read ({reason})")


def clock_may_jump(container: InputContainer) -> bool:
    """Whether times of this format may jump ahead without a pause."""
    flags: Any = container.format.flags  # an int, which PyAV's stubs do not say
    return bool(flags & av.format.Flags.ts_discont.value)


def _seconds(stream: av.VideoStream) -> Fraction | None:
    """Seconds from the first frame to the end, as the container states them.

    Matroska counts no frames. It writes "00:01:23.450000000" as a tag: the time of the end.
    """
    tick = Fraction(stream.time_base or 0)
    if stream.frames and stream.duration:
        return stream.duration * tick
    if found := re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", "")):
        hours, minutes, seconds = map(Fraction, found.groups())
        return 3600 * hours + 60 * minutes + seconds - (stream.start_time or 0) * tick
    return None


def _pick_stream(container: InputContainer, name: str) -> av.VideoStream:
    # The cover picture of a sound file is a "video" of one frame: left out; an animated AVIF begins
    # with a still picture; a stream may refine another one.
    found = container.streams.video
    if sum(bool(stream.disposition & _DEPENDENT) for stream in found) > 1:
        raise ValueError(f"{name}: a picture in tiles (HEIC); save it as a JPEG or PNG")
    left_out = av.stream.Disposition.attached_pic | _DEPENDENT
    streams = [stream for stream in found if not stream.disposition & left_out]
    streams.sort(key=lambda stream: stream.frames == 1)
    if streams and not streams[0].frames:  # not counted; FFmpeg has looked at the first ones
        best = container.streams.best("video")
        streams = [best] if best in streams else streams
    for stream in streams:
        if stream.codec_context is None:
            raise ValueError(f"{name}: no decoder for its video is in this build of PyAV")
        return stream
    raise ValueError(f"{name}: not a video or image that PyAV/PIL can read (no video stream)")


def _turn(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """How a stored frame becomes upright: swapped axes, then flipped rows, flipped columns.

    Phones film lying on their side, or mirrored, and store that as a display matrix; players turn
    by the nearest quarter.
    """
    try:
        matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # a kind of side data that this PyAV has no name for
        quarter = round(frame.rotation / 90) % 4  # counterclockwise
        return quarter % 2 == 1, quarter in (1, 2), quarter in (2, 3)
    if matrix is None:
        return False, False, False
    # x' = a x + c y and y' = b x + d y, with y pointing down.
    a, b, _, c, d, *_ = (int(number) for number in np.frombuffer(bytes(matrix), dtype=np.int32))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return False, d < 0, a < 0
    return True, b < 0, c < 0
