"""Clip dicts -> one normalised, padded batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class ClipBatch:
    """Clips of a batch.

    Attributes:
        frames: (B, T, 3, H, W) float32, normalised, zero on padding.
        padding_mask: (B, T, H, W) bool, True on padding; None if nothing is padded.
    """

    frames: Tensor
    padding_mask: Tensor | None


class ClipBatcher(nn.Module):
    """Normalise the frames of clips and pad them to the largest size and length of the batch.

    A single clip is never padded, nor are clips of one shape.
    """

    def __init__(self, *, pixel_mean: list[float], pixel_std: list[float]) -> None:
        super().__init__()
        for name, values in (("pixel_mean", pixel_mean), ("pixel_std", pixel_std)):
            buffer = torch.tensor(values, dtype=torch.float32).view(-1, 1, 1)
            self.register_buffer(name, buffer, persistent=False)

    def forward(self, clips: list[dict[str, Any]]) -> ClipBatch:
        """Batch clips whose ``image`` is a list of T_b uint8 (3, H_b, W_b) tensors."""
        device = self.pixel_mean.device
        stacks = [torch.stack(clip["image"]).to(device, non_blocking=True) for clip in clips]
        normalised = [(stack - self.pixel_mean) / self.pixel_std for stack in stacks]
        shapes = [stack.shape for stack in normalised]
        if len(set(shapes)) == 1:
            return ClipBatch(torch.stack(normalised), None)
        length, channels, height, width = (max(sizes) for sizes in zip(*shapes, strict=True))
        frames = normalised[0].new_zeros(len(clips), length, channels, height, width)
        padding = torch.ones(len(clips), length, height, width, dtype=torch.bool, device=device)
        for b, (stack, (t, _, h, w)) in enumerate(zip(normalised, shapes, strict=True)):
            frames[b, :t, :, :h, :w] = stack
            padding[b, :t, :h, :w] = False
        return ClipBatch(frames, padding)
