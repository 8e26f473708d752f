"""Find the tracks of a video of any length; draw them, or write results.json or MOTS pictures.

    python demo/demo.py --config-file CFG --input VIDEO|FRAME_FOLDER|GLOB --output VIDEO|FOLDER \
        --opts MODEL.WEIGHTS model_final.pth MODEL.DEVICE cpu
    python demo/demo.py --config-file CFG --input 0 --output camera.mp4 --opts ...

The result has the input's frames, times and sound. ``--output`` ending in .mp4 or .gif is a video;
a name without suffix is a folder of images. ``--input`` may also be the number of a camera or an
address (rtsp://, http://, ...). Ctrl-C ends the reading; what was read until then is finished, and
a second Ctrl-C gives up.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing
from fractions import Fraction
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any

import av
import numpy as np
import torch
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installation too

from simplevtr import setup_cfg
from simplevtr.inference import (
    DrawnOutputs,
    Targets,
    VideoPredictor,
    draw_tracks,
    find_tracks,
    wanted_in_result,
)
from simplevtr.terminal import command_parser, number, run_command
from simplevtr.tracking import CollectedTracks
from simplevtr.video_io import FrameSource, open_source
from simplevtr.visualization import TrackPainter


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; the exit status is 2 after a user's error and 130 after a second Ctrl-C."""
    return run_command(_parser(), run, arguments, errors=(av.FFmpegError,))


def run(options: argparse.Namespace) -> None:
    """Find the tracks of ``options.input`` and write what is wanted of them."""
    cfg = setup_cfg(options.config_file, options.opts)
    # Tracks that are not drawn need not be in the result.
    cfg.TEST.SCORE_THRESHOLD = max(cfg.TEST.SCORE_THRESHOLD, options.score_threshold)
    targets = Targets(options.output, options.masks, options.results, options.overwrite)
    source = open_source(options.input, timeout=options.timeout)
    targets.check(source)
    predictor = VideoPredictor(cfg)
    painter = TrackPainter(
        predictor.class_names,
        scale=options.scale,
        min_score=options.score_threshold,
        classes=_classes(options.classes, predictor.class_names),
        draw_masks=not options.no_masks,
        draw_boxes=options.boxes,
        draw_labels=not options.no_labels,
        draw_ids=not options.no_ids,
        trail=options.trail,
        side_by_side=options.side_by_side,
    )
    outputs = DrawnOutputs(targets, source, painter, fps=options.fps, sound=not options.no_audio)
    segment = segment_live if source.live else segment_file
    try:
        frames, tracks = segment(predictor, source, targets, outputs, options)
    except torch.OutOfMemoryError:
        raise ValueError(
            "the GPU's memory is too small; fewer frames at once need less: --opts TEST.WINDOW 16"
        ) from None
    written = [path for path in (targets.video, targets.masks, targets.results) if path]
    print(f"wrote {', '.join(written)} ({frames} frames, {tracks} tracks of at least "
          f"{options.score_threshold:.0%})")  # fmt: skip


def segment_file(
    predictor: VideoPredictor,
    source: FrameSource,
    targets: Targets,
    outputs: DrawnOutputs,
    options: argparse.Namespace,
) -> tuple[int, int]:
    """Read the video twice; classes and scores that are drawn are the final ones.

    Returns:
        The numbers of frames and of tracks.
    """
    with _StopOnInterrupt() as stop, outputs:
        found = find_tracks(
            predictor,
            source,
            watched=lambda frames: _progress(
                stop.until_interrupted(islice(frames, options.max_frames)),
                "reading and segmenting", source.length, options.max_frames,
            ),
        )  # fmt: skip
        # At once: drawing may still break off.
        tracks = _write_results(targets, found.result, predictor, outputs)
        draw_tracks(
            found,
            source,
            outputs,
            watched=lambda frames: _progress(frames, "drawing", found.frames),
        )
    return found.frames, tracks


