"""The video stream of an open container, decoded frame by frame whatever state it is in."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain

from simplevtr.video_io.frame_source import FrameSource
from simplevtr.video_io.frame_times import FrameTiming, Timeline

import av
import numpy as np

logger = logging.getLogger(__name__)

_HOPELESS = 1000  # packets without a single frame


class StreamReader:
    """Decodes one pass of a container's first video stream; broken packets are left out.

    Attributes:
        fps: frames per second as the container states, or as guessed from the first packets.
        length: number of frames that the container states; None if it does not.
        seconds: from the first frame to the end, as the container states; None if it does not.
        count: frames given so far.
        bad_packets: packets left out so far.
        bad_tail: whether no frame came after the latest of them.
        error: why reading ended before the end, or None.
        timeline: the times of the frames given.
        sample_aspect_ratio: of the first frame, upright; 1 before it is read.
    """

    def __init__(self, container: av.container.InputContainer, name: str):
        """Prepare to read; ``name`` begins messages.

        Raises:
            ValueError: there is no video, or none that can be decoded.
        """
        self._container, self._name = container, name
        self._stream = stream = _pick_stream(container, name)
        # Threads that take a frame each hold back as many frames of a camera, and lose good frames
        # beside a broken one, how many depends on the number of cores.
        stream.thread_type = "SLICE"
        rate = stream.average_rate or stream.guessed_rate
        self.fps = Fraction(rate) if rate else None
        self.length = stream.frames or None
        tick = Fraction(stream.time_base or Fraction(1, 90000))
        self.seconds = stream.duration * tick if self.length and stream.duration else None
        self.count = self.bad_packets = 0
        self.bad_tail = False
        self.error: str | None = None
        self.sample_aspect_ratio = Fraction(1)
        jumps = bool(int(container.format.flags) & av.format.Flags.ts_discont.value)
        self.timeline = Timeline(self.fps, tick, may_jump=jumps)
        # What holds for the first frame holds for all: a stream may change its size or be turned.
        self._shape: tuple[int, int] | None = None
        self._turn = (False, False, False)
        self._resized = False

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield (H, W, 3) uint8 RGB frames, upright, all of the first one's size."""
        packets = self._container.demux(self._stream)
        while self.count or self.bad_packets < _HOPELESS:
            try:
                packet = next(packets, None)
            except av.FFmpegError as error:
                self.error = error.strerror
                return
            if packet is None:
                return
            yield from self._decoded(packet)

    def _decoded(self, packet: av.Packet) -> Iterator[np.ndarray]:
        try:
            frames = packet.decode()
        except av.error.EOFError:
            return
        except av.FFmpegError:
            self.bad_packets += 1
            self.bad_tail = True
            return
        for frame in frames:
            if self._shape is None:
                self._learn(frame)
            self.timeline.add(frame.pts, frame.duration)
            self.bad_tail = False
            self.count += 1
            yield self._upright(frame)

    def _learn(self, frame: av.VideoFrame) -> None:
        self._shape = (frame.height, frame.width)
        self._turn = _turn(frame)
        ratio = self._stream.sample_aspect_ratio or self._stream.codec_context.sample_aspect_ratio
        if ratio:
            self.sample_aspect_ratio = 1 / Fraction(ratio) if self._turn[0] else Fraction(ratio)

    def _upright(self, frame: av.VideoFrame) -> np.ndarray:
        height, width = self._shape
        if (frame.height, frame.width) != self._shape and not self._resized:
            self._resized = True
            logger.warning(
                "%s: frame %d is %dx%d pixels, the first one %dx%d; it and those after it are "
                "brought to the first one's size",
                self._name, self.count - 1, frame.width, frame.height, width, height,
            )  # fmt: skip
        image = frame.to_ndarray(format="rgb24", height=height, width=width)
        swap_axes, flip_rows, flip_columns = self._turn
        image = image.swapaxes(0, 1) if swap_axes else image
        image = image[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]
        return np.ascontiguousarray(image)


class StreamSource(FrameSource):
    """What video files, cameras and addresses share: the frames of a ``StreamReader``."""

    def _begin(self, container: av.container.InputContainer) -> Iterator[np.ndarray]:
        """Set the attributes from an open container and its first frame; return its frames.

        Raises:
            ValueError: there is no video, or none that can be decoded.
        """
        self._reader = reader = StreamReader(container, self.path)
        self.fps, self.length = reader.fps, reader.length
        frames = iter(reader)
        first = next(frames, None)
        if first is None:
            why = reader.error or f"{reader.bad_packets} packets are broken"
            raise ValueError(f"{self.path}: no frame of this video can be decoded ({why})")
        self.size = first.shape[:2]
        self.sample_aspect_ratio = reader.sample_aspect_ratio
        return chain((first,), frames)

    def timing(self, index: int) -> FrameTiming | None:
        """When frame ``index`` of the latest pass is shown."""
        return self._reader.timeline.timing(index)


def _pick_stream(container: av.container.InputContainer, name: str) -> av.VideoStream:
    # The cover picture of a sound file is a "video" of one frame; leave it out.
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            if stream.codec_context is None:
                raise ValueError(f"{name}: no decoder for its video is in this build of PyAV")
            return stream
    raise ValueError(
        f"{name}: not a video or image that PyAV/PIL can read (it has no video stream)"
    )


def _turn(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """How a stored frame becomes upright, to the nearest quarter turn, as players do it.

    Phones film lying on their side, or mirrored, and store that as a display matrix.

    Returns:
        Whether its axes are swapped, and whether rows and columns are flipped then.
    """
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
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
