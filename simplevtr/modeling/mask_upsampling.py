"""Masks at half the finest feature's stride, for small objects (§3.6 names both ways).

The paper tried them without submitting them. Both keep the cost low: they work on logits, where an
instance and frame has one to four channels, and start as plain interpolation.
"""

from __future__ import annotations

import torch
from torch import nn

UPSAMPLINGS = ("none", "subpixel", "deconv")


def logit_channels(upsample: str) -> int:
    """Channels that the layer in front has to give, 4 for "subpixel" and else 1.

    Raises:
        ValueError: if ``upsample`` is unknown.
    """
    if upsample not in UPSAMPLINGS:
        raise ValueError(
            f"MASK_HEAD.UPSAMPLE is {upsample!r}; allowed are {', '.join(UPSAMPLINGS)}"
        )
    return 4 if upsample == "subpixel" else 1


def build_upsampling(upsample: str, logit_layer: nn.Module) -> nn.Module:
    """Map mask logits (N, ``logit_channels``, h, w) to (N, 1, 2 h, 2 w), or leave them alone.

    Args:
        upsample: one of ``UPSAMPLINGS``.
        logit_layer: the convolution in front, with a ``weight``; for "subpixel" its four outputs
            are made equal, so that training starts without a checkerboard (Aitken et al. 2017).
    """
    if upsample == "none":
        return nn.Identity()
    if upsample == "deconv":
        return BilinearDeconv()
    with torch.no_grad():
        logit_layer.weight.copy_(logit_layer.weight[:1].expand_as(logit_layer.weight))
    return nn.PixelShuffle(2)


class BilinearDeconv(nn.ConvTranspose2d):
    """A learned 4x4 transposed convolution of stride 2 that starts as bilinear (Long et al. 2015).

    Maps (N, 1, h, w) to (N, 1, 2 h, 2 w).
    """

    def __init__(self) -> None:
        super().__init__(1, 1, kernel_size=4, stride=2, padding=1)
        profile = torch.tensor([0.25, 0.75, 0.75, 0.25])
        with torch.no_grad():
            self.weight.copy_(torch.outer(profile, profile))
            self.bias.zero_()
