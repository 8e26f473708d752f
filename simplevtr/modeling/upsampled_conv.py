"""A 3x3 convolution of a map that was made twice as large, computed on the small map.

After nearest-neighbour upsampling by 2 a 3x3 window sees only 2x2 different cells, which ones
depends on whether the output's row and column are even or odd. So the large convolution is four
2x2 ones on the small map with summed weights: 4/9 of the products, and no large copy that the
backward pass would have to keep.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import einsum, rearrange
from torch import Tensor

# [phase, small cell, tap]: which of a window's three taps fall on which of its two small cells, for
# an even position (cells j - 1 and j) and an odd one (j and j + 1).
_FOLD = (((1, 0, 0), (0, 1, 1)), ((1, 1, 0), (0, 0, 1)))


def conv_of_upsampled(x: Tensor, weight: Tensor, size: Sequence[int]) -> Tensor:
    """``conv2d(interpolate(x, size, mode="nearest"), weight, padding=1)``, up to rounding.

    ``x`` is (N, C, h, w), ``weight`` (O, C, 3, 3). The short way is taken if ``size`` (H, W) is
    (2 h or 2 h - 1, 2 w or 2 w - 1), as it is between the stages of a ResNet.
    """
    if any(large not in (2 * n, 2 * n - 1) for large, n in zip(size, x.shape[-2:], strict=True)):
        return F.conv2d(F.interpolate(x, size=size, mode="nearest"), weight, padding=1)
    height, width = x.shape[-2:]
    fold = torch.tensor(_FOLD, dtype=weight.dtype, device=weight.device)
    kernels = einsum(fold, fold, weight, "p a i, q b j, o c i j -> p q o c a b")
    windows = F.conv2d(x, rearrange(kernels, "p q o c a b -> (p q o) c a b"), padding=1)
    phases = rearrange(windows, "n (p q o) h w -> p q n o h w", p=2, q=2)
    # Window j covers the small cells j - 1 and j; an odd position's is the next one.
    rows = [
        torch.stack([phases[p, q, ..., p : p + height, q : q + width] for q in (0, 1)], dim=-1)
        for p in (0, 1)
    ]
    out = rearrange(rows, "p n o h w q -> n o (h p) (w q)")[..., : size[0], : size[1]]
    # An odd size cuts the last cell in half: what the windows took of its other half is zero.
    if size[0] % 2:
        last = F.interpolate(x[..., -1:, :], size=(1, 2 * width), mode="nearest")
        beyond = F.conv2d(last, weight[..., 2:, :], padding=(0, 1))
        out[..., -1:, :] -= beyond[..., : size[1]]
    if size[1] % 2:
        last = F.interpolate(x[..., -1:], size=(size[0], 1), mode="nearest")
        out[..., -1:] -= F.conv2d(last, weight[..., 2:], padding=(1, 0))
    return out
