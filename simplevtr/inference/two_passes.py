"""A video that is read twice, once for its tracks and once for drawing them.

    with outputs:
        draw_tracks(predictor.predict(source), source, outputs)

So no full-size frame is kept, and the classes and scores that are drawn are the final ones.
"""

from collections.abc import Iterator
from threading import Event
from typing import Any

from simplevtr.inference.video_outputs import DrawnOutputs, wanted_in_result
from simplevtr.inference.video_predictor import Frames, VideoPredictor
from simplevtr.tracking import frame_tracks

import numpy as np

OUT_OF_MEMORY = "the GPU's memory is too small; fewer frames need less: --opts TEST.WINDOW 16"


def until_set(stop: Event, frames: Frames) -> Iterator[np.ndarray]:
    """The frames up to the first one after which ``stop`` is set."""
    for frame in frames:
        yield frame
        if stop.is_set():
            return


def draw_tracks(result: dict[str, Any], frames: Frames, outputs: DrawnOutputs) -> None:
    """The second pass: write ``frames``, those that the first one read, with their tracks.

    ``outputs`` are entered. ValueError: the video has fewer frames or another size than it had.
    """
    every = frame_tracks(result)
    for frame, tracks in zip(frames, every, strict=False):
        outputs.write(frame, tracks)
    if (missing := next(every, None)) is not None:
        raise ValueError(
            f"{outputs.source.path}: it gave {result['num_frames']} frames before and "
            f"{missing.index} now; was it changed meanwhile?"
        )


def write_results(predictor: VideoPredictor, outputs: DrawnOutputs, result: dict[str, Any]) -> int:
    """Write results.json if ``outputs`` name one; returns the number of tracks that are wanted."""
    result, targets = wanted_in_result(result, outputs.painter), outputs.targets
    if targets.results:
        predictor.write_results(targets.results, result, overwrite=targets.overwrite)
    return len(result["pred_scores"])
