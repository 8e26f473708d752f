"""A video that is read twice, once for its tracks and once for drawing them.

So no full-size frame is kept, and the classes and scores that are drawn are the final ones.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from threading import Event
from typing import Any, NamedTuple

from simplevtr.inference.video_outputs import DrawnOutputs, wanted_in_result
from simplevtr.inference.video_predictor import Frames, VideoPredictor
from simplevtr.tracking import frame_tracks
from simplevtr.video_io import FrameSource

import numpy as np

OUT_OF_MEMORY = "the GPU's memory is too small; fewer frames need less: --opts TEST.WINDOW 16"
Watched = Callable[[Frames], Frames]  # passes frames on, to show the progress for instance


class FoundTracks(NamedTuple):
    """The result of ``VideoPredictor.predict``, and how many frames were read for it."""

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
    """The first pass, over a source that is not live; ValueError if it has no frames.

    ``watched`` may end early.
    """
    count = 0

    def counted() -> Iterator[np.ndarray]:
        nonlocal count
        for frame in watched(source):
            count += 1
            yield frame

    return FoundTracks(predictor.predict(counted()), count)


def draw_tracks(
    found: FoundTracks, source: FrameSource, outputs: DrawnOutputs, *, watched: Watched = iter
) -> None:
    """The second pass: write the frames that the first one read, if the outputs need any.

    ``outputs`` are entered. ValueError: the video has fewer frames or another size than it had.
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


def write_results(predictor: VideoPredictor, outputs: DrawnOutputs, result: dict[str, Any]) -> int:
    """Write results.json if ``outputs`` name one; returns the number of tracks that are wanted."""
    result, targets = wanted_in_result(result, outputs.painter), outputs.targets
    if targets.results:
        predictor.write_results(targets.results, result, overwrite=targets.overwrite)
    return len(result["pred_scores"])


def find_and_write(
    predictor: VideoPredictor,
    outputs: DrawnOutputs,
    *,
    reading: Watched = iter,
    drawing: Callable[[Frames, int], Frames] = lambda frames, _total: frames,
) -> tuple[int, int]:
    """Both passes, and results.json between them: all that ``outputs`` name.

    ``reading`` watches the first pass and may end early, ``drawing`` the second, whose number of
    frames it is given. Returns the numbers of frames and of wanted tracks; errors are those of
    ``find_tracks``, ``draw_tracks`` and the outputs.
    """
    with outputs:
        found = find_tracks(predictor, outputs.source, watched=reading)
        tracks = write_results(predictor, outputs, found.result)  # drawing may still fail
        draw_tracks(found, outputs.source, outputs, watched=lambda f: drawing(f, found.frames))
    return found.frames, tracks
