"""From seconds to the ticks of a container that is written."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from simplevtr.video_io.frame_times import FrameTiming

_FINE = 90_000  # ticks a second, at least; the usual clock of video
_MOST = 1_000_000  # ticks a second; a container's limit is not far beyond


class Clock:
    """Says when each frame is shown, in ticks, always later than the one before.

    Attributes:
        fps: frames per second where no times are given.
        tick: seconds.
    """

    def __init__(self, fps: Fraction, times: Sequence[Fraction] | None, tick: Fraction):
        """Start at frame 0; ``times[i]`` seconds hold where a frame comes without its timing."""
        self.fps, self.tick = fps, tick
        self._times = times
        self._next = Fraction(0)  # seconds
        self._last = -1

    @classmethod
    def fine(cls, fps: Fraction, times: Sequence[Fraction] | None) -> Clock:
        """A clock in which frames of a constant rate last a whole number of ticks each."""
        ticks = fps.numerator
        if ticks > _MOST:
            return cls(fps, times, Fraction(1, _FINE))
        return cls(fps, times, Fraction(1, ticks * -(-_FINE // ticks)))

    def span(self, index: int, timing: FrameTiming | None) -> tuple[int, int]:
        """Start and duration of the next frame, which is number ``index``, in ticks."""
        if timing is not None:
            start, duration = timing.start, timing.duration
        else:
            start, duration = self._next, 1 / self.fps
            if self._times is not None:
                start = self._times[index]
        self._next = start + duration
        first = max(round(start / self.tick), self._last + 1)
        self._last = first
        return first, max(1, round(self._next / self.tick) - first)
