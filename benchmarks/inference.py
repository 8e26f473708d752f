"""Measure what inference of one video costs: frames a second and memory.

    python benchmarks/inference.py --config-file configs/youtubevis_2021/simplevtr_R50.yaml \\
        --frames 16 --size 300 540 --threads 2

The video is noise of the size that the network sees; tracks come out at --output-size. Weights are
random: MODEL.WEIGHTS is ignored. Reading and resizing frames is not included. Peak memory on a CPU
is the whole process's, Python and libraries included; on a GPU it is what PyTorch has allocated.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installation too

from benchmarks.command_line import (
    COUNT,
    NATURAL,
    add_model_arguments,
    argument_parser,
    model_config,
    run,
)
from benchmarks.measure import PeakMemory, quartiles, time_steps
from benchmarks.synthetic import synthetic_clip

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model


def time_inference(
    cfg: CfgNode,
    *,
    frames: int,
    size: tuple[int, int],
    output_size: tuple[int, int],
    runs: int,
    warmup: int,
) -> dict[str, Any]:
    """Segment a video of noise ``runs`` times; seconds, frames a second and peak memory."""
    device = torch.device(cfg.MODEL.DEVICE)
    torch.manual_seed(0)
    model = build_model(cfg).eval()
    draw = np.random.default_rng(0)
    clip = synthetic_clip(frames=frames, size=size, instances=0, classes=1, rng=draw)
    clip["height"], clip["width"] = output_size
    memory = PeakMemory(device)
    videos = iter([[clip]] * (warmup + runs))
    seconds, _ = time_steps(model, videos, steps=runs, warmup=warmup, device=device)
    median = quartiles(seconds)["median"]
    return {"seconds": quartiles(seconds), "frames_per_second": frames / median, **memory.report()}


def measure(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Segment the video ``args.runs`` times and return the figures and the line to print.

    Raises:
        ValueError: if an argument or the device makes no sense.
    """
    cfg = model_config(args)
    shape = {"frames": args.frames, "size": args.size, "output_size": args.output_size}
    report = {
        **time_inference(cfg, **shape, runs=args.runs, warmup=args.warmup),
        **shape,
        "device": cfg.MODEL.DEVICE,
        "threads": torch.get_num_threads(),
    }
    text = (
        f"{args.config_file}: {report['frames_per_second']:.2f} frames/s "
        f"({report['seconds']['median']:.2f} s for {args.frames} frames), peak "
        f"({report['peak_kind']}) {report['peak_bytes'] / 2**20:,.0f} MiB"
    )
    return report, text


def parser() -> argparse.ArgumentParser:
    """What the command takes."""
    parser = argument_parser(__file__, __doc__)
    add = parser.add_argument
    add_model_arguments(parser)
    add("--frames", type=COUNT, default=16, metavar="T", help="of the video")
    add("--size", type=COUNT, nargs=2, default=[300, 540], metavar=("H", "W"))
    add("--output-size", type=COUNT, nargs=2, default=[720, 1280], metavar=("H", "W"))
    add("--runs", type=COUNT, default=3, help="timed runs (default 3)")
    add("--warmup", type=NATURAL, default=1, help="runs before them (default 1)")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status is 2 after a user's error."""
    return run(parser(), measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
