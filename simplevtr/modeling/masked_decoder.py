"""Slots that attend to the cells of a whole clip where their own masks are.

Each layer attends to one scale of all frames together, with one softmax, so that a slot is the same
object in all of them (paper section 3.4: queries have no frame axis), within its mask of the layer
before (Cheng et al. 2022, Mask2Former, section 3.2).
"""

from collections.abc import Sequence
from typing import NamedTuple

from simplevtr.modeling.attention import attend
from simplevtr.modeling.position_encoding import frame_position
from simplevtr.modeling.precision import full_precision
from simplevtr.modeling.transformer import FeedForward
from simplevtr.structures import ClipBatch

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn


class SlotKernels(NamedTuple):
    """What slots predict, in full precision; of all layers with a leading axis L + 1."""

    slots: Tensor  # (B, Q, C) normed
    kernel: Tensor  # (B, Q, E); the logits of a slot's masks are kernel @ embedding + bias
    bias: Tensor  # (B, Q)


class KernelHead(nn.Module):
    """Reads mask kernels from slots, the same after every layer."""

    def __init__(self, *, channels: int, embedding: int, fine_channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.kernel = nn.Sequential(
            nn.Linear(channels, channels),
            nn.ReLU(),
            nn.Linear(channels, channels),
            nn.ReLU(),
            nn.Linear(channels, embedding + 1),
        )
        self.fine = nn.Linear(channels, fine_channels) if fine_channels else None

    def forward(self, slots: Tensor) -> SlotKernels:
        """Read from (B, Q, C); ``fine`` is left to be applied to the last layer's normed slots."""
        slots = self.norm(slots)
        kernel = full_precision(self.kernel(slots))
        return SlotKernels(full_precision(slots), kernel[..., :-1], kernel[..., -1])


class MaskedAttention(nn.Module):
    """Multi-head attention of slots to cells or to each other, added and normed."""

    def __init__(self, *, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (
            nn.Linear(channels, channels) for _ in range(4)
        )
        self.norm = nn.LayerNorm(channels)

    def forward(
        self, slots: Tensor, query: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None
    ) -> Tensor:
        """Add to slots (B, Q, C) what (B, Q, C) queries read from (B, S, C) keys and values.

        ``allowed`` is (B, 1, Q, S) bool, True where a slot may look; None for everywhere.
        """
        projected = self.query(query), self.key(key), self.value(value)
        return self.norm(slots + self.out(attend(*projected, heads=self.heads, allowed=allowed)))


class MaskedDecoderLayer(nn.Module):
    """Attention to the clip's cells, attention among the slots, then feed-forward."""

    def __init__(self, *, channels: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.cross = MaskedAttention(channels=channels, heads=heads)
        self.among = MaskedAttention(channels=channels, heads=heads)
        self.feed_forward = FeedForward(channels=channels, hidden=hidden, dropout=0.0)

    def forward(self, slots: Tensor, query: Tensor, *cells: Tensor | None) -> Tensor:
        """Map slots (B, Q, C), whose learned ``query`` is (B, Q, C), to the same shape.

        ``cells`` are keys (B, S, C), values (B, S, C) and where each slot may look.
        """
        slots = self.cross(slots, slots + query, *cells)
        located = slots + query
        slots = self.among(slots, located, located, slots, None)
        return self.feed_forward(slots)


class MaskedDecoder(nn.Module):
    """Slots of a clip of any length."""

    def __init__(
        self,
        *,
        channels: int,
        heads: int,
        hidden: int,
        layers: int,
        queries: int,
        scales: int,
        head: KernelHead,
        masked: bool = True,
    ) -> None:
        """Layer i attends to scale i modulo ``scales``; if ``masked``, within its slots' masks."""
        super().__init__()
        self.masked = masked
        self.start = nn.Embedding(queries, channels)
        self.query = nn.Embedding(queries, channels)
        self.scale_embedding = nn.Embedding(scales, channels)
        self.layers = nn.ModuleList(
            MaskedDecoderLayer(channels=channels, heads=heads, hidden=hidden) for _ in range(layers)
        )
        self.head = head

    def forward(
        self, scales: list[Tensor], embedding: Tensor, batch: ClipBatch
    ) -> tuple[Tensor, SlotKernels]:
        """The slots (B, Q, C), and what they predict before the first layer and after each.

        ``scales`` are cells (B, T, C, h_i, w_i), ``embedding`` (B, T, E, h, w) of the pixels of
        the ``batch``, which tells what is padding.
        """
        clips, frames = embedding.shape[:2]
        slots = repeat(self.start.weight, "q c -> b q c", b=clips)
        query = repeat(self.query.weight, "q c -> b q c", b=clips)
        attended = []
        for cells, scale in zip(scales, self.scale_embedding.weight, strict=True):
            size = cells.shape[-2:]
            value = rearrange(cells, "b t c h w -> b (t h w) c") + scale
            position = frame_position(size[0], size[1], value.shape[-1], value.device)
            key = value + repeat(position.to(value.dtype), "h w c -> (t h w) c", t=frames)
            padding = batch.cell_padding(size)
            inside = None if padding is None else rearrange(~padding, "b t h w -> b 1 1 (t h w)")
            # Products are linear: an embedding that is resized gives the logits that are resized.
            attended.append((key, value, inside, resized(embedding.detach(), size)))
        predictions = [self.head(slots)]
        for index, layer in enumerate(self.layers):
            key, value, inside, small = attended[index % len(attended)]
            allowed = _own_cells(predictions[-1], small, inside) if self.masked else inside
            slots = layer(slots, query, key, value, allowed)
            predictions.append(self.head(slots))
        return slots, SlotKernels(*map(torch.stack, zip(*predictions, strict=True)))


def mask_logits(kernel: Tensor, bias: Tensor, embedding: Tensor) -> Tensor:
    """Masks (..., Q, T, h, w) of (..., Q, E), (..., Q) and (..., T, E, h, w)."""
    logits = torch.einsum("...qe,...tehw->...qthw", kernel, embedding)
    return logits + bias[..., None, None, None]


def resized(maps: Tensor, size: Sequence[int]) -> Tensor:
    """(B, T, c, h, w) at another size; a mean over the places that become one, else bilinear."""
    flat = maps.flatten(0, 1)
    if flat.shape[-2] >= size[0] and flat.shape[-1] >= size[1]:
        flat = F.adaptive_avg_pool2d(flat, (size[0], size[1]))
    else:
        flat = F.interpolate(flat, size=size, mode="bilinear")
    return flat.unflatten(0, maps.shape[:2])


@torch.no_grad()
def _own_cells(prediction: SlotKernels, embedding: Tensor, inside: Tensor | None) -> Tensor:
    """(B, 1, Q, S) bool: the cells of each slot's mask, or all if it has none."""
    logits = mask_logits(prediction.kernel, prediction.bias, embedding)
    own = rearrange(logits > 0, "b q t h w -> b 1 q (t h w)")
    if inside is not None:
        own = own & inside
    nowhere = ~own.any(-1, keepdim=True)
    return own | (nowhere if inside is None else nowhere & inside)
