"""Deformable 3x3 convolution with one set of parameters and the fastest backend of each device.

Three backends compute the same operation (Dai et al. 2017; modulated: Zhu et al. 2019): on a GPU
detectron2's, if it was compiled, else torchvision's; on a CPU, where torchvision's backward pass is
single-threaded and slow, ``grid_sample`` (``benchmarks/kernels.py`` measures all three).

A deformable convolution is linear in its input, so the ``grid_sample`` form may apply the nine 1x1
kernels before or after sampling. It samples whichever has fewer channels; the layer that gives a
mask logit samples one channel instead of twenty-four.
"""

from simplevtr.modeling.precision import full_precision, without_autocast

import torch
import torch.nn.functional as F
from detectron2.layers import deform_conv as detectron2_ops
from einops import rearrange, reduce, repeat
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

SIZE = 3
TAPS = SIZE * SIZE
PADDING = 1


def detectron2_is_compiled() -> bool:
    """Whether the installed detectron2 has its compiled deformable convolution."""
    try:
        from detectron2 import _C  # noqa: F401
    except ImportError:
        return False
    return True


def backend_name(device: torch.device) -> str:
    """The backend that ``deformable_conv`` uses for tensors on ``device``."""
    if device.type == "cpu":
        return "grid_sample"
    return "detectron2" if device.type == "cuda" and detectron2_is_compiled() else "torchvision"


def deformable_conv(
    x: Tensor,
    offset: Tensor,
    modulation: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    *,
    backend: str | None = None,
) -> Tensor:
    """Deformable 3x3 convolution of stride 1 and padding 1: (N, C, H, W) -> (N, O, H, W).

    Half precision is computed in float32, since bfloat16 tells places in a map of 200 cells apart
    by a whole cell only, and detectron2's kernel takes tensors of one dtype.

    Args:
        x: (N, C, H, W).
        offset: (N, 18, H, W), (dy, dx) in pixels of each of the nine taps, taps row by row.
        modulation: (N, 9, H, W) factor of each tap, usually in [0, 1]; None for v1.
        weight: (O, C, 3, 3).
        bias: (O,) or None.
        backend: "detectron2", "torchvision" or "grid_sample"; by default that of the device.
    """
    backend = backend or backend_name(x.device)
    x, offset, weight = (full_precision(part) for part in (x, offset, weight))
    modulation = None if modulation is None else full_precision(modulation)
    with without_autocast(x.device):
        if backend == "torchvision":
            return deform_conv2d(x, offset, weight, bias, padding=PADDING, mask=modulation)
        if backend == "detectron2" and modulation is not None:
            modulated = detectron2_ops.modulated_deform_conv
            return modulated(x, offset, modulation, weight, bias, 1, PADDING)
        if backend == "detectron2":
            out = detectron2_ops.deform_conv(x, offset, weight, 1, PADDING)
        else:
            out = _by_grid_sample(x, offset, modulation, weight)
        return out if bias is None else out + bias[:, None, None]


def _by_grid_sample(x: Tensor, offset: Tensor, modulation: Tensor | None, weight: Tensor) -> Tensor:
    grid = _sampling_grid(offset)
    out_channels, in_channels = weight.shape[:2]
    if 2 * out_channels <= in_channels:
        taps = rearrange(weight, "o c ky kx -> (ky kx o) c 1 1")
        maps = rearrange(F.conv2d(x, taps), "n (tap o) h w -> (n tap) o h w", tap=TAPS)
        sampled = F.grid_sample(maps, grid.flatten(0, 1), align_corners=False)
        sampled = rearrange(sampled, "(n tap) o h w -> n tap o h w", tap=TAPS)
        if modulation is not None:
            sampled = sampled * modulation[:, :, None]
        return reduce(sampled, "n tap o h w -> n o h w", "sum")
    sampled = F.grid_sample(x, grid.flatten(1, 2), align_corners=False)
    if modulation is not None:
        sampled = sampled * rearrange(modulation, "n tap h w -> n 1 (tap h) w")
    sampled = rearrange(sampled, "n c (tap h) w -> n (c tap) h w", tap=TAPS)
    return F.conv2d(sampled, rearrange(weight, "o c ky kx -> o (c ky kx) 1 1"))


def _sampling_grid(offset: Tensor) -> Tensor:
    """Where the taps read: (N, 18, H, W) offsets -> (N, 9, H, W, 2), (x, y) in [-1, 1]."""
    height, width = offset.shape[-2:]
    offset = rearrange(offset, "n (tap yx) h w -> n tap yx h w", yx=2)
    step = torch.arange(SIZE, device=offset.device, dtype=offset.dtype) - PADDING
    tap_y = repeat(step, "ky -> (ky kx) 1 1", kx=SIZE)
    tap_x = repeat(step, "kx -> (ky kx) 1 1", ky=SIZE)
    row = torch.arange(height, device=offset.device, dtype=offset.dtype)[:, None]
    column = torch.arange(width, device=offset.device, dtype=offset.dtype)
    y = offset[:, :, 0] + tap_y + row
    x = offset[:, :, 1] + tap_x + column
    # grid_sample's [-1, 1] spans the outer edges of the pixels: centre i lies at (2 i + 1) / n - 1.
    # (With align_corners=True an axis of one pixel could not be left.)
    return torch.stack(((2 * x + 1) / width - 1, (2 * y + 1) / height - 1), dim=-1)


class DeformConv(nn.Module):
    """A 3x3 deformable convolution that predicts its own offsets (paper §3.2).

    Its parameters are the same whichever backend computes the result: checkpoints move between
    machines.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        out_channels: int,
        modulated: bool,
        offset_kernel: int = 3,
        bias: bool = False,
    ) -> None:
        """Create the parameters; offsets start at zero, modulation at one half (Zhu et al. 2019).

        It is v2 if ``modulated``, else v1. ``offset_kernel`` is the odd size of the convolution
        that predicts the offsets; VisTR uses 1.
        """
        super().__init__()
        self.backend: str | None = None  # see deformable_conv
        self.modulated = modulated
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, SIZE, SIZE))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        predicted = TAPS * (3 if modulated else 2)
        padding = offset_kernel // 2
        self.offset = nn.Conv2d(in_channels, predicted, offset_kernel, padding=padding)
        nn.init.kaiming_uniform_(self.weight, nonlinearity="relu")  # as detectron2's
        for parameter in self.offset.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W)."""
        offset, modulation = self.offset(x), None
        if self.modulated:
            offset, modulation = offset.split([2 * TAPS, TAPS], dim=1)
            modulation = modulation.sigmoid()
        parameters = self.weight, self.bias
        return deformable_conv(x, offset, modulation, *parameters, backend=self.backend)
