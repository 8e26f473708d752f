"""The mask losses over a few pixels of each map instead of all.

The pixels are drawn as in PointRend's training (§3.1; Mask2Former §3.3 takes losses there): of more
candidates than needed the least certain are kept, and the rest is drawn uniformly. Unlike there, a
point is always the centre of a pixel of the target, so that its label needs no interpolation and
uniform points have the focal loss over all pixels as their mean. detectron2's function that draws
points is not used: it knows no padding and takes everything near a map's edge for uncertain, as it
reads zeros beyond.
"""

from __future__ import annotations

from collections.abc import Callable

from simplevtr.modeling.losses import TaughtMaps, mask_dice_loss, mask_focal_loss
from simplevtr.modeling.precision import full_precision

import torch
from detectron2.projects.point_rend.point_features import point_sample
from torch import Generator, Tensor

OVERSAMPLE_RATIO = 3  # candidates a point, k in PointRend §3.1
IMPORTANCE_RATIO = 0.75  # share of points that are chosen by uncertainty, beta in PointRend §3.1


def point_mask_losses(
    logits: Tensor,
    maps: TaughtMaps,
    points: int,
    importance: float = IMPORTANCE_RATIO,
    generator: Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Compare some pixels of each map.

    Args:
        logits: (N, h, w), read as if upsampled bilinearly to the targets' size.
        maps: what they are compared with; padding lies to the right of and below the frames.
        points: P, pixels a map, none on padding; they may repeat.
        importance: share of them that is chosen by uncertainty; 0 draws all uniformly.
        generator: on the logits' device; None for torch's global one.

    Returns:
        Focal and dice loss of each map, (N,) each; float32 for half precision.
    """
    logits = full_precision(logits)
    fixed = logits.detach()
    pixels = draw_pixels(
        lambda pixels: map_logits_at(fixed, pixels, maps), maps, points, importance, generator
    )
    x, y = pixels.unbind(-1)
    wanted = maps.masks[maps.instances[:, None], maps.frames[:, None], y, x].to(logits.dtype)
    found = map_logits_at(logits, pixels, maps)
    return mask_focal_loss(found, wanted), mask_dice_loss(found, wanted)


def draw_pixels(
    logits_at: Callable[[Tensor], Tensor],
    maps: TaughtMaps,
    points: int,
    importance: float = IMPORTANCE_RATIO,
    generator: Generator | None = None,
) -> Tensor:
    """Draw (N, P, 2) int64 pixels, x then y.

    Args:
        logits_at: (N, P', 2) pixels -> the (N, P') logits there.
        maps: as in ``point_mask_losses``, like the other arguments.
        points: P.
        importance: share of them that is chosen by uncertainty.
        generator: on the maps' device; None for torch's global one.
    """
    sizes = _unpadded_sizes(maps)[:, None]

    def uniform(count: int) -> Tensor:
        shape = (len(maps.frames), count, 2)
        places = torch.rand(shape, generator=generator, device=maps.masks.device)
        # The product may round up to the size itself.
        return (places * sizes).long().minimum(sizes - 1)

    chosen = int(importance * points)
    candidates = uniform(OVERSAMPLE_RATIO * points)
    certainty = logits_at(candidates).abs()
    least = certainty.topk(chosen, dim=1, largest=False, sorted=False).indices
    uncertain = candidates.gather(1, least[..., None].expand(-1, -1, 2))
    return torch.cat([uncertain, uniform(points - chosen)], dim=1)


def _unpadded_sizes(maps: TaughtMaps) -> Tensor:
    """(N, 2) int64, width and height of each map without padding."""
    if maps.padding is None:
        height, width = maps.masks.shape[-2:]
        return maps.frames.new_tensor([width, height]).expand(len(maps.frames), 2)
    inside = ~maps.padding
    return torch.stack([inside.any(-2).sum(-1), inside.any(-1).sum(-1)], -1)[maps.frames]


def map_logits_at(logits: Tensor, pixels: Tensor, maps: TaughtMaps) -> Tensor:
    """(N, P) values that (N, h, w) logits have at the pixels' centres when upsampled."""
    height, width = maps.masks.shape[-2:]
    centres = (pixels + 0.5).to(logits.dtype) / pixels.new_tensor([width, height])
    # "border" is how F.interpolate reads beyond the edges.
    return point_sample(logits[:, None], centres, padding_mode="border", align_corners=False)[:, 0]
