"""What is read from a slot: its class, its box, and where it looks in each frame.

A decoupled model has one vector per slot for the whole clip (paper §3.4), VisTR one per slot and
frame. Both come with a frame axis here, of size 1 or T, which broadcasts.
"""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


class ClassHead(nn.Linear):
    """A linear layer C -> K + 1; the last logit is "no object"."""

    def __init__(self, *, channels: int, classes: int, no_object_bias: float = 0.0) -> None:
        super().__init__(channels, classes + 1)
        with torch.no_grad():
            self.bias[-1] += no_object_bias


class BoxHead(nn.Module):
    """A three-layer perceptron that gives a box, cxcywh in [0, 1]."""

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(channels, n) for n in (channels, channels, 4))

    def forward(self, slots: Tensor) -> Tensor:
        """Map (..., C) to (..., 4), cxcywh in [0, 1]."""
        for layer in self.layers[:-1]:
            slots = layer(slots).relu()
        return self.layers[-1](slots).sigmoid()


class SlotAttention(nn.Module):
    """Attention maps of every slot over the cells of each frame (DETR's mask branch, VisTR §3.3).

    The softmax runs jointly over the heads and the cells of a frame.
    """

    def __init__(self, *, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)
        for linear in (self.query, self.key):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, slots: Tensor, memory: Tensor, padding_mask: Tensor | None) -> Tensor:
        """Compare slots (B, 1 or T, Q, C) with the memory (B, T, h, w, C) of each frame.

        ``padding_mask`` is (B, T, h, w) bool, or None. The result is (B, T, Q, heads, h, w); the
        values of one slot in one frame sum to 1, padded cells hold 0.
        """
        frames, height, width, channels = memory.shape[1:]
        query = self.query(slots) / math.sqrt(channels / self.heads)
        query = rearrange(query, "b t q (n c) -> b t n q c", n=self.heads)
        key = rearrange(self.key(memory), "b t h w (n c) -> b t n c (h w)", n=self.heads)
        scores = rearrange(query @ key, "b t n q cell -> b t q n cell")
        if padding_mask is not None:
            padded = rearrange(padding_mask, "b t h w -> b t 1 1 (h w)")
            # Finite, so that a frame without any cell to look at, which nothing reads, is not NaN
            scores = scores.masked_fill(padded, torch.finfo(scores.dtype).min)
        maps = F.softmax(scores.flatten(3), dim=-1).view_as(scores)
        if padding_mask is not None:
            maps = maps.masked_fill(padded, 0.0)
        return maps.unflatten(-1, (height, width))
