"""The losses of masks, of VisTR and of Mask2Former, over all pixels of a map or some of them.

Half precision is computed in float32; float64 stays. The losses of each map are returned, an
instance and frame each, to be summed, normalised and weighted by the criterion.

Some pixels are drawn as in PointRend's training (§3.1; Mask2Former §3.3 takes losses there): of
more candidates than needed the least certain are kept, and the rest is drawn uniformly. Unlike
there, a point is always the centre of a pixel of the target, so that its label needs no
interpolation and uniform points have the focal loss over all pixels as their mean. detectron2's
function that draws points is not used: it ignores padding and takes everything near a map's edge
for uncertain, as it reads zeros beyond.
"""

from collections.abc import Callable
from dataclasses import dataclass

from simplevtr.modeling.precision import full_precision
from simplevtr.modeling.recompute import recomputed

import torch
import torch.nn.functional as F
from detectron2.projects.point_rend.point_features import point_sample
from torch import Tensor
from torchvision.ops import sigmoid_focal_loss

FOCAL_ALPHA = 0.25
FOCAL_GAMMA = 2.0
# What all tensors of a chunk together may take: it then has eight maps of 300 x 540. Its GPU
# kernels, over a million pixels, take longer than their launch; the mask head keeps far more.
LOSS_CHUNK_BYTES = 128 * 2**20
# Tensors of a chunk's size that exist at once in its backward pass (measured).
TENSORS_A_CHUNK = 25
OVERSAMPLE_RATIO = 3  # candidates per point, k in PointRend §3.1
IMPORTANCE_RATIO = 0.75  # share of points that are chosen by uncertainty, beta in PointRend §3.1


def mask_focal_loss(logits: Tensor, targets: Tensor, inside: Tensor | None = None) -> Tensor:
    """Sigmoid focal loss (N,), a mean over the pixels of each map.

    Args:
        logits: (N, H, W), a map of an instance and frame each; or (N, P), some of its pixels.
        targets: like ``logits``, float in {0, 1}, 0 on padding.
        inside: like ``logits``, bool or float, 0 on padding; None if nothing is padding.
    """
    logits = full_precision(logits)
    targets = targets.to(logits.dtype)
    loss = sigmoid_focal_loss(logits, targets, alpha=FOCAL_ALPHA, gamma=FOCAL_GAMMA)
    return _pixel_mean(loss, inside)


def mask_bce_loss(logits: Tensor, targets: Tensor, inside: Tensor | None = None) -> Tensor:
    """Binary cross-entropy, a mean over the pixels of each map; arguments and result as above."""
    logits = full_precision(logits)
    loss = F.binary_cross_entropy_with_logits(logits, targets.to(logits.dtype), reduction="none")
    return _pixel_mean(loss, inside)


def _pixel_mean(loss: Tensor, inside: Tensor | None) -> Tensor:
    if inside is None:
        return loss.flatten(1).mean(1)
    return (loss * inside).flatten(1).sum(1) / inside.flatten(1).sum(1).clamp(min=1)


def mask_dice_loss(logits: Tensor, targets: Tensor, inside: Tensor | None = None) -> Tensor:
    """1 - dice coefficient with +1 smoothing, of each map; arguments and result as above."""
    probability = full_precision(logits).sigmoid()
    if inside is not None:
        probability = probability * inside
    probability, targets = probability.flatten(1), targets.to(probability.dtype).flatten(1)
    overlap = 2 * (probability * targets).sum(1)
    return 1 - (overlap + 1) / (probability.sum(1) + targets.sum(1) + 1)


@dataclass(frozen=True)
class TargetMaps:
    """The maps of one clip that masks are compared with: N pairs of an instance and a frame.

    They are indices into the clip's targets, which exist anyway; full-size copies are made of a
    few maps at a time.
    """

    masks: Tensor  # (G, T, H, W) bool, the clip's targets
    padding: Tensor | None  # (T, H, W) bool, True on padding; None if nothing is padded
    instances: Tensor  # (N,) int64, indices into G
    frames: Tensor  # (N,) int64, indices into T

    def whole(self, rows: slice = slice(None)) -> tuple[Tensor, Tensor | None]:
        """(n, H, W) bool: targets, and what is not padding; None there if nothing is padded."""
        inside = None if self.padding is None else ~self.padding[self.frames[rows]]
        return self.masks[self.instances[rows], self.frames[rows]], inside

    def at(self, pixels: Tensor) -> Tensor:
        """(N, P) bool, the targets at (N, P, 2) pixels, x then y."""
        x, y = pixels.unbind(-1)
        return self.masks[self.instances[:, None], self.frames[:, None], y, x]


