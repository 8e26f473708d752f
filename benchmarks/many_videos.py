"""Frames per second of ``simplevtr segment`` with 1 and more workers, and of a plain loop.

    python benchmarks/many_videos.py --config-file configs/embedded/pretrained.yaml

The loop has one model in this process and writes a results.json per video. All read the same drawn
videos in turn, for several rounds. Times run from the end of the first video to that of the last,
so that neither loading a model nor starting a process counts; ratios are those of one round.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.command_line import COUNT, benchmark, model_config
from benchmarks.synthetic import drifting_squares
from simplevtr.inference import SegmentTask, VideoPredictor, in_processes, settings_of
from simplevtr.terminal import number
from simplevtr.video_io import NamedVideo, find_videos, open_sink, open_source

from tabulate import tabulate


def loop(predictor: VideoPredictor, videos: list[NamedVideo], output: Path) -> Iterator[None]:
    """What one would write without the command."""
    for video in videos:
        result = predictor.predict(open_source(video.path))
        predictor.write_results(output / video.name / "results.json", result)
        yield


def rate(done: Iterable[Any], frames: int) -> float:
    """Frames per second of all videos but the first, of ``frames`` each."""
    times = [time.perf_counter() for _ in done]
    return frames * (len(times) - 1) / (times[-1] - times[0])


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--workers", type=COUNT, nargs="+", default=[1, 2])
    add("--videos", type=number(int, least=2), default=10)
    add("--frames", type=COUNT, default=60, help="of each video")
    add("--size", type=number(int, least=8), nargs=2, default=[64, 96], metavar=("H", "W"))
    add("--rounds", type=COUNT, default=3)


@benchmark(_add_options, model=True)
def main(args: argparse.Namespace) -> tuple[list[dict[str, Any]], str]:
    """Measure every round; the table has medians."""
    cfg = model_config(args)
    predictor, rows = VideoPredictor(cfg), []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for index in range(args.videos):
            path = place / "videos" / f"{index}.mp4"
            with open_sink(path, 25, tuple(args.size)) as sink:
                for frame in drifting_squares(args.frames, tuple(args.size)):
                    sink.write(frame)
        videos = find_videos([str(place / "videos")])
        for index in range(args.rounds):
            speeds = {"loop": rate(loop(predictor, videos, place / f"loop-{index}"), args.frames)}
            for workers in args.workers:
                output = place / f"{workers}-{index}"
                opts = tuple(args.opts)
                task = SegmentTask(args.config_file, opts, output, settings_of(cfg))
                done = in_processes(task, videos, workers=workers)
                speeds[f"workers: {workers}"] = rate(done, args.frames)
            rows += [
                {"round": index, "way": way, "fps": fps, "ratio": fps / speeds["loop"]}
                for way, fps in speeds.items()
            ]
    table = []
    for way in speeds:
        own = [row for row in rows if row["way"] == way]
        ratios = [row["ratio"] for row in own]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        table.append([way, median(row["fps"] for row in own), f"{median(ratios):.2f}", spread])
    heads = ["", "frames/s", "ratio to the loop", "least to greatest"]
    return rows, tabulate(table, heads, tablefmt="github", floatfmt=".0f", disable_numparse=[2, 3])


if __name__ == "__main__":
    sys.exit(main())
