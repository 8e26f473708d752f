"""Time the kernels of the modulated deformable convolution, forward and backward, side by side.

    python benchmarks/deform_conv.py

Prints the median time of each kernel on one CPU thread and its ratio to torchvision's, at the
shapes of the small and the full-size mask head, and how far its results differ from those of the
grid_sample form, which must be close. benchmarks/gpu.py measures the same on a GPU.
"""

import argparse
import itertools
import statistics
import sys
from functools import partial

from benchmarks.command_line import benchmark
from benchmarks.measure import Row, time_steps
from simplevtr.modeling.deform_conv import deformable_conv, detectron2_is_compiled

import torch
from tabulate import tabulate
from torch import Tensor

# (maps, channels in, channels out, height, width): two tracks in 16 frames of 300 x 540 pixels, and
# the small configurations' clips.
SHAPES = {
    "full size, first": (32, 48, 24, 75, 135),
    "full size, logit": (32, 24, 1, 75, 135),
    "small, first": (30, 32, 16, 32, 48),
    "small, logit": (30, 16, 1, 32, 48),
}
REPEATS = 5
LARGEST_DIFFERENCE = 1e-3  # of two kernels in float32, by Euclidean norms, relative


def measure_layer(
    name: str, device: torch.device, repeats: int, pixels: tuple[int, ...] = ()
) -> dict[str, list[Row]]:
    """``rows`` of the table, one per kernel; maps may have other (H, W) than in ``SHAPES``.

    ValueError if the results of a kernel are not those of the grid_sample form.
    """
    maps, channels, out, height, width = shape = (*SHAPES[name][:3], *(pixels or SHAPES[name][3:]))
    generator = torch.Generator().manual_seed(0)
    draw = partial(torch.randn, generator=generator)
    share = partial(torch.rand, generator=generator)
    tensors = [
        draw(maps, channels, height, width),
        # Never near whole pixels, where gradients jump and each kernel's rounding would decide.
        draw(maps, 18, height, width).floor() + 0.1 + 0.8 * share(maps, 18, height, width),
        share(maps, 9, height, width),
        draw(out, channels, 3, 3),
    ]
    tensors = [t.to(device).requires_grad_() for t in tensors]
    results: dict[str, list[Tensor]] = {}

    def step(kernel: str) -> None:
        result = deformable_conv(*tensors, None, backend=kernel)
        gradients = torch.autograd.grad(result.square().sum(), tensors)
        results[kernel] = [result.detach(), *gradients]

    timing = {"steps": repeats, "warmup": 1, "device": device}
    compiled = device.type == "cuda" and detectron2_is_compiled()
    kernels = ["torchvision", "grid_sample", *(["detectron2"] if compiled else [])]
    seconds = {
        kernel: statistics.median(time_steps(step, itertools.repeat(kernel), **timing)[0])
        for kernel in kernels
    }
    rows = []
    for kernel in kernels:
        pairs = zip(results[kernel], results["grid_sample"], strict=True)
        difference = max(float((a - b).norm() / b.norm()) for a, b in pairs)
        if not difference <= LARGEST_DIFFERENCE:
            raise ValueError(f"{name}: {kernel} differs from grid_sample by {difference:.1e}")
        row = {"layer": name, "maps x in x out x H x W": "x".join(map(str, shape))}
        row |= {"kernel": kernel, "ms": f"{1e3 * seconds[kernel]:.1f}"}
        row["times faster"] = f"{seconds['torchvision'] / seconds[kernel]:.1f}"
        rows.append(row | {"difference": f"{difference:.0e}"})
    return {"rows": rows}


def table(rows: list[Row]) -> str:
    """The rows of ``measure_layer`` as Markdown."""
    return tabulate(rows, "keys", tablefmt="github", disable_numparse=True)


@benchmark(lambda parser: None)
def main(args: argparse.Namespace) -> tuple[list[Row], str]:
    """Compute every shape with every kernel on one CPU thread."""
    torch.set_num_threads(1)
    cpu = torch.device("cpu")
    rows = [row for name in SHAPES for row in measure_layer(name, cpu, REPEATS)["rows"]]
    return rows, f"torch {torch.__version__}, cpu, one CPU thread\n{table(rows)}"


if __name__ == "__main__":
    sys.exit(main())
