"""Overlapping windows of a stream of frames whose length nobody knows."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple


class Window(NamedTuple):
    """Consecutive frames of a video.

    Attributes:
        start: 0-based number of the first.
        frames: at least one.
        settled: frames before this number are seen by no later window.
    """

    start: int
    frames: list
    settled: int


def sliding_windows(frames: Iterable[Any], length: int, stride: int) -> Iterator[Window]:
    """Cut a stream into windows of ``length`` frames, each ``stride`` after the one before.

    The last window is the last ``length`` frames, whatever is left for it, so that no window is
    short; only a video that is shorter gives one of all its frames. At most ``length`` frames are
    held. A window comes as soon as its last frame has been read: frame t is settled once frame
    ``t // stride * stride + length - 1`` was read, or the video has ended.

    Args:
        frames: read once, in order.
        length: frames of a window; 0 for one window of all of them.
        stride: in [1, ``length``]; unused if ``length`` is 0.
    """
    held: list[Any] = []
    read = done = 0  # done: the frames that a window has had
    for frame in frames:
        held.append(frame)
        read += 1
        if length and len(held) > length:
            del held[0]
        if length and read >= length and (read - length) % stride == 0:
            done = read
            yield Window(read - length, list(held), read - length + stride)
    if read > done:
        yield Window(read - len(held), list(held), read)
