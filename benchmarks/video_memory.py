"""Memory and time of a video's inference as a stream, from a few frames to ten thousand.

    python benchmarks/video_memory.py --config-file configs/embedded/pretrained.yaml \\
        --frames 64 1000 10000 --size 64 96 --plot docs/images/video_memory.png TEST.WINDOW 32

Each video is drawn while it is read: squares that drift, hide each other and come back. Its tracks
are taken frame by frame from VideoPredictor.stream and dropped, as a writer of a video would; how
many bytes the result takes is reported beside the memory. Peak memory is that of the whole process,
a fresh one a row; on a GPU also what PyTorch has allocated there.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installation too

from benchmarks.command_line import COUNT, argument_parser, model_config, run
from benchmarks.measure import in_fresh_process, peak_resident_bytes, resident_bytes
from benchmarks.synthetic import drifting_squares
from simplevtr.formats.files import check_output
from simplevtr.inference import VideoPredictor
from simplevtr.terminal import number
from simplevtr.visualization.plots import memory_plot

import torch
from tabulate import tabulate
from tqdm import tqdm

MIB = 2**20
HEADS = ["frames", "peak (MiB)", "to the first", "s", "ms a frame", "result (bytes a frame)"]


def stream_one(args: argparse.Namespace, frames: int) -> dict[str, Any]:
    """Stream one video of so many frames in this process."""
    cfg = model_config(args)
    predictor = VideoPredictor(cfg)
    curve, result_bytes = [], 0
    begin = time.perf_counter()
    video = tqdm(drifting_squares(frames, tuple(args.size)), total=frames, disable=None)
    for tracks in predictor.stream(video):
        result_bytes += sum(len(mask["counts"]) for mask in tracks.masks)
        if tracks.index % args.every == 0:
            curve.append((tracks.index, resident_bytes()))
    seconds = time.perf_counter() - begin
    return {
        "frames": frames,
        "seconds": seconds,
        "peak_bytes": peak_resident_bytes(),
        "gpu_bytes": torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None,
        "result_bytes": result_bytes,
        "curve": curve,
        "window": predictor.model.segmenter.window,
        "stride": predictor.model.segmenter.stride,
    }


def measure_all(args: argparse.Namespace) -> tuple[list[dict[str, Any]], str]:
    """Stream each length in a process of its own."""
    plot = check_output(args.plot, overwrite=True, suffixes=(".png",)) if args.plot else None
    model_config(args)  # a mistake shows before the first process starts
    rows = []
    for frames in args.frames:
        rows.append(in_fresh_process(stream_one, args, frames))
    if plot is not None:
        memory_plot({f"{row['frames']:,} frames": row["curve"] for row in rows}, plot)
    return rows, table(rows)


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown; ratios are to the first."""
    cells = [
        [
            f"{row['frames']:,}",
            row["peak_bytes"] / MIB,
            f"{row['peak_bytes'] / rows[0]['peak_bytes']:.3f} x",
            row["seconds"],
            1000 * row["seconds"] / row["frames"],
            row["result_bytes"] / row["frames"],
        ]
        for row in rows
    ]
    head = f"windows of {rows[0]['window']} frames, {rows[0]['stride']} apart\n\n"
    return head + tabulate(
        cells, HEADS, tablefmt="github", floatfmt=("", ".0f", "", ".1f", ".1f", ".0f")
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argument_parser(__file__, __doc__, model=True)
    add, side = parser.add_argument, number(int, least=8)
    add("--frames", type=COUNT, nargs="+", default=[64, 1000, 10000])
    add("--size", type=side, nargs=2, default=[64, 96], metavar=("H", "W"))
    add("--every", type=COUNT, default=16, help="frames from one reading to the next")
    add("--plot", metavar="PNG", help="draw the memory over the frames")
    return run(parser, measure_all, arguments)


if __name__ == "__main__":
    sys.exit(main())
