"""Find the tracks of many videos, with one folder of results each.

    simplevtr segment 'videos/**/*.mp4' --config-file CFG --weights model_final.pth --output results
    simplevtr segment clips more/video.mp4 --config-file CFG --output results --overlay --workers 2
    simplevtr segment /mnt/videos --config-file CFG --output /mnt/results --ray auto

A video is a file or a folder of frames; other folders are searched for both. Addresses that
fsspec knows (s3://bucket/*.mp4, gs://, https://, zip://*.mp4::videos.zip; s3 needs s3fs) are
of video files or folders of them, which are copied one at a time. Results lie in
OUTPUT/PATH/OF/VIDEO.mp4/: results.json (YouTube-VIS), with --overlay overlay.mp4, with --mots a
folder of MOTS pictures. Run again, the command leaves out videos that have theirs; results of
another model or other settings are refused. summary.csv has a row per video, with the reason where
one failed, which does not stop the others (the exit status is then 1), or what is missing of one
that is damaged. Ctrl-C keeps what is done.

--ray takes the address of a Ray cluster whose machines see the same files, "auto" for the one that
this machine belongs to, or "local"; it needs pip install 'ray[data]==2.60.0'.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

# These packages import what they hold when it is used: --help need not wait for it.
from simplevtr import inference, video_io
from simplevtr.evaluation.scored_video import SCORE_THRESHOLD
from simplevtr.formats.mots import check_classes
from simplevtr.terminal import COUNT, add_model, add_score_threshold, command, counted, say

from tqdm import tqdm


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    text = "videos, folders of frames, folders that hold these, quoted patterns, or s3://... etc."
    add("videos", nargs="+", help=text)
    add_model(parser, opts=True)
    add("--output", required=True, metavar="FOLDER", help="new, or that of an earlier run")
    add("--overlay", action="store_true", help="also draw the tracks (overlay.mp4)")
    add("--mots", action="store_true", help="also write one MOTS picture per frame (16-bit PNG)")
    add_score_threshold(parser, SCORE_THRESHOLD)
    add("--workers", type=COUNT, metavar="N",
        help="processes, with a model each (default: one per GPU, else 1)")  # fmt: skip
    add("--ray", metavar="ADDRESS", help="of a Ray cluster that does the work; local: start one")


@command(_add_options)
def main(options: argparse.Namespace) -> int:
    """Segment all videos that have no results yet; returns 0 if all have them now, else 1."""
    from simplevtr.engine.run_folder import only_run_in

    if options.ray:
        inference.load_ray()  # that it is installed
    output = Path(os.path.expanduser(options.output)).absolute()
    videos = video_io.find_videos(options.videos, outside=output)
    task, run = _plan(options, output)
    task.check(videos)
    with only_run_in(str(output)):
        outcomes = {video.name: task.earlier(video) for video in videos}
        waiting = [video for video in videos if outcomes[video.name] is None]
        try:
            with closing(run(task, waiting)) as found:
                for outcome in tqdm(found, total=len(waiting), unit="video", disable=None):
                    outcomes[outcome.video] = outcome
        finally:
            for video in waiting:
                if outcomes[video.name] is None:  # it may have ended while nobody listened
                    ended = task.earlier(video, "done")
                    outcomes[video.name] = ended or inference.Outcome(video.name, "not reached")
            rows = list(outcomes.values())
            _report(rows, task.finish(rows))
    return int(any(row.state == "failed" for row in rows))


def _plan(
    options: argparse.Namespace, output: Path
) -> tuple[inference.SegmentTask, Callable[..., Generator]]:
    """What is done with each video, and ``in_processes`` or ``on_ray`` with its options."""
    from simplevtr.config_file import find_shipped
    from simplevtr.run_config import check_device, model_cfg

    import torch

    least = options.score_threshold
    cfg = model_cfg(options.config_file, options.weights, options.opts, least_score=least)
    if options.mots:
        check_classes("--mots", range(cfg.MODEL.SIMPLEVTR.NUM_CLASSES))
    if os.path.isfile(cfg.MODEL.WEIGHTS):  # not an address
        cfg.MODEL.WEIGHTS = os.path.abspath(cfg.MODEL.WEIGHTS)
    found = {"MODEL.WEIGHTS": cfg.MODEL.WEIGHTS, "TEST.SCORE_THRESHOLD": cfg.TEST.SCORE_THRESHOLD}
    task = inference.SegmentTask(
        options.config_file and str(find_shipped(options.config_file).absolute()),
        (*options.opts, *(str(word) for pair in found.items() for word in pair)),
        output,
        inference.settings_of(cfg),
        options.overlay,
        options.mots,
    )
    gpu = cfg.MODEL.DEVICE == "cuda"
    if options.ray:
        where = {"address": options.ray, "workers": options.workers, "gpu": gpu}
        return task, partial(inference.on_ray, **where)
    check_device(cfg)
    gpus = torch.cuda.device_count() if gpu else 0
    return task, partial(inference.in_processes, workers=options.workers or gpus or 1, gpus=gpus)


def _report(rows: Sequence[inference.Outcome], summary: Path | None) -> None:
    for row in rows:
        if row.reason:
            say(f"{row.state}: {row.video}: {row.reason}", sys.stderr)
    states = Counter(row.state for row in rows)
    if summary is not None:
        parts = ", ".join(f"{count} {state}" for state, count in states.items())
        say(f"{counted(len(rows), 'videos')}: {parts}; see {summary}")
