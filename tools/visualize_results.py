"""Draw predicted tracks over a dataset in YouTube-VIS format, beside the ground truth.

    python tools/visualize_results.py --gt valid.json --images valid/JPEGImages \
        --results results.json --output pictures

Writes OUTPUT/<video id>.mp4 (side by side) or, with ``--format sheet``, OUTPUT/<video id>.png.
Without ``--results`` the ground truth is drawn alone; a ``--gt`` without annotations gives the
predictions alone. Crowd regions are not drawn.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from operator import attrgetter
from pathlib import Path

import av
import numpy as np
from PIL import Image
from pycocotools import mask as mask_util
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installation too

from simplevtr.data import load_ytvis_json
from simplevtr.data.annotations import read_tracks
from simplevtr.evaluation import load_ground_truth, load_results
from simplevtr.evaluation.scored_video import masks_by_frame, tracks_by_video
from simplevtr.formats.files import write_bytes
from simplevtr.formats.images import read_frame
from simplevtr.formats.results import PredictedTrack
from simplevtr.formats.ytvis import GroundTruth
from simplevtr.terminal import command_parser, number, run_command
from simplevtr.video_io import check_output, open_sink
from simplevtr.visualization import TrackPainter, TrackSet, clip_sheet
from simplevtr.visualization.clip_sheet import captioned, evenly_spaced, joined

COLUMNS = 8  # frames of a contact sheet


class VideoTracks:
    """The tracks of one video, whose masks are decoded only for the frames that are asked for."""

    def __init__(
        self, frames: list[list[dict]], size: tuple[int, int], scores: dict[int, float] | None
    ):
        """Keep annotation dicts.

        Args:
            frames: one list a frame of dicts with ``id``, ``category_id`` (contiguous) and
                ``segmentation``.
            size: (H, W) in pixels.
            scores: score by id, or None for ground truth.
        """
        self.frames, self.size, self.scores = frames, size, scores

    def at(self, numbers: Sequence[int], source: str) -> TrackSet:
        """The tracks present in some of the frames; ``source`` names the video in errors."""
        tracks = read_tracks(
            [self.frames[t] for t in numbers], self.size, frame_numbers=numbers, source=source
        )
        masks = np.zeros((len(tracks.ids), len(numbers), *self.size), dtype=bool)
        for t, frame in enumerate(tracks.masks):
            for row, rle in enumerate(frame):
                if rle is not None:
                    masks[row, t] = mask_util.decode(rle).astype(bool)
        scores = None if self.scores is None else np.array([self.scores[i] for i in tracks.ids])
        return TrackSet(
            masks, np.array(tracks.classes, dtype=np.int64), scores, np.array(tracks.ids)
        )


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status is 2 after a user's error and 130 after Ctrl-C."""
    return run_command(_parser(), run, arguments, errors=(av.FFmpegError,))


def run(options: argparse.Namespace) -> None:
    """Draw the videos that were asked for."""
    records = {record["video_id"]: record for record in load_ytvis_json(options.gt, options.images)}
    truth = load_ground_truth(options.gt)
    categories = sorted(truth.categories, key=attrgetter("id"))
    names = [category.name for category in categories]
    has_truth = truth.tracks is not None
    if not has_truth and options.results is None:
        raise ValueError(f"{options.gt} has no annotations and no --results were given: no tracks")
    predicted = {}
    if options.results is not None:
        contiguous = {category.id: i for i, category in enumerate(categories)}
        results = load_results(options.results, truth)
        predicted = predicted_tracks(results, truth, contiguous, options.score_threshold)
    suffix = ".mp4" if options.format == "mp4" else ".png"
    chosen = choose_videos(list(records), options.videos, options.max_videos)
    outputs = {
        video_id: check_output(
            Path(options.output) / f"{video_id}{suffix}",
            overwrite=options.overwrite,
            suffixes=(suffix,),
        )
        for video_id in chosen
    }
    for video_id, output in tqdm(outputs.items(), unit="video", disable=None):
        record = records[video_id]
        size = (record["height"], record["width"])
        rows = {"predicted": predicted[video_id]} if predicted else {}
        if has_truth:
            rows["ground truth"] = VideoTracks(record["annotations"], size, None)
        draw = write_video if options.format == "mp4" else write_sheet
        draw(output, record, rows, names, options)
    left = len(records) - len(chosen) if options.videos is None else 0
    more = f"; {left} more videos, see --max-videos and --videos" if left else ""
    print(f"wrote {len(outputs)} files into {options.output}{more}")


