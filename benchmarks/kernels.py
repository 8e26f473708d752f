"""Kernels of the deformable convolution against each other, forward and backward in float32.

    OMP_NUM_THREADS=1 python benchmarks/kernels.py

How many times as fast as torchvision's each is stands beside its time. A layer fails, and the exit
status is 1, if a result or a gradient of a kernel is not that of the grid_sample form.
"""

import argparse
import statistics
from functools import partial

from benchmarks.command_line import benchmark, check_measured, machine, table
from benchmarks.measure import Row, measured_rows, time_steps
from simplevtr import setup_cfg
from simplevtr.modeling.deform_conv import deformable_conv, detectron2_is_compiled

import torch
from torch import Tensor

# Deformable layers: (maps, channels in, channels out, height, width) of two tracks in 16 frames of
# 300 x 540 pixels, and of the small configurations' clips.
LAYERS = {
    "full size, first": (32, 48, 24, 75, 135),
    "full size, logit": (32, 24, 1, 75, 135),
    "small, first": (30, 32, 16, 32, 48),
    "small, logit": (30, 16, 1, 32, 48),
}
REPEATS = 5
LARGEST_DIFFERENCE = 1e-3  # of two kernels, by Euclidean norms, relative


def measure_layer(shape: tuple[int, ...], device: torch.device) -> Row:
    """The columns of a layer: each kernel's median time, and how many times torchvision's it is.

    ValueError if a result or a gradient of a kernel is not that of the grid_sample form.
    """
    maps, channels, out, height, width = shape
    torch.manual_seed(0)
    # Never near whole pixels, where gradients jump and each kernel's rounding would decide.
    offsets = torch.randn(maps, 18, height, width).floor() + 0.1
    offsets += 0.8 * torch.rand(maps, 18, height, width)
    tensors = [
        torch.randn(maps, channels, height, width),
        offsets,
        torch.rand(maps, 9, height, width),
        torch.randn(out, channels, 3, 3),
    ]
    tensors = [t.to(device).requires_grad_() for t in tensors]
    results: dict[str, list[Tensor]] = {}

    def step(kernel: str) -> None:
        result = deformable_conv(*tensors, None, backend=kernel)
        gradients = torch.autograd.grad(result.square().sum(), tensors)
        results[kernel] = [result.detach(), *gradients]

    timing = {"steps": REPEATS, "warmup": 1, "device": device}
    compiled = device.type == "cuda" and detectron2_is_compiled()
    row: Row = {"maps x in x out x H x W": "x".join(map(str, shape))}
    slowest = 0.0
    for kernel in ("torchvision", "grid_sample", *(["detectron2"] if compiled else [])):
        seconds = statistics.median(time_steps(partial(step, kernel), **timing))
        slowest = slowest or seconds
        row[f"{kernel}, ms"] = f"{1e3 * seconds:.1f} ({slowest / seconds:.1f} x)"
    for kernel, found in results.items():
        pairs = zip(found, results["grid_sample"], strict=True)
        difference = max(float((a - b).norm() / b.norm()) for a, b in pairs)
        if not difference <= LARGEST_DIFFERENCE:
            raise ValueError(f"{kernel} differs from grid_sample by {difference:.1e}")
    return row


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="cpu", help='"cpu" (default) or "cuda"')
    text = "the layers of the small configurations alone"
    parser.add_argument("--small", action="store_true", help=text)


@benchmark(_add_options)
def main(args: argparse.Namespace) -> tuple[list[Row], str]:
    """Measure the layers in one process."""
    check_measured(setup_cfg("", ["MODEL.DEVICE", args.device]))
    layers = {name: shape for name, shape in LAYERS.items() if not args.small or "small" in name}
    jobs = [(shape, torch.device(args.device)) for shape in layers.values()]
    found = zip(layers, measured_rows(measure_layer, jobs), strict=True)
    rows = [{"layer": name} | row for name, row in found]
    return rows, f"{machine(args.device)}, torch {torch.__version__}\n\n{table(rows)}"


if __name__ == "__main__":
    raise SystemExit(main())
