r"""Draw predicted tracks over a dataset in YouTube-VIS format, next to the ground truth.

    python tools/visualize_results.py --gt valid.json --images valid/JPEGImages \
        --results results.json --output pictures

Writes OUTPUT/<video id>.mp4 (side by side) or, with ``--format sheet``, OUTPUT/<video id>.png.
A predicted track that matches a true one (track IoU of 0.5, whatever the categories) has its number
and colour; the others have the numbers after those.
Without ``--results`` the ground truth is drawn alone; a ``--gt`` without annotations gives the
predictions alone. Crowd regions are not drawn.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

# These packages import what they hold when it is used: --help need not wait for it.
from simplevtr import terminal, video_io, visualization
from simplevtr.evaluation.analysis.track_matching import IOU_THRESHOLD, match_video
from simplevtr.evaluation.scored_video import SCORE_THRESHOLD, ScoredVideo, tracks_by_video
from simplevtr.formats.files import check_output, refuse_replaced_frames
from simplevtr.formats.images import evenly_spaced, read_frame
from simplevtr.formats.results import load_results
from simplevtr.formats.ytvis import Video, load_ground_truth, require_objects

import av
import numpy as np
from tqdm import tqdm

if TYPE_CHECKING:  # it imports torch
    from simplevtr.structures import FrameTracks
    from simplevtr.visualization import TrackPainter

_LONGEST_NAME = 20  # letters of a video's name, which shares a strip with the number of a frame
Rows = dict[str, "list[FrameTracks]"]  # by title, the tracks in each frame


def _add_options(parser: argparse.ArgumentParser) -> None:
    terminal.add_unknown_categories(parser)
    add = parser.add_argument
    add("--gt", required=True, help="annotation file; it needs no annotations")
    add("--images", required=True, help="folder that the file names in it start at")
    add("--results", help="results.json (also .json.gz, or a .zip that holds it)")
    add("--output", required=True, type=Path, help="folder to write into")
    add("--overwrite", action="store_true", help="replace existing files")
    videos = parser.add_mutually_exclusive_group().add_argument
    videos("--videos", nargs="+", type=int, metavar="ID", help="draw these videos")
    videos("--max-videos", type=terminal.COUNT, default=20, help="or the first ones (20)")
    terminal.add_score_threshold(parser, SCORE_THRESHOLD)
    parser.set_defaults(score_threshold=None)
    text = "videos (the default) or contact sheets (png, at most 8 frames of a video)"
    add("--format", choices=("mp4", "sheet"), default="mp4", help=text)
    rate = terminal.number(Fraction, above=0)
    add("--fps", type=rate, help="frames per second of the videos (10)")


@terminal.command(_add_options, errors=(av.FFmpegError,))
def main(options: argparse.Namespace) -> None:
    """Draw the videos that were asked for."""
    if options.fps is not None and options.format == "sheet":
        raise ValueError("--fps is of videos; --format sheet draws none")
    skip, threshold = options.unknown_categories == "skip", options.score_threshold
    if options.results is None and (skip or threshold is not None):
        raise ValueError("--score-threshold and --unknown-categories need --results")
    truth, results = load_ground_truth(options.gt), []
    require_objects(truth.source, truth.tracks)
    if options.results is not None:
        results = load_results(options.results, truth, skip_unknown=skip)
    elif truth.tracks is None:
        raise ValueError(f"{options.gt} has no annotations and no --results were given: no tracks")
    least = SCORE_THRESHOLD if threshold is None else threshold
    videos = tracks_by_video(truth, results, score_threshold=least)
    by_id = {scored.video.id: scored for scored in videos}
    categories = sorted(truth.categories, key=attrgetter("id"))
    labels = {category.id: label for label, category in enumerate(categories)}
    painter = visualization.TrackPainter([category.name for category in categories])
    suffix, draw = (".mp4", write_video) if options.format == "mp4" else (".png", draw_sheet)
    outputs = {}
    for video_id in choose_videos(list(by_id), options.videos, options.max_videos):
        path = options.output / f"{video_id}{suffix}"
        outputs[video_id] = check_output(path, overwrite=options.overwrite, suffixes=(suffix,))
    drawn = [by_id[video_id].video for video_id in outputs]
    frames = (video.frame_path(options.images, t) for video in drawn for t in range(video.length))
    refuse_replaced_frames(outputs.values(), frames)
    for video_id, output in tqdm(outputs.items(), unit="video", disable=None):
        scored, rows = by_id[video_id], {}
        name = scored.video.name[-_LONGEST_NAME:]
        if options.results is not None:
            numbers = predicted_numbers(scored)
            rows[f"{name}: predicted"] = scored.by_frame(scored.predicted, numbers, labels)
        if truth.tracks is not None:
            numbers = [track.id for track in scored.true]
            rows[f"{name}: ground truth"] = scored.by_frame(scored.true, numbers, labels)
        draw(output, scored.video, rows, painter, options)
    left = len(by_id) - len(outputs) if options.videos is None else 0
    more = f"; {left} more videos, see --max-videos and --videos" if left else ""
    terminal.say(f"wrote {terminal.counted(len(outputs), 'files')} into {options.output}{more}")


def predicted_numbers(scored: ScoredVideo) -> list[int]:
    """For each predicted track the id of the true one that it matches, or else a free number."""
    pairs, _, _ = match_video(scored, iou_threshold=IOU_THRESHOLD, use_categories=False)
    free = itertools.count(max((track.id for track in scored.true), default=0) + 1)
    rows = range(len(scored.predicted))
    return [scored.true[pairs[row]].id if row in pairs else next(free) for row in rows]


def choose_videos(known: list[int], wanted: list[int] | None, most: int) -> list[int]:
    """The ids to draw: those wanted, else the first ``most``; ValueError for an unknown one."""
    if unknown := [video_id for video_id in wanted or () if video_id not in known]:
        raise ValueError(f"--videos: no video {unknown[0]}; ids are {known[0]} to {known[-1]}")
    return known[:most] if wanted is None else list(dict.fromkeys(wanted))


def write_video(
    output: Path, video: Video, rows: Rows, painter: TrackPainter, options: argparse.Namespace
) -> None:
    """All frames, the rows side by side."""
    from simplevtr.visualization.clip_sheet import captioned, joined

    height, width = painter.output_size((video.height, video.width))
    blank = np.zeros((height, width, 3), dtype=np.uint8)
    size = joined([captioned(blank, "")] * len(rows), axis=1).shape[:2]
    with video_io.open_sink(output, options.fps or 10, size, overwrite=options.overwrite) as sink:
        for t, frame in enumerate(read_frames(video, options.images, range(video.length))):
            pictures = [
                captioned(painter.draw_frame(frame, tracks[t]), title, f"frame {t}")
                for title, tracks in rows.items()
            ]
            sink.write(joined(pictures, axis=1))


def draw_sheet(
    output: Path, video: Video, rows: Rows, painter: TrackPainter, options: argparse.Namespace
) -> None:
    """At most eight frames, the rows one below the other."""
    from simplevtr.visualization.clip_sheet import COLUMNS, clip_sheet, write_sheet

    numbers = evenly_spaced(video.length, COLUMNS)
    frames = np.stack(list(read_frames(video, options.images, numbers)))
    shown = {title: [tracks[t] for t in numbers] for title, tracks in rows.items()}
    sheet = clip_sheet(frames, shown, thing_classes=painter.thing_classes)
    write_sheet(output, sheet, overwrite=options.overwrite)


def read_frames(video: Video, images: str, numbers: Sequence[int]) -> Iterator[np.ndarray]:
    """Some frames, (H, W, 3) uint8 RGB, of the size that the annotation file gives."""
    for t in numbers:
        yield read_frame(video.frame_path(images, t), (video.height, video.width))