def predicted_tracks(
    results: list[PredictedTrack],
    truth: GroundTruth,
    contiguous: dict[int, int],
    min_score: float,
) -> dict[int, VideoTracks]:
    """Predicted tracks from ``min_score`` on by video, numbered from 1, best first."""
    found = {}
    for tracks in tracks_by_video(truth, results, score_threshold=min_score):
        video = tracks.video
        frames: list[list[dict]] = [[] for _ in range(video.length)]
        masks = masks_by_frame(tracks.predicted, video)
        for track_id, (track, own) in enumerate(zip(tracks.predicted, masks, strict=True), 1):
            label = contiguous[track.category_id]
            for frame, mask in zip(frames, own, strict=True):
                if mask is not None:
                    frame.append({"id": track_id, "category_id": label, "segmentation": mask})
        scores = {i: track.score for i, track in enumerate(tracks.predicted, 1)}
        found[video.id] = VideoTracks(frames, (video.height, video.width), scores)
    return found


def choose_videos(known: list[int], wanted: list[int] | None, most: int) -> list[int]:
    """The ids to draw: those wanted, else the first ``most``.

    Raises:
        ValueError: a wanted id is unknown.
    """
    if wanted is None:
        return known[:most]
    unknown = [video_id for video_id in wanted if video_id not in known]
    if unknown:
        raise ValueError(f"--videos: no video {unknown[0]}; ids are {known[0]} to {known[-1]}")
    return list(dict.fromkeys(wanted))


def write_video(
    output: Path,
    record: dict,
    rows: dict[str, VideoTracks],
    names: list[str],
    options: argparse.Namespace,
) -> None:
    """All frames, the rows side by side."""
    painter = TrackPainter(names, min_score=options.score_threshold)
    height, width = painter.output_size((record["height"], record["width"]))
    blank = np.zeros((height, width, 3), dtype=np.uint8)
    size = joined([captioned(blank, "")] * len(rows), axis=1).shape[:2]
    with open_sink(output, options.fps, size, overwrite=options.overwrite) as sink:
        for t, frame in enumerate(read_frames(record, range(record["length"]))):
            pictures = []
            for title, tracks in rows.items():
                picture = painter.draw(frame, **tracks.at([t], _name(record)).in_frame(0))
                pictures.append(captioned(picture, title, f"frame {t}"))
            sink.write(joined(pictures, axis=1))


def write_sheet(
    output: Path,
    record: dict,
    rows: dict[str, VideoTracks],
    names: list[str],
    options: argparse.Namespace,
) -> None:
    """At most eight frames, the rows one below the other."""
    numbers = evenly_spaced(record["length"], COLUMNS)
    sheet = clip_sheet(
        np.stack(list(read_frames(record, numbers))),
        {title: tracks.at(numbers, _name(record)) for title, tracks in rows.items()},
        thing_classes=names,
        columns=COLUMNS,
        min_score=options.score_threshold,
        frame_numbers=numbers,
    )
    png = io.BytesIO()
    Image.fromarray(sheet).save(png, format="PNG")
    write_bytes(output, png.getvalue(), overwrite=options.overwrite)


def read_frames(record: dict, numbers: Sequence[int]) -> Iterator[np.ndarray]:
    """The images of some frames, (H, W, 3) uint8 RGB, of the size that the record gives."""
    for t in numbers:
        yield read_frame(record["file_names"][t], (record["height"], record["width"]))


def _name(record: dict) -> str:
    return f"video {record['video_id']}"


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(__file__, __doc__)
    add = parser.add_argument
    add("--gt", required=True, help="annotation file; it needs no annotations")
    add("--images", required=True, help="folder that the file names in it start at")
    add("--results", help="results.json (also .json.gz, or a .zip that holds it)")
    add("--output", required=True, help="folder to write into")
    add("--videos", nargs="+", type=int, metavar="ID", help="draw these videos")
    count, score, rate = number(int, least=1), number(least=0, most=1), number(Fraction, above=0)
    add("--max-videos", type=count, default=20, help="without --videos: draw the first ones (20)")
    add("--score-threshold", type=score, default=0.3, help="least score of what is drawn (0.3)")
    add(
        "--format",
        choices=("mp4", "sheet"),
        default="mp4",
        help="videos (the default) or contact sheets (png, at most 8 frames of a video)",
    )
    add("--fps", type=rate, default=Fraction(10), help="frames per second of the videos (10)")
    add("--overwrite", action="store_true", help="replace existing files")
    return parser


if __name__ == "__main__":
    sys.exit(main())
