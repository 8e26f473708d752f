"""A class loss in every cell of the encoder's memory.

Not in the paper. From scratch, a slot learns its class only through attention that has not formed
yet; this loss teaches the memory classes directly. Off by default
(``MODEL.SIMPLEVTR.LOSS.DENSE_WEIGHT``).
"""

from __future__ import annotations

from simplevtr.modeling.losses import dense_class_loss
from simplevtr.structures import ClipTargets

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


class DenseClassLoss(nn.Module):
    """Weighted per-cell class loss of a batch of clips."""

    def __init__(self, *, weight: float) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, logits: Tensor, targets: list[ClipTargets], pixel_padding: Tensor) -> Tensor:
        """Compare (B, T, h, w, K) logits with the cells' class coverage; returns a scalar.

        ``pixel_padding`` is (B, T, H, W) bool, True on padding.
        """
        size, classes = logits.shape[2:4], logits.shape[-1]
        coverage = torch.stack([class_coverage(t, classes, size) for t in targets])
        inside = F.adaptive_avg_pool2d((~pixel_padding).float(), size)
        return self.weight * dense_class_loss(logits, coverage, inside)


def class_coverage(targets: ClipTargets, classes: int, size: tuple[int, int]) -> Tensor:
    """Share of each feature cell that visible instances of each class cover.

    Args:
        targets: one clip, masks (G, T, H, W).
        classes: K.
        size: (h, w) in cells.

    Returns:
        (T, h, w, K) float32 in [0, 1].
    """
    frames = targets.masks.shape[1]
    share = F.adaptive_avg_pool2d(targets.masks.float(), size)
    coverage = share.new_zeros(classes, frames, *size)
    coverage.index_add_(0, targets.labels, share)
    return rearrange(coverage, "k t h w -> t h w k").clamp(max=1)
