"""One video stream of an open container, decoded frame by frame whatever state it is in."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction

from simplevtr.video_io.frame_times import Timeline
from simplevtr.video_io.orientation import Orientation, orientation

import av
import numpy as np

logger = logging.getLogger(__name__)

_HOPELESS = 1000  # packets without a single frame


def pick_stream(container: av.container.InputContainer, name: str) -> av.VideoStream:
    """The container's first video stream.

    Raises:
        ValueError: it has none, or none that can be decoded; ``name`` begins the message.
    """
    # The cover picture of a sound file is a "video" of one frame; leave it out.
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            if stream.codec_context is None:
                raise ValueError(f"{name}: no decoder for its video is in this build of PyAV")
            return stream
    raise ValueError(
        f"{name}: not a video or image that PyAV/PIL can read (it has no video stream)"
    )


def frame_rate(stream: av.VideoStream) -> Fraction | None:
    """Frames per second as the container says, or as guessed from the first packets."""
    rate = stream.average_rate or stream.guessed_rate
    return Fraction(rate) if rate else None


class StreamReader:
    """Decodes one pass of a stream; packets that cannot be decoded are left out.

    Attributes:
        count: frames given so far.
        bad_packets: packets left out so far.
        bad_tail: whether no frame came after the latest of them.
        error: why reading ended before the end, or None.
        timeline: the times of the frames given.
        sample_aspect_ratio: of the first frame, upright; 1 before it is read.
    """

    def __init__(
        self, container: av.container.InputContainer, stream: av.VideoStream, name: str,
        fps: Fraction | None,
    ):  # fmt: skip
        """Prepare to read; ``name`` stands in warnings."""
        self._container, self._stream, self._name = container, stream, name
        self.count = self.bad_packets = 0
        self.bad_tail = False
        self.error: str | None = None
        self.sample_aspect_ratio = Fraction(1)
        self.timeline = Timeline(
            fps,
            Fraction(stream.time_base or Fraction(1, 90000)),
            may_jump=bool(int(container.format.flags) & av.format.Flags.ts_discont.value),
        )
        # What the first frame says holds for all: a stream may change its size or be turned.
        self._shape: tuple[int, int] | None = None
        self._orientation = Orientation()
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
        self._orientation = orientation(frame)
        ratio = self._stream.sample_aspect_ratio or self._stream.codec_context.sample_aspect_ratio
        if ratio:
            ratio = Fraction(ratio)
            self.sample_aspect_ratio = 1 / ratio if self._orientation.swap_axes else ratio

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
        return self._orientation.apply(image)
