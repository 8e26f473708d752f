"""Draw the tracks that a trained model finds in a video.

    python demo/demo.py --config-file CFG --input VIDEO|FRAME_FOLDER|GLOB --output VIDEO|FOLDER \
        --opts MODEL.WEIGHTS model_final.pth MODEL.DEVICE cpu

The result has the input's frames, frame rate and times. ``--output`` ending in .mp4 or .gif is a
video; a name without suffix is a folder of images.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installation too

from simplevtr import setup_cfg
from simplevtr.inference import VideoPredictor
from simplevtr.video_io import FrameSource, check_output, open_sink, open_source
from simplevtr.visualization import TrackPainter

DEFAULT_FPS = Fraction(10)  # of image sequences


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; the exit status is 2 after a user's error and 130 after Ctrl-C."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    options = _parser().parse_args(arguments)
    try:
        run(options)
    except KeyboardInterrupt:
        print("demo.py: interrupted", file=sys.stderr)
        return 130
    except (ValueError, KeyError, OSError, av.FFmpegError) as error:
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        print(f"demo.py: error: {' '.join(str(message).split())}", file=sys.stderr)
        return 2
    return 0


def run(options: argparse.Namespace) -> None:
    """Find the tracks of ``options.input`` and draw them into ``options.output``.

    The video is read twice, for the model and for drawing, so that no full-size frames are kept.
    """
    cfg = setup_cfg(options.config_file, options.opts)
    # The model need not make masks of tracks that are not drawn.
    cfg.TEST.SCORE_THRESHOLD = max(cfg.TEST.SCORE_THRESHOLD, options.score_threshold)
    source = open_source(options.input)
    output = check_output(options.output, overwrite=options.overwrite)
    refuse_own_input(source, output)
    predictor = VideoPredictor(cfg)

    frames = islice(source, options.max_frames)
    result = predictor.predict(_progress(frames, source, options, "reading and segmenting"))
    # Known now that all frames have been read.
    times = source.uneven_times() if options.fps is None else None
    painter = TrackPainter(
        predictor.class_names, scale=options.scale, min_score=options.score_threshold
    )
    with open_sink(
        output,
        options.fps or source.fps or DEFAULT_FPS,
        painter.output_size(source.size),
        times=times,
        names=source.names,
        overwrite=options.overwrite,
    ) as sink:
        frames = islice(source, options.max_frames)
        for picture in painted(_progress(frames, source, options, "drawing"), result, painter):
            sink.write(picture)
    tracks = sum(score >= options.score_threshold for score in result["pred_scores"])
    print(f"wrote {output} ({sink.count} frames, {tracks} tracks of at least "
          f"{options.score_threshold:.0%})")  # fmt: skip


def painted(
    frames: Iterator[np.ndarray], result: dict, painter: TrackPainter
) -> Iterator[np.ndarray]:
    """Yield each frame with the tracks of ``VideoPredictor.predict``'s result drawn on it."""
    shown = [i for i, score in enumerate(result["pred_scores"]) if score >= painter.min_score]
    labels = [result["pred_labels"][i] for i in shown]
    scores = [result["pred_scores"][i] for i in shown]
    for t, frame in enumerate(frames):
        masks = [result["pred_masks"][i][t].numpy() for i in shown]
        stacked = np.stack(masks) if masks else np.zeros((0, *frame.shape[:2]), dtype=bool)
        yield painter.draw(frame, stacked, labels, scores, [i + 1 for i in shown])


def refuse_own_input(source: FrameSource, output: Path) -> None:
    """Raise ValueError if the result would replace what is read."""
    taken = [*source.files, *({file.parent for file in source.files} if source.fps is None else ())]
    if output.exists() and any(output.samefile(path) for path in taken):
        raise ValueError(f"{output}: this is the input; write the result elsewhere")


def _progress(
    frames: Iterator[np.ndarray], source: FrameSource, options: argparse.Namespace, what: str
) -> Iterator[np.ndarray]:
    known = [n for n in (source.length, options.max_frames) if n is not None]
    return tqdm(frames, desc=what, total=min(known, default=None), unit="frame", disable=None)


def _rate(text: str) -> Fraction:
    rate = Fraction(text)
    if rate <= 0:
        raise ValueError(text)
    return rate


def _positive(text: str) -> int:
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--config-file", required=True, help="YAML file of the model")
    add("--input", required=True, nargs="+",
        help="a video, a folder of images, or images (also as a quoted pattern)")  # fmt: skip
    add("--output", required=True, help=".mp4, .gif, or a folder for images")
    add("--score-threshold", type=float, default=0.3, help="draw tracks from here on (0 to 1)")
    add("--fps", type=_rate, help="frames per second of the result, such as 25 or 30000/1001 "
        "(default: the input's; 10 for images)")  # fmt: skip
    add("--scale", type=float, help="size of the result relative to the input "
        "(default: 1; small videos are enlarged so that labels can be read)")  # fmt: skip
    add("--max-frames", type=_positive, help="read only the first frames")
    add("--overwrite", action="store_true", help="replace an existing result")
    add("--opts", nargs=argparse.REMAINDER, default=[], metavar="KEY VALUE",
        help="config options; last on the command line")  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