def segment_live(
    predictor: VideoPredictor,
    source: FrameSource,
    targets: Targets,
    outputs: DrawnOutputs,
    options: argparse.Namespace,
) -> tuple[int, int]:
    """Read once and draw what is final; TEST.WINDOW full-size frames are kept.

    Classes and scores that are drawn are those of the tracks so far, and results.json has those of
    each track's last frame.

    Returns:
        The numbers of frames and of tracks.
    """
    waiting: deque[np.ndarray] = deque()
    collected = CollectedTracks(source.size)

    def kept(frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        for frame in frames:
            waiting.append(frame)
            yield frame

    count = 0
    with _StopOnInterrupt() as stop, closing(source), outputs:
        frames = kept(stop.until_interrupted(islice(source, options.max_frames)))
        progress = _progress(frames, "segmenting", source.length, options.max_frames)
        for tracks in predictor.stream(progress):
            outputs.write(waiting.popleft(), tracks)
            count += 1
            if targets.results:
                collected.extend([tracks])
    _write_results(targets, collected.so_far(), predictor, outputs)
    return count, len(outputs.shown)


def _write_results(
    targets: Targets, result: dict[str, Any], predictor: VideoPredictor, outputs: DrawnOutputs
) -> int:
    """Write results.json if it is wanted; returns the number of tracks."""
    result = wanted_in_result(result, outputs.painter)
    if targets.results:
        predictor.write_results(targets.results, result, overwrite=targets.overwrite)
    return len(result["pred_scores"])


class _StopOnInterrupt:
    """Within it, the first Ctrl-C ends the frames instead of the program."""

    def __enter__(self) -> _StopOnInterrupt:
        self._stopped = False
        self._before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *details: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._stopped:
            raise KeyboardInterrupt
        self._stopped = True
        print("\ndemo.py: finishing what was read; Ctrl-C again gives up", file=sys.stderr)

    def until_interrupted(self, frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield frames until Ctrl-C."""
        for frame in frames:
            yield frame
            if self._stopped:
                return


def _progress(
    frames: Iterable[np.ndarray], what: str, *lengths: int | None
) -> Iterable[np.ndarray]:
    known = [length for length in lengths if length is not None]
    return tqdm(frames, desc=what, total=min(known, default=None), unit="frame", disable=None)


def _classes(wanted: list[str] | None, names: list[str]) -> list[str | int] | None:
    """Names as they are; numbers, which drawn labels show where nobody knows a name, as such."""
    if wanted is None:
        return None
    return [int(item) if item.isdecimal() and item not in names else item for item in wanted]


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(__file__, __doc__)
    add = parser.add_argument
    add("--config-file", required=True, help="YAML file of the model")
    add("--input", required=True, nargs="+",
        help="a video, a folder of images, images (also as a quoted pattern), the number of a "
        "camera, or an address")  # fmt: skip
    add("--output", help=".mp4, .gif, or a folder for images")
    add("--results", metavar="FILE.json", help="also write the tracks as YouTube-VIS results")
    add("--masks", metavar="FOLDER", help="also write one MOTS picture per frame (16-bit PNG)")
    add("--score-threshold", type=number(least=0, most=1), default=0.3,
        help="tracks from here on (0 to 1)")  # fmt: skip
    add("--classes", nargs="+", metavar="NAME", help="only tracks of these classes")
    add("--boxes", action="store_true", help="draw bounding boxes")
    add("--trail", type=int, default=0, metavar="N", help="draw the way of the last N frames")
    add("--side-by-side", action="store_true", help="the input at the left of the result")
    add("--no-masks", action="store_true", help="draw no masks")
    add("--no-labels", action="store_true", help="draw no classes and scores")
    add("--no-ids", action="store_true", help="draw no track numbers")
    add("--no-audio", action="store_true", help="leave out the input's sound")
    add("--fps", type=number(Fraction, above=0),
        help="frames per second of the result, such as 25 or 30000/1001 "
        "(default: the input's; 10 for images)")  # fmt: skip
    add("--scale", type=number(above=0), help="size of the result relative to the input "
        "(default: 1; small videos are enlarged so that labels can be read)")  # fmt: skip
    add("--max-frames", type=number(int, least=1), help="read only the first frames")
    add(
        "--timeout",
        type=number(above=0),
        default=20.0,
        help="seconds to wait for a camera or an address",
    )
    add("--overwrite", action="store_true", help="replace existing results")
    add("--opts", nargs=argparse.REMAINDER, default=[], metavar="KEY VALUE",
        help="config options; last on the command line")  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
