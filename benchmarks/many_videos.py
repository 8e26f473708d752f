"""Frames per second of ``simplevtr segment`` with 1 and more workers, and of a plain loop.

    python benchmarks/many_videos.py --config-file configs/embedded/pretrained.yaml

The loop has one model in this process and writes a results.json per video. All read the same drawn
videos in turn, for several rounds. Times run from the end of the first video to that of the last,
so that neither loading a model nor starting a process counts; ratios are those of one round.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median

from benchmarks.command_line import benchmark, model_config, table
from benchmarks.synthetic import write_videos
from simplevtr.inference import Outcome, SegmentTask, VideoPredictor, in_processes, settings_of
from simplevtr.terminal import COUNT, number
from simplevtr.video_io import NamedVideo, find_videos, open_source


def loop(predictor: VideoPredictor, videos: list[NamedVideo], output: Path) -> Iterator[Outcome]:
    """What one would write without the command."""
    for video in videos:
        result = predictor.predict(open_source(video.path))
        predictor.write_results(output / video.name / "results.json", result)
        yield Outcome(video.name, "done")


def rate(outcomes: Iterable[Outcome], frames: int) -> float:
    """Frames per second of all videos but the first, of ``frames`` each; ValueError: one failed."""
    times = []
    for outcome in outcomes:
        if outcome.state != "done":
            raise ValueError(f"{outcome.video}: {outcome.reason}")
        times.append(time.perf_counter())
    return frames * (len(times) - 1) / (times[-1] - times[0])


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--workers", type=COUNT, nargs="+", default=[1, 2])
    add("--videos", type=number(int, least=2), default=10)
    add("--frames", type=COUNT, default=60, help="of each video")
    add("--size", type=number(int, least=8), nargs=2, default=[64, 96], metavar=("H", "W"))
    add("--rounds", type=COUNT, default=3)


@benchmark(_add_options, model=True)
def main(args: argparse.Namespace) -> tuple[dict[str, list[float]], str]:
    """Measure every round; frames per second of each by way, and a table of medians."""
    cfg = model_config(args)
    predictor = VideoPredictor(cfg)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write_videos(place / "videos", args.videos, args.frames, tuple(args.size))
        videos = find_videos([str(place / "videos")])
        fps: dict[str, list[float]] = defaultdict(list)
        for index in range(args.rounds):
            fps["loop"].append(rate(loop(predictor, videos, place / f"loop-{index}"), args.frames))
            for workers in args.workers:
                output = place / f"{workers}-{index}"
                task = SegmentTask(args.config_file, tuple(args.opts), output, settings_of(cfg))
                done = in_processes(task, videos, workers=workers)
                fps[f"workers: {workers}"].append(rate(done, args.frames))
    rows = []
    for way, found in fps.items():
        ratios = [own / other for own, other in zip(found, fps["loop"], strict=True)]
        row = {"": way, "frames/s": f"{median(found):.0f}"}
        row |= {"ratio to the loop": f"{median(ratios):.2f}"}
        rows.append(row | {"least to greatest": f"{min(ratios):.2f} to {max(ratios):.2f}"})
    return fps, table(rows)


if __name__ == "__main__":
    raise SystemExit(main())
