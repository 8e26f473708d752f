"""Sine position encoding over time, height and width (VisTR §3.2; legend in ``structures``)."""

import math

import torch
from einops import rearrange, repeat
from torch import Tensor

TEMPERATURE = 10000.0
EPSILON = 1e-6


def clip_position(padding: Tensor, channels: int) -> Tensor:
    """Where each feature cell lies within the unpadded clip, (B, T, h, w, C) float32.

    ``padding`` is (B, T, h, w) bool, True where a cell is padding. Each axis counts unpadded cells
    from 1, is normalised to (0, 2 pi] by its last count and gets C / 3 channels, in the order t, y,
    x; within an axis even channels are sines and odd ones cosines of falling frequency. C must be
    divisible by 6.
    """
    inside = ~padding
    index = torch.arange(channels // 3, device=padding.device)
    period = TEMPERATURE ** (2 * (index // 2) / (channels // 3))
    axes = []
    for dim in (1, 2, 3):
        count = inside.cumsum(dim, dtype=torch.float32)
        last = count.narrow(dim, -1, 1)
        angle = (count / (last + EPSILON) * (2 * math.pi))[..., None] / period
        pairs = torch.stack((angle[..., 0::2].sin(), angle[..., 1::2].cos()), dim=-1)
        axes.append(rearrange(pairs, "b t h w pair two -> b t h w (pair two)"))
    return torch.cat(axes, dim=-1)


def frame_position(height: int, width: int, channels: int, device: torch.device) -> Tensor:
    """Where each cell lies within its padded frame, (h, w, C) float32, the same for every frame.

    It has two axes, y and x, of C / 2 channels each. Unlike ``clip_position`` it counts
    padding, places a cell at its centre and puts an axis's sines before its cosines. C must be
    divisible by 4.
    """
    index = torch.arange(channels // 4, device=device)
    period = TEMPERATURE ** (4 * index / channels)
    axes = []
    for count in (height, width):
        place = (torch.arange(count, device=device) + 0.5) / count
        angle = place[:, None] * (2 * math.pi) / period
        axes.append(torch.cat([angle.sin(), angle.cos()], dim=1))
    y, x = axes
    return torch.cat([repeat(y, "h c -> h w c", w=width), repeat(x, "w c -> h w c", h=height)], -1)