def full_mask_losses(logits: Tensor, maps: TargetMaps) -> tuple[Tensor, Tensor]:
    """Focal and dice loss, (N,) each, of (N, h, w) logits at every pixel of the targets' size.

    Upsampling all logits at once would make autograd keep many full-size maps. A chunk of maps is
    upsampled, compared and dropped, and computed again in the backward pass, with the same numbers.
    """
    pixels = maps.masks.shape[-2] * maps.masks.shape[-1]
    map_bytes = pixels * full_precision(logits[:0]).element_size()
    count = max(1, LOSS_CHUNK_BYTES // (TENSORS_A_CHUNK * map_bytes))
    losses = [
        recomputed(_chunk_losses, part, maps, slice(i * count, (i + 1) * count))
        for i, part in enumerate(logits.split(count))
    ]
    focal, dice = zip(*losses, strict=True)
    return torch.cat(focal), torch.cat(dice)


def _chunk_losses(logits: Tensor, maps: TargetMaps, rows: slice) -> tuple[Tensor, Tensor]:
    logits = full_precision(logits)[:, None]
    logits = F.interpolate(logits, size=maps.masks.shape[-2:], mode="bilinear")[:, 0]
    wanted, inside = maps.whole(rows)
    wanted = wanted.to(logits.dtype)
    return mask_focal_loss(logits, wanted, inside), mask_dice_loss(logits, wanted, inside)


def point_mask_losses(
    logits_at: Callable[[Tensor], Tensor],
    maps: TargetMaps,
    points: int,
    pixel_loss: Callable[[Tensor, Tensor], Tensor],
) -> tuple[Tensor, Tensor]:
    """``pixel_loss`` and dice loss over some pixels of each map, (N,) each; see ``draw_pixels``."""
    pixels = draw_pixels(logits_at, maps, points)
    found, wanted = logits_at(pixels), maps.at(pixels)
    return pixel_loss(found, wanted), mask_dice_loss(found, wanted)


@torch.no_grad()
def draw_pixels(logits_at: Callable[[Tensor], Tensor], maps: TargetMaps, points: int) -> Tensor:
    """Draw (N, P, 2) int64 pixels, x then y, P ``points`` in each map; they may repeat.

    None is on padding, which lies to the right of and below the frames. ``logits_at`` maps
    (N, P', 2) pixels to the (N, P') logits there.
    """
    sizes = _unpadded_sizes(maps)[:, None]

    def uniform(count: int) -> Tensor:
        shape = (len(maps.frames), count, 2)
        places = torch.rand(shape, device=maps.masks.device)
        # The product may round up to the size itself.
        return (places * sizes).long().minimum(sizes - 1)

    chosen = int(IMPORTANCE_RATIO * points)
    candidates = uniform(OVERSAMPLE_RATIO * points)
    certainty = logits_at(candidates).abs()
    least = certainty.topk(chosen, dim=1, largest=False, sorted=False).indices
    uncertain = candidates.gather(1, least[..., None].expand(-1, -1, 2))
    return torch.cat([uncertain, uniform(points - chosen)], dim=1)


def _unpadded_sizes(maps: TargetMaps) -> Tensor:
    """(N, 2) int64, width and height of each map without padding."""
    if maps.padding is None:
        height, width = maps.masks.shape[-2:]
        return maps.frames.new_tensor([width, height]).expand(len(maps.frames), 2)
    inside = ~maps.padding
    return torch.stack([inside.any(-2).sum(-1), inside.any(-1).sum(-1)], -1)[maps.frames]


def map_logits_at(logits: Tensor, maps: TargetMaps, pixels: Tensor) -> Tensor:
    """(N, P) values that (N, h, w) logits have at the pixels' centres when upsampled bilinearly."""
    logits = full_precision(logits)
    height, width = maps.masks.shape[-2:]
    centres = (pixels + 0.5).to(logits.dtype) / pixels.new_tensor([width, height])
    # "border" is how F.interpolate reads beyond the edges.
    return point_sample(logits[:, None], centres, padding_mode="border", align_corners=False)[:, 0]
