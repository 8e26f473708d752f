"""Time the kernels of the modulated deformable convolution, forward and backward, side by side.

    python benchmarks/deform_conv.py [--device cpu] [--threads 1] [--repeats 5]

Prints the median time of each kernel that runs on the device and its ratio to torchvision's, at the
shapes of the small and the full-size mask head. All figures come from one run on one machine.
"""

from __future__ import annotations

import argparse
import statistics
import time

from simplevtr.modeling.deform_conv import detectron2_is_compiled, modulated_deform_conv

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
        _wait(device)
        start = time.perf_counter()
        modulated_deform_conv(*tensors, None, kernel=kernel).square().sum().backward()
        _wait(device)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    """Parse arguments, measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    baseline = "torchvision"
    kernels = [baseline, "grid_sample"]
    if device.type == "cuda" and detectron2_is_compiled():
        kernels.append("detectron2")
    rows = []
    for name, shape in SHAPES.items():
        times = {k: measure(k, shape, device, options.repeats) for k in kernels}
        rows += [
            (
                name,
                "x".join(map(str, shape)),
                k,
                f"{t * 1e3:.1f}",
                f"{times['torchvision'] / t:.1f}",
            )
            for k, t in times.items()
        ]
    print(f"torch {torch.__version__}, {device}, {options.threads} CPU threads")
    headers = ["layer", "maps x in x out x H x W", "kernel", "ms", "times faster"]
    print(tabulate(rows, headers, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
