"""Clip dicts -> one normalised, padded batch."""

from __future__ import annotations

from typing import Any

from simplevtr.structures import ClipBatch

import torch
from detectron2.config import CfgNode, configurable
from torch import nn


class ClipBatcher(nn.Module):
    """Normalise the frames of clips and pad them to the largest size and length of the batch.

    A single clip is never padded, nor are clips of one shape.
    """

    @configurable
    def __init__(self, *, pixel_mean: list[float], pixel_std: list[float]) -> None:
        super().__init__()
        for name, values in (("pixel_mean", pixel_mean), ("pixel_std", pixel_std)):
            buffer = torch.tensor(values, dtype=torch.float32).view(-1, 1, 1)
            self.register_buffer(name, buffer, persistent=False)

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        """Read the statistics of pixels."""
        return {"pixel_mean": cfg.MODEL.PIXEL_MEAN, "pixel_std": cfg.MODEL.PIXEL_STD}

    def forward(self, clips: list[dict[str, Any]]) -> ClipBatch:
        """Batch clips whose ``image`` is a list of T_b uint8 (3, H_b, W_b) tensors."""
        device = self.pixel_mean.device
        stacks = [torch.stack(clip["image"]).to(device, non_blocking=True) for clip in clips]
        normalised = [(stack - self.pixel_mean) / self.pixel_std for stack in stacks]
        shapes = [stack.shape for stack in normalised]
        if len(set(shapes)) == 1:
            return ClipBatch(torch.stack(normalised))
        length, channels, height, width = (max(sizes) for sizes in zip(*shapes, strict=True))
        frames = normalised[0].new_zeros(len(clips), length, channels, height, width)
        padding = torch.ones(len(clips), length, height, width, dtype=torch.bool, device=device)
        for b, (stack, (t, _, h, w)) in enumerate(zip(normalised, shapes, strict=True)):
            frames[b, :t, :, :h, :w] = stack
            padding[b, :t, :h, :w] = False
        return ClipBatch(frames, padding)
