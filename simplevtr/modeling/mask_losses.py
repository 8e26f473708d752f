"""The mask losses over every pixel, in chunks of maps.

Logits come at a fraction of the targets' size. Upsampling all of them at once makes autograd keep
many full-size maps; here a chunk of maps is upsampled, compared and dropped, and computed again in
the backward pass (gradient checkpointing), with the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

from simplevtr.modeling.losses import full_precision, mask_dice_loss, mask_focal_loss

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

# What a chunk may take: eight float32 maps of 300 x 540. Its GPU kernels, over a million pixels,
# take longer than their launch, and it is little next to what the mask head keeps.
CHUNK_BYTES = 128 * 2**20
# Tensors of a chunk's size that exist at once in its backward pass (measured).
TENSORS_A_CHUNK = 25


@dataclass(frozen=True)
class TaughtMaps:
    """The maps of one clip that teach masks: N pairs of an instance and a frame.

    They are indices into the clip's targets, which exist anyway; full-size copies are made of a
    few maps at a time.

    Attributes:
        masks: (G, T, H, W) bool, the clip's targets.
        padding: (T, H, W) bool, True where a pixel is padding; None if nothing is padded.
        instances: (N,) int64, indices into G.
        frames: (N,) int64, indices into T.
    """

    masks: Tensor
    padding: Tensor | None
    instances: Tensor
    frames: Tensor

    def wanted(self, rows: slice) -> Tensor:
        """(n, H, W) bool, the targets of some maps."""
        return self.masks[self.instances[rows], self.frames[rows]]

    def inside(self, rows: slice) -> Tensor | None:
        """(n, H, W) bool, False on padding; None if nothing is padded."""
        return None if self.padding is None else ~self.padding[self.frames[rows]]


def full_mask_losses(logits: Tensor, maps: TaughtMaps) -> tuple[Tensor, Tensor]:
    """Compare every pixel of each map.

    Args:
        logits: (N, h, w), upsampled bilinearly to the targets' size.
        maps: what they are compared with.

    Returns:
        Focal and dice loss of each map, (N,) each; float32 for half precision.
    """
    pixels = maps.masks.shape[-2] * maps.masks.shape[-1]
    map_bytes = pixels * full_precision(logits[:0]).element_size()
    count = max(1, CHUNK_BYTES // (TENSORS_A_CHUNK * map_bytes))
    losses = []
    for index, part in enumerate(logits.split(count)):
        rows = slice(index * count, index * count + len(part))
        losses.append(
            checkpoint(
                _chunk_losses, part, maps, rows, use_reentrant=False, preserve_rng_state=False
            )
        )
    focal, dice = zip(*losses, strict=True)
    return torch.cat(focal), torch.cat(dice)


def _chunk_losses(logits: Tensor, maps: TaughtMaps, rows: slice) -> tuple[Tensor, Tensor]:
    logits = full_precision(logits)[:, None]
    logits = F.interpolate(logits, size=maps.masks.shape[-2:], mode="bilinear")[:, 0]
    wanted, inside = maps.wanted(rows).to(logits.dtype), maps.inside(rows)
    return mask_focal_loss(logits, wanted, inside), mask_dice_loss(logits, wanted, inside)
