"""Memory and time of a video's inference as a stream, from a few frames to ten thousand.

    python benchmarks/video_memory.py --config-file configs/embedded/pretrained.yaml \\
        --frames 64 1000 10000 --size 64 96 --plot docs/images/video_memory.png TEST.WINDOW 32

Each video is drawn while it is read: squares that drift, hide each other and come back. Its tracks
are taken frame by frame from VideoPredictor.stream and dropped, as a writer of a video would; how
many bytes the result takes is reported as well. Peak memory is that of the whole process,
one fresh process per row; on a GPU also what PyTorch has allocated there.
"""

import argparse
import time
from typing import Any

from benchmarks.command_line import benchmark, model_config, table
from benchmarks.measure import MIB, in_fresh_process
from benchmarks.memory import peak_resident_bytes, resident_bytes
from benchmarks.synthetic import drifting_squares
from simplevtr.formats.files import check_output
from simplevtr.inference import VideoPredictor
from simplevtr.terminal import COUNT, number
from simplevtr.visualization.plots import draw_memory, write_figure

import torch
from tqdm import tqdm

EVERY = 16  # frames from one reading of the memory to the next


def stream_one(args: argparse.Namespace, frames: int) -> dict[str, Any]:
    """Stream one video of so many frames in this process."""
    predictor = VideoPredictor(model_config(args))
    curve, result_bytes = [], 0
    begin = time.perf_counter()
    video = tqdm(drifting_squares(frames, tuple(args.size)), total=frames, disable=None)
    for tracks in predictor.stream(video):
        result_bytes += sum(len(mask["counts"]) for mask in tracks.masks)
        if tracks.index % EVERY == 0:
            curve.append((tracks.index, resident_bytes()))
    return {
        "frames": frames,
        "seconds": time.perf_counter() - begin,
        "peak_bytes": peak_resident_bytes(),
        "gpu_bytes": torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None,
        "result_bytes": result_bytes,
        "curve": curve,
        "window": predictor.model.segmenter.window,
        "stride": predictor.model.segmenter.stride,
    }


def _add_options(parser: argparse.ArgumentParser) -> None:
    add, side = parser.add_argument, number(int, least=8)
    add("--frames", type=COUNT, nargs="+", default=[64, 1000, 10000])
    add("--size", type=side, nargs=2, default=[64, 96], metavar=("H", "W"))
    add("--plot", metavar="PNG", help="draw the memory over the frames")


@benchmark(_add_options, model=True)
def main(args: argparse.Namespace) -> tuple[list[dict[str, Any]], str]:
    """Stream each length in a process of its own; ratios are to the first."""
    keep = {"overwrite": args.overwrite}
    plot = check_output(args.plot, suffixes=(".png",), **keep) if args.plot else None
    model_config(args)  # a mistake shows before the first process starts
    rows = [in_fresh_process(stream_one, args, frames) for frames in args.frames]
    if plot is not None:
        figure = draw_memory({f"{row['frames']:,} frames": row["curve"] for row in rows})
        write_figure(figure, plot, **keep)
    cells = [
        {
            "frames": f"{row['frames']:,}",
            "peak (MiB)": f"{row['peak_bytes'] / MIB:.0f}",
            "to the first": f"{row['peak_bytes'] / rows[0]['peak_bytes']:.3f} x",
            "s": f"{row['seconds']:.1f}",
            "ms per frame": f"{1000 * row['seconds'] / row['frames']:.1f}",
            "result (bytes per frame)": f"{row['result_bytes'] / row['frames']:.0f}",
        }
        for row in rows
    ]
    head = f"windows of {rows[0]['window']} frames, {rows[0]['stride']} apart"
    return rows, f"{head}\n\n{table(cells)}"


if __name__ == "__main__":
    raise SystemExit(main())
