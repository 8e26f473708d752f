"""Features of a frame -> cells at several scales and an embedding of every pixel, once per frame.

A feature pyramid (Lin et al. 2017) from the coarsest feature up. Slots do not appear here, so the
cost does not grow with their number; a mask is the product of a slot's kernel with the embeddings
(MaskFormer, Cheng et al. 2021, section 3).
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from simplevtr.modeling.attention import MultiheadAttention
from simplevtr.modeling.backbone import LEVELS
from simplevtr.modeling.deform_conv import DeformConv
from simplevtr.modeling.position_encoding import frame_position

import torch.nn.functional as F
from detectron2.layers import ShapeSpec, get_norm
from einops import rearrange
from torch import Tensor, nn


class PixelDecoder(nn.Module):
    """A feature pyramid with an embedding of every pixel."""

    def __init__(
        self,
        *,
        shapes: Mapping[str, ShapeSpec],
        channels: int,
        heads: int,
        widths: Sequence[int],
        embedding: int,
        attended: int = len(LEVELS),
        fine_channels: int = 0,
        norm: str = "GN",
        self_attention: Sequence[str] = (),
        deform: Sequence[str] = (),
    ) -> None:
        """Create the layers; ValueError if a number of widths or the name of a level is wrong.

        ``shapes`` are those of the backbone's features; those of ``LEVELS`` that are there are
        used. ``channels`` and ``heads`` are of the cells that slots attend to, on the ``attended``
        coarsest levels at most, never on the finest; the rest are the keys of
        ``MODEL.SIMPLEVTR.PIXEL``.
        """
        super().__init__()
        self.levels = [name for name in LEVELS if name in shapes]
        by_level = _by_level(self.levels, widths, heads, norm, self_attention, deform)
        self.lateral = nn.ModuleDict(
            {n: nn.Conv2d(shapes[n].channels, w, 1) for n, w in by_level.items()}
        )
        self.down = nn.ModuleDict(
            {n: nn.Conv2d(by_level[above], by_level[n], 1) for above, n in pairwise(self.levels)}
        )
        self.smooth = nn.ModuleDict(
            {n: _conv_norm(w, w, norm, deform=n in deform) for n, w in by_level.items()}
        )
        self.attention = nn.ModuleDict(
            {n: CellAttention(channels=by_level[n], heads=heads) for n in self_attention}
        )
        # The finest level gives the embedding; attending to it as well would cost the most.
        self.to_cells = nn.ModuleDict(
            {n: nn.Conv2d(by_level[n], channels, 1) for n in self.levels[:-1][:attended]}
        )
        self.to_embedding = nn.Conv2d(widths[-1], embedding, 1)
        self.fine_channels = fine_channels
        if fine_channels:
            self.fine_input = nn.Conv2d(3, fine_channels, 3, padding=1)
            self.fine_coarse = nn.Conv2d(widths[-1], fine_channels, 1)
            self.fine_output = nn.Conv2d(fine_channels, fine_channels, 3, padding=1)

    def forward(self, frames: Tensor, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Build the pyramid of normalised (N, 3, H, W) frames and their (N, c, h, w) features.

        Returns:
            By the level's name (N, C, h_i, w_i) cells, the coarsest first; "embedding"
            (N, E, h, w) of the finest level's cells; "fine" (N, F, H, W) of the frames' pixels, if
            F is not 0.
        """
        found, level = {}, None
        for name in self.levels:
            own = self.lateral[name](features[name])
            if level is not None:
                size = own.shape[-2:]
                own = own + F.interpolate(self.down[name](level), size=size, mode="nearest")
            level = self.smooth[name](own).relu()
            if name in self.attention:
                level = self.attention[name](level)
            if name in self.to_cells:
                found[name] = self.to_cells[name](level)
        found["embedding"] = self.to_embedding(level)
        if self.fine_channels:
            coarse = F.interpolate(self.fine_coarse(level), size=frames.shape[-2:], mode="bilinear")
            found["fine"] = self.fine_output((self.fine_input(frames) + coarse).relu())
        return found


class CellAttention(nn.Module):
    """Self-attention between the cells of a frame, then feed-forward; normed before each."""

    def __init__(self, *, channels: int, heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(channels), nn.LayerNorm(channels)])
        self.attention = MultiheadAttention(channels=channels, heads=heads, dropout=0.0)
        self.feed_forward = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.ReLU(), nn.Linear(2 * channels, channels)
        )

    def forward(self, cells: Tensor) -> Tensor:
        """Map (N, c, h, w) to the same shape."""
        height, width = cells.shape[-2:]
        position = frame_position(height, width, cells.shape[1], cells.device).to(cells.dtype)
        cells = rearrange(cells, "n c h w -> n (h w) c")
        normed = self.norms[0](cells)
        located = normed + rearrange(position, "h w c -> (h w) c")
        cells = cells + self.attention(located, located, normed)
        cells = cells + self.feed_forward(self.norms[1](cells))
        return rearrange(cells, "n (h w) c -> n c h w", h=height)


def _by_level(
    levels: Sequence[str],
    widths: Sequence[int],
    heads: int,
    norm: str,
    self_attention: Sequence[str],
    deform: Sequence[str],
) -> dict[str, int]:
    """The width of each level; ValueError if the keys of a pixel decoder do not fit together."""
    if len(widths) != len(levels):
        raise ValueError(
            f"PIXEL.WIDTHS {list(widths)} must hold {len(levels)} numbers, for {', '.join(levels)}"
        )
    for key, names in (("SELF_ATTENTION", self_attention), ("DEFORM", deform)):
        if unknown := [name for name in names if name not in levels]:
            raise ValueError(f"PIXEL.{key} names {unknown[0]!r}; allowed are {', '.join(levels)}")
    if norm == "GN" and any(width % 32 for width in widths):
        raise ValueError(
            f"PIXEL.WIDTHS are {list(widths)}; PIXEL.NORM 'GN' (32 groups) needs multiples of 32"
        )
    by_level = dict(zip(levels, widths, strict=True))
    for name in self_attention:
        if by_level[name] % heads or by_level[name] % 4:
            raise ValueError(
                f"PIXEL.WIDTHS of {name} in PIXEL.SELF_ATTENTION is {by_level[name]}; it must "
                f"be divisible by NUM_HEADS, {heads}, and by 4"
            )
    return by_level


def _conv_norm(inputs: int, outputs: int, norm: str, *, deform: bool) -> nn.Module:
    sizes: dict[str, Any] = {"in_channels": inputs, "out_channels": outputs}
    if deform:
        conv: nn.Module = DeformConv(modulated=True, offset_kernel=1, **sizes)
    else:
        conv = nn.Conv2d(kernel_size=3, padding=1, bias=not norm, **sizes)
    return nn.Sequential(conv, get_norm(norm, outputs) or nn.Identity())
