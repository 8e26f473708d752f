"""A video that is read twice, once for its tracks and once for drawing them.

So no full-size frame is kept, and the classes and scores that are drawn are the final ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from threading import Event
from typing import Any

from simplevtr.inference.video_outputs import DrawnOutputs
from simplevtr.inference.video_predictor import VideoPredictor
from simplevtr.tracking import frame_tracks
from simplevtr.video_io import FrameSource

import numpy as np

Frames = Iterable[np.ndarray]  # (H, W, 3) uint8 RGB of one size, in order
Watched = Callable[[Frames], Frames]


@dataclass(frozen=True)
class FoundTracks:
    """The tracks of one video.

    Attributes:
        result: of ``VideoPredictor.predict``.
        frames: how many frames were read.
    """

    result: dict[str, Any]
    frames: int


def until_set(stop: Event, frames: Frames) -> Iterator[np.ndarray]:
    """The frames up to the first one after which ``stop`` is set."""
    for frame in frames:
        yield frame
        if stop.is_set():
            return


def find_tracks(
    predictor: VideoPredictor, source: FrameSource, *, watched: Watched = iter
) -> FoundTracks:
    """The first pass.

    Args:
        predictor: finds the tracks.
        source: not a live one.
        watched: passes frames on, to show the progress for instance; may end early.

    Raises:
        ValueError: there are no frames.
    """
    count = 0

    def counted() -> Iterator[np.ndarray]:
        nonlocal count
        for frame in watched(source):
            count += 1
            yield frame

    result = predictor.predict(counted())
    return FoundTracks(result, count)


def draw_tracks(
    found: FoundTracks, source: FrameSource, outputs: DrawnOutputs, *, watched: Watched = iter
) -> None:
    """The second pass: write the frames that the first one read.

    Args:
        found: the tracks.
        source: the same video.
        outputs: entered; nothing is read if they are not ``wanted``.
        watched: passes frames on.

    Raises:
        ValueError: the video has fewer frames or another size than it had.
    """
    if not outputs.wanted:
        return
    frames = iter(watched(islice(source, found.frames)))
    for tracks in frame_tracks(found.result, found.frames):
        frame = next(frames, None)
        if frame is None:
            raise ValueError(
                f"{source.path}: it gave {found.frames} frames before and {tracks.index} now; "
                "was it changed meanwhile?"
            )
        outputs.write(frame, tracks)
    next(frames, None)  # lets what watches see the end
