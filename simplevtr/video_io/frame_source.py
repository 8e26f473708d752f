"""The interface of all sources of frames, and when the frames of a video are shown."""

import math
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

# Streams that are sent rather than stored reset their clocks now and then; none of them has as few
# as one picture in ten seconds.
JUMP = 10  # seconds
BACK = Fraction(1, 5)  # seconds; rounding takes less from a clock


@dataclass(frozen=True)
class FrameTiming:
    """When one frame is shown, in exact seconds from the start of the first frame."""

    start: Fraction
    duration: Fraction


class Timeline:
    """The times of a video's frames: always increasing, the first at 0, 24 bytes per frame.

    ``tick`` is the container's unit of time in seconds. Clocks that jump back (joined recordings, a
    camera that restarts) go on where they were; with ``may_jump`` also those that jump ahead by
    more than 10 s. Some containers (AVI, ASF, MXF) have the times in the order in which frames are
    decoded: they go back while those of decoding do not, and those of decoding count then.
    """

    def __init__(self, fps: Fraction | None, tick: Fraction, *, may_jump: bool = False):
        self._parts = math.ceil(fps * tick) if fps else 1  # of a tick, for frames that share one
        self._fps, self._tick, self._may_jump = fps, tick / self._parts, may_jump
        self._step = max(1, round(1 / (fps * self._tick))) if fps else 1
        self._origin = 0  # ticks on the container's clock that are time 0
        self._starts, self._durations = array("q"), array("q")
        # Ticks at which the frames were decoded, as long as these rise; None: they do not.
        self._decoded: array[int] | None = array("q")
        self._by_decoding = False

    def __len__(self) -> int:
        return len(self._starts)

    def add(self, pts: int | None, duration: int | None, dts: int | None = None) -> None:
        """Note the next frame: its time and duration in ticks, None or 0 where unknown.

        ``dts`` is the time of the packet that was decoded last, None if unknown.
        """
        pts, duration, dts = (t and t * self._parts for t in (pts, duration, dts))
        if self._by_decoding:
            pts = dts
        elif self._decoded is not None and pts is not None:
            if dts is None or (self._decoded and dts <= self._decoded[-1]):
                self._decoded = None
            elif self._starts and pts - self._origin < self._starts[-1]:
                self._by_decoding, self._origin, pts = True, self._decoded[0], dts
                self._starts = array("q", (past - self._origin for past in self._decoded))
            else:
                self._decoded.append(dts)
        if not self._starts:
            start, self._origin = 0, pts or 0
        elif pts is None and self._by_decoding:  # was held back until the packets had ended
            start = 2 * self._starts[-1] - self._starts[-2]
        else:
            last = self._starts[-1]
            due = last + self._durations[-1]
            shown = due if pts is None else pts - self._origin
            start = max(shown, last + 1)
            ahead = self._may_jump and (shown - due) * self._tick > JUMP
            if ahead or (last - shown) * self._tick > BACK:
                start, self._origin = due, self._origin + shown - due
        self._starts.append(start)
        self._durations.append(duration if duration and duration > 0 else self._step)

    def timing(self, index: int) -> FrameTiming:
        """When frame ``index`` is shown; IndexError if it has not been read.

        Containers round times, to milliseconds for instance; what is less than a tick from what the
        frame rate says is taken to be exactly that. A whole tick may be a frame that is missing.
        """
        start, duration = self._starts[index] * self._tick, self._durations[index] * self._tick
        if self._fps:
            if abs(start - index / self._fps) < self._parts * self._tick:
                start = index / self._fps
            if abs(duration - 1 / self._fps) < self._parts * self._tick:
                duration = 1 / self._fps
        return FrameTiming(start, duration)

    def origin(self) -> Fraction:
        """Seconds on the container's clock at which the first frame is shown."""
        return self._origin * self._tick

    def end(self) -> Fraction:
        """Seconds from the first frame's start to the last one's end; 0 without frames."""
        return (self._starts[-1] + self._durations[-1]) * self._tick if self._starts else Fraction()


class FrameSource(ABC):
    """A sequence of RGB frames of one size."""

    path: str  # the input as the user wrote it, but without passwords, for messages
    files: list[Path]  # that are read; empty for cameras and addresses
    size: tuple[int, int]  # (H, W) of every frame in pixels, upright
    fps: Fraction | None = None  # exact; None if unknown (image sequences)
    # Number of frames; None where it is known only after reading (some video containers) or there
    # is no end. A damaged video may have fewer.
    length: int | None = None
    names: list[str] | None = None  # of the files of an image sequence, unique; None for videos
    live: bool = False  # cameras and addresses, which can be iterated only once
    damage: str = ""  # what the passes so far found missing, in words
    sound_file: Path | None = None  # the file whose sound track belongs to the frames
    sample_aspect_ratio: Fraction = Fraction(1)  # width of a pixel relative to its height

    @abstractmethod
    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield (H, W, 3) uint8 RGB in display order; ValueError if a live source was read."""

    def timing(self, index: int) -> FrameTiming | None:
        """When frame ``index`` of the latest pass is shown; None for images, which have no times.

        IndexError: that frame has not been read.
        """
        return None

    def close(self) -> None:
        """Release a camera or connection that is not read to its end; files do not need it."""
        return
