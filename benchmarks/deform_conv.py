"""Time the kernels of the modulated deformable convolution, forward and backward, side by side.

    python benchmarks/deform_conv.py [--device cpu] [--threads 1] [--repeats 5]

Prints the median time of each kernel that runs on the device and its ratio to torchvision's, at the
shapes of the small and the full-size mask head. All figures come from one run on one machine.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installation too

from benchmarks.command_line import argument_parser, run
from benchmarks.measure import synchronise
from simplevtr.modeling.deform_conv import detectron2_is_compiled, modulated_deform_conv
from simplevtr.terminal import number

import torch
from tabulate import tabulate

# (maps, channels in, channels out, height, width): two tracks in 16 frames of 300 x 540 pixels, and
# the small configurations' clips.
SHAPES = {
    "full size, first": (32, 48, 24, 75, 135),
    "full size, logit": (32, 24, 1, 75, 135),
    "small, first": (30, 32, 16, 32, 48),
    "small, logit": (30, 16, 1, 32, 48),
}


def measure(kernel: str, shape: tuple[int, ...], device: torch.device, repeats: int) -> float:
    """Median seconds of a forward and backward pass."""
    maps, channels, out, height, width = shape
    generator = torch.Generator().manual_seed(0)
    tensors = [
        torch.randn(maps, channels, height, width, generator=generator),
        torch.randn(maps, 18, height, width, generator=generator),
        torch.rand(maps, 9, height, width, generator=generator),
        torch.randn(out, channels, 3, 3, generator=generator),
    ]
    tensors = [t.to(device).requires_grad_() for t in tensors]
    seconds = []
    for _ in range(repeats + 1):
        synchronise(device)
        start = time.perf_counter()
        modulated_deform_conv(*tensors, None, kernel=kernel).square().sum().backward()
        synchronise(device)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def compare(options: argparse.Namespace) -> tuple[list[dict[str, Any]], str]:
    """Measure every kernel that runs on the device; figures and table.

    Raises:
        ValueError: if there is no such device.
    """
    allowed = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
    if options.device not in allowed:
        raise ValueError(f"--device {options.device}; allowed: {', '.join(allowed)}")
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    kernels = ["torchvision", "grid_sample"]
    if device.type == "cuda" and detectron2_is_compiled():
        kernels.append("detectron2")
    figures = []
    for layer, shape in SHAPES.items():
        times = {kernel: measure(kernel, shape, device, options.repeats) for kernel in kernels}
        for kernel, seconds in times.items():
            ratio = times["torchvision"] / seconds
            figures.append(
                {
                    "layer": layer,
                    "shape": shape,
                    "kernel": kernel,
                    "seconds": seconds,
                    "ratio": ratio,
                }
            )
    rows = [
        (
            figure["layer"],
            "x".join(map(str, figure["shape"])),
            figure["kernel"],
            f"{figure['seconds'] * 1e3:.1f}",
            f"{figure['ratio']:.1f}",
        )
        for figure in figures
    ]
    headers = ["layer", "maps x in x out x H x W", "kernel", "ms", "times faster"]
    title = f"torch {torch.__version__}, {device}, {options.threads} CPU threads"
    table = tabulate(rows, headers, tablefmt="github", disable_numparse=True)
    return figures, f"{title}\n{table}"


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status is 2 after a user's error."""
    parser, count = argument_parser(__file__, __doc__), number(int, least=1)
    parser.add_argument("--device", default="cpu", help='"cpu" (default) or "cuda"')
    parser.add_argument("--threads", type=count, default=1, help="CPU threads (default 1)")
    parser.add_argument("--repeats", type=count, default=5, help="timed runs (default 5)")
    return run(parser, compare, arguments)


if __name__ == "__main__":
    sys.exit(main())
