"""Time the scoring of a result file, and how its memory grows with the predictions.

    python benchmarks/evaluation.py [--videos 421] [--tracks 10] [--frames 36] [--json FILE]

The annotations and results are made in a temporary folder, with as many videos as the validation
set of YouTube-VIS 2021 has: objects with ragged edges that move over frames of 720 x 1280 pixels,
compressed RLEs of about a kilobyte each. Two tracks a video are true; half of the predictions
follow them with errors. The same videos are scored with half of each video's predictions and with
all, each in a fresh process that does what tools/evaluate.py does.

"masks" checks and decodes the masks and joins each track's; "ground truth" reads the annotations
and does the same with theirs; "match" and "accumulate" are pycocotools'. Times are seconds of the
processor, as other programs disturb these little. Peak memory is the whole process's; "from
reading" is what reading the files added.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.command_line import COUNT, benchmark
from benchmarks.measure import MIB, in_fresh_process
from benchmarks.memory import peak_resident_bytes
from benchmarks.synthetic import outlines, polygon_rle
from simplevtr.evaluation import ytvis_eval
from simplevtr.evaluation.ytvis_eval import evaluate_tracks
from simplevtr.formats.files import read_json
from simplevtr.formats.results import check_results
from simplevtr.formats.rle import as_text
from simplevtr.formats.ytvis import load_ground_truth
from simplevtr.terminal import markdown_table, number

import numpy as np
from pycocotools.cocoeval import COCOeval

STAGES = ("ground truth", "parse", "masks", "track IoU", "match", "accumulate")
CATEGORIES = 40
TRUE_TRACKS = 2  # a video; YouTube-VIS has 1.7
# Tracks are taken from a stock of this size, each with copies that have errors: drawing all of them
# would take longer than what is measured.
STOCK, COPIES = 30, 8

Track = list[dict[str, Any]]


def make_stock(frames: int, size: tuple[int, int]) -> list[list[Track]]:
    """Tracks of T ``frames`` of ``size`` (H, W) pixels; in each list the first has no errors."""
    rng = np.random.default_rng(0)
    extent = np.array(size[::-1])
    stock = []
    for _ in range(STOCK):
        radii = rng.uniform(0.05, 0.25, 2) * extent
        begin, end = rng.uniform(0.3, 0.7, (2, 2)) * extent
        centres = np.linspace(begin, end, frames)
        errors = [np.zeros(2), *rng.normal(0, 0.1, (COPIES, 2)) * radii]
        paths = [outlines(centres + error, radii, rng, ragged=1.5) for error in errors]
        stock.append([[as_text(polygon_rle(outline, size)) for outline in path] for path in paths])
    return stock


def write_files(folder: Path, args: argparse.Namespace) -> dict[int, Path]:
    """Write ``annotations.json`` and result files, and return these by predictions per video."""
    rng = np.random.default_rng(1)
    stock = make_stock(args.frames, tuple(args.size))
    shape = {"height": args.size[0], "width": args.size[1], "length": args.frames}
    videos, annotations, results = [], [], []
    for video in range(1, args.videos + 1):
        videos.append({"id": video, **shape})
        bases = rng.choice(STOCK, TRUE_TRACKS, replace=False).tolist()
        labels = rng.integers(1, CATEGORIES + 1, TRUE_TRACKS).tolist()
        for base, label in zip(bases, labels, strict=True):
            entry = {"id": len(annotations) + 1, "video_id": video, "category_id": label}
            annotations.append(entry | {"segmentations": stock[base][0]})
        for rank in range(args.tracks):
            base, label = int(rng.integers(STOCK)), int(rng.integers(CATEGORIES)) + 1
            score = float(rng.uniform(0, 0.7))
            if rank % 2 == 0:
                base, label = bases[rank // 2 % TRUE_TRACKS], labels[rank // 2 % TRUE_TRACKS]
                score = 0.3 + score
            entry = {"video_id": video, "category_id": label, "score": score}
            track = stock[base][1 + int(rng.integers(COPIES))]
            results.append((rank, entry | {"segmentations": track}))
    categories = [{"id": n, "name": f"category {n}"} for n in range(1, CATEGORIES + 1)]
    content = {"videos": videos, "categories": categories, "annotations": annotations}
    (folder / "annotations.json").write_text(json.dumps(content))
    files = {}
    for tracks in sorted({(args.tracks + 1) // 2, args.tracks}):
        files[tracks] = folder / f"results_{tracks}.json"
        kept = [entry for rank, entry in results if rank < tracks]
        files[tracks].write_text(json.dumps(kept))
    return files


def score(annotations: Path, results: Path) -> dict[str, Any]:
    """Score a result file as tools/evaluate.py does, and report.

    Returns ``seconds`` of the processor by stage, ``cpu_seconds``, their sum, ``start_bytes`` and
    ``peak_bytes`` (resident, before anything is read and at most), and the ``scores``.
    """
    before = peak_resident_bytes()
    seconds = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        start = time.process_time()
        yield
        seconds[name] += time.process_time() - start

    def watched(name: str, owner: Any, function: str) -> AbstractContextManager[Any]:
        return mock.patch.object(owner, function, stage(name)(getattr(owner, function)))

    start = time.process_time()
    with stage("ground truth"):
        gt = load_ground_truth(annotations)
    with stage("parse"):
        content = read_json(results)
    with stage("masks"):
        tracks = check_results(content, gt)
    del content
    overlaps = watched("track IoU", ytvis_eval, "track_iou")
    with overlaps, watched("accumulate", COCOeval, "accumulate"), stage("match"):
        scores = evaluate_tracks(gt, tracks)
    seconds["match"] -= seconds["track IoU"] + seconds["accumulate"]
    return {
        "seconds": seconds,
        "cpu_seconds": time.process_time() - start,
        "start_bytes": before,
        "peak_bytes": peak_resident_bytes(),
        "scores": scores.stats,
    }


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--videos", type=COUNT, default=421, help="default 421")
    add("--tracks", type=COUNT, default=10, help="predictions per video (default 10)")
    add("--frames", type=COUNT, default=36, metavar="T", help="default 36")
    add("--size", type=number(int, least=16), nargs=2, default=[720, 1280], metavar=("H", "W"))


@benchmark(_add_options)
def main(args: argparse.Namespace) -> tuple[list[dict[str, Any]], str]:
    """Make the files and score them; the figures and the table. ValueError if scoring failed."""
    reports, rows = [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for tracks, path in write_files(folder, args).items():
            file = {"predictions": tracks * args.videos, "file_bytes": path.stat().st_size}
            report = file | in_fresh_process(score, folder / "annotations.json", path)
            reports.append(report)
            peak, start = report["peak_bytes"], report["start_bytes"]
            row = [f"{report['predictions']:,}", f"{report['file_bytes'] / MIB:,.1f}"]
            row += (f"{n:.2f}" for n in (*report["seconds"].values(), report["cpu_seconds"]))
            rows.append([*row, f"{peak / MIB:,.0f}", f"{(peak - start) / MIB:,.0f}"])
    title = (
        f"{args.videos} videos of {args.frames} frames of {args.size[0]} x {args.size[1]} pixels, "
        f"{TRUE_TRACKS} true tracks each; seconds, one thread"
    )
    headers = ["predictions", "file (MiB)", *STAGES, "all", "peak (MiB)", "from reading"]
    return reports, f"{title}\n\n{markdown_table(headers, rows, left=0)}"


if __name__ == "__main__":
    sys.exit(main())
