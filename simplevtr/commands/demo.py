r"""Find the tracks of a video of any length; draw them, or write results.json or MOTS pictures.

    python demo/demo.py --config-file CFG --input VIDEO|FRAME_FOLDER|GLOB --output VIDEO|FOLDER \
        --opts MODEL.WEIGHTS model_final.pth MODEL.DEVICE cpu
    python demo/demo.py --weights model.safetensors --input 0 --output camera.mp4

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
from collections.abc import Iterator
from contextlib import closing, contextmanager
from fractions import Fraction
from functools import partial
from itertools import islice
from threading import Event

# These packages import what they hold when it is used: --help need not wait for it.
from simplevtr import inference, tracking, video_io, visualization
from simplevtr.evaluation.scored_video import SCORE_THRESHOLD
from simplevtr.formats.mots import check_classes
from simplevtr.terminal import COUNT, add_model, add_score_threshold, command, counted, number, say

import av
import numpy as np
from tqdm import tqdm

# Options that are arguments of TrackPainter.
PAINTED = ("scale", "draw_masks", "draw_boxes", "draw_labels", "draw_ids", "trail", "side_by_side")
_progress = partial(tqdm, unit="frame", disable=None)


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add_model(parser, opts=True)
    add("--input", required=True, nargs="+",
        help="a video, a folder of images, images (also as a quoted pattern), the number of a "
        "camera, or an address")  # fmt: skip
    add("--output", help=".mp4, .gif, or a folder for images")
    add("--results", metavar="FILE.json", help="also write the tracks as YouTube-VIS results")
    add("--masks", metavar="FOLDER", help="also write one MOTS picture per frame (16-bit PNG)")
    add_score_threshold(parser, SCORE_THRESHOLD)
    add("--classes", nargs="+", metavar="NAME", help="only tracks of these classes")
    add("--boxes", dest="draw_boxes", action="store_true", help="draw bounding boxes")
    frames = number(int, least=0, most=10**6)
    add("--trail", type=frames, default=0, metavar="N", help="draw the path of the last N frames")
    add("--side-by-side", action="store_true", help="show the input to the left of the result")
    shown = {"masks": "masks", "labels": "classes and scores", "ids": "track numbers"}
    for name, what in shown.items():
        add(f"--no-{name}", dest=f"draw_{name}", action="store_false", help=f"draw no {what}")
    add("--no-audio", dest="sound", action="store_false", help="leave out the input's sound")
    add("--fps", type=number(Fraction, above=0),
        help="frames per second of the result, such as 25 or 30000/1001, instead of the input's "
        "times; without sound (default: the input's; 10 for images)")  # fmt: skip
    add("--scale", type=number(above=0), help="size of the result relative to the input "
        "(default: 1; small videos are enlarged so that labels can be read)")  # fmt: skip
    add("--max-frames", type=COUNT, metavar="N", help="read at most N frames")
    add("--timeout", type=number(above=0), default=20.0,
        help="seconds to wait for a camera or an address")  # fmt: skip
    add("--overwrite", action="store_true", help="replace existing results")


@command(_add_options, errors=(av.FFmpegError,))
def main(options: argparse.Namespace) -> None:
    """Find the tracks of ``options.input`` and write what is wanted of them."""
    from simplevtr.config import inference_window
    from simplevtr.run_config import model_cfg

    least = options.score_threshold
    cfg = model_cfg(options.config_file, options.weights, options.opts, least_score=least)
    least = cfg.TEST.SCORE_THRESHOLD
    targets = inference.Targets(options.output, options.masks, options.results, options.overwrite)
    source = video_io.open_source(options.input, timeout=options.timeout)
    targets.check(source)
    predictor = inference.VideoPredictor(cfg)
    names, classes = predictor.class_names, options.classes
    if classes is not None:  # drawn labels are numbers where nobody knows a name
        classes = [int(c) if c.isdecimal() and c not in names else c for c in classes]
    drawn = {name: getattr(options, name) for name in PAINTED}
    painter = visualization.TrackPainter(names, min_score=least, classes=classes, **drawn)
    if targets.masks:
        labels = painter.classes or range(cfg.MODEL.SIMPLEVTR.NUM_CLASSES)
        check_classes(f"--masks {targets.masks}", labels)
    outputs = inference.DrawnOutputs(targets, source, painter, fps=options.fps, sound=options.sound)
    known = [length for length in (source.length, options.max_frames) if length is not None]
    if source.live and not known and not inference_window(cfg):
        found = f"{source.path}: may never end, and TEST.WINDOW 0 waits for the end"
        way_out = "give --max-frames or a number of frames, such as --opts TEST.WINDOW 16"
        raise ValueError(f"{found}; {way_out}")
    find = _draw_live if source.live else _draw_file
    what = "segmenting" if source.live else "reading and segmenting"
    with _stop_on_interrupt() as stop:
        first = islice(inference.until_set(stop, source), options.max_frames)
        shown = _progress(first, desc=what, total=min(known, default=None))
        frames, tracks = find(predictor, outputs, shown)
    written = [path for path in (targets.video, targets.masks, targets.results) if path]
    found = f"{counted(frames, 'frames')}, {counted(tracks, 'tracks')}"
    say(f"wrote {', '.join(written)} ({found} with a score of at least {least:.0%})")


def _draw_file(
    predictor: inference.VideoPredictor, outputs: inference.DrawnOutputs, frames: inference.Frames
) -> tuple[int, int]:
    """Find the tracks, then draw them; the classes and scores drawn are the final ones.

    The numbers of frames and of tracks.
    """
    with outputs:
        result = predictor.predict(frames)
        tracks = inference.write_results(predictor, outputs, result)  # drawing may still fail
        count = result["num_frames"]
        if outputs.wanted:
            again = _progress(islice(outputs.source, count), desc="drawing", total=count)
            outputs.draw(result, again)
    return count, tracks


def _draw_live(
    predictor: inference.VideoPredictor, outputs: inference.DrawnOutputs, frames: inference.Frames
) -> tuple[int, int]:
    """Draw what is final; TEST.WINDOW full-size frames are kept.

    Classes and scores that are drawn are those of the tracks so far, and results.json has those of
    each track's last frame. The numbers of frames and of tracks.
    """
    waiting: deque[np.ndarray] = deque()
    collected, count = tracking.CollectedTracks(outputs.source.size), 0

    def kept() -> Iterator[np.ndarray]:
        for frame in frames:
            waiting.append(frame)
            yield frame

    with closing(outputs.source), outputs:
        for tracks in predictor.stream(kept()):
            count += 1
            outputs.write(waiting.popleft(), tracks)
            if outputs.targets.results:
                collected.extend([tracks])
    inference.write_results(predictor, outputs, collected.so_far())
    return count, len(outputs.shown)


@contextmanager
def _stop_on_interrupt() -> Iterator[Event]:
    """An event that the first Ctrl-C sets; the second one ends the program as usual."""
    stop = Event()

    def interrupt(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        stop.set()
        say("\nfinishing what was read; Ctrl-C again gives up", sys.stderr)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
