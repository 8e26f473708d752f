"""The losses of VisTR as pure functions (VisTR §3.4; shape legend in ``structures``).

Half precision is computed in float32; float64 stays, for comparisons. The normaliser of the box
losses is an argument; the mask losses are given a map at a time, to be summed and normalised by the
criterion, which applies the weights too. With nothing matched each sum is a zero that gradients can
flow through.
"""

from __future__ import annotations

from dataclasses import dataclass

from simplevtr.modeling.precision import full_precision
from simplevtr.structures import ClipTargets

import torch
import torch.nn.functional as F
from detectron2.utils import comm
from einops import rearrange
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from torchvision.ops import box_convert, generalized_box_iou_loss, sigmoid_focal_loss

FOCAL_ALPHA = 0.25
FOCAL_GAMMA = 2.0
# What a chunk may take: eight float32 maps of 300 x 540. Its GPU kernels, over a million pixels,
# take longer than their launch, and it is little next to what the mask head keeps.
CHUNK_BYTES = 128 * 2**20
# Tensors of a chunk's size that exist at once in its backward pass (measured).
TENSORS_A_CHUNK = 25


def normaliser(count: Tensor | int, device: torch.device) -> Tensor:
    """What sums are divided by: a number of targets, averaged over the workers and at least 1."""
    count = torch.as_tensor(count, dtype=torch.float32, device=device)
    if comm.get_world_size() > 1:
        torch.distributed.all_reduce(count)
    return (count / comm.get_world_size()).clamp(min=1)


def class_loss(logits: Tensor, classes: Tensor, no_object_weight: float) -> Tensor:
    """Cross-entropy over slots and frames, a weighted mean.

    Args:
        logits: (B, T, Q, K + 1).
        classes: (B, T, Q) int64; K is "no object", -100 is left out (padded frames).
        no_object_weight: weight of "no object"; the other classes weigh 1.

    Returns:
        Scalar.
    """
    logits = full_precision(logits).flatten(0, 2)
    weight = logits.new_ones(logits.shape[-1])
    weight[-1] = no_object_weight
    return F.cross_entropy(logits, classes.flatten(), weight)


def box_l1_loss(boxes: Tensor, targets: Tensor, normaliser: Tensor) -> Tensor:
    """Sum of absolute differences of (N, 4) boxes, cxcywh in [0, 1], over the normaliser."""
    boxes = full_precision(boxes)
    return F.l1_loss(boxes, targets.to(boxes.dtype), reduction="sum") / normaliser


def box_giou_loss(boxes: Tensor, targets: Tensor, normaliser: Tensor, eps: float = 1e-7) -> Tensor:
    """Sum of 1 - generalised IoU of (N, 4) boxes, cxcywh in [0, 1], over the normaliser.

    ``eps`` is added to the areas that are divided by.
    """
    xyxy = box_convert(full_precision(boxes), "cxcywh", "xyxy")
    target_xyxy = box_convert(targets.to(xyxy.dtype), "cxcywh", "xyxy")
    loss = generalized_box_iou_loss(xyxy, target_xyxy, reduction="sum", eps=eps)
    return loss / normaliser


def mask_focal_loss(logits: Tensor, targets: Tensor, inside: Tensor | None = None) -> Tensor:
    """Sigmoid focal loss, a mean over the pixels of each map.

    Args:
        logits: (N, H, W), a map an instance and frame; or (N, P), some of its pixels.
        targets: like ``logits``, float in {0, 1}, 0 on padding.
        inside: like ``logits``, bool or float, 0 on padding; None if nothing is padding.

    Returns:
        (N,).
    """
    logits = full_precision(logits)
    targets = targets.to(logits.dtype)
    loss = sigmoid_focal_loss(logits, targets, alpha=FOCAL_ALPHA, gamma=FOCAL_GAMMA)
    if inside is None:
        return loss.flatten(1).mean(1)
    pixels = inside.flatten(1).sum(1).clamp(min=1)
    return (loss * inside).flatten(1).sum(1) / pixels


def mask_bce_loss(logits: Tensor, targets: Tensor, inside: Tensor | None = None) -> Tensor:
    """Binary cross-entropy, a mean over the pixels of each map; arguments and result as above."""
    logits = full_precision(logits)
    loss = F.binary_cross_entropy_with_logits(logits, targets.to(logits.dtype), reduction="none")
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
    total = probability.sum(1) + targets.sum(1)
    return 1 - (overlap + 1) / (total + 1)


def class_coverage(targets: ClipTargets, classes: int, size: tuple[int, int]) -> Tensor:
    """Share of each of (h, w) feature cells that a clip's visible instances of each class cover.

    Returns (T, h, w, K) float32 in [0, 1].
    """
    frames = targets.masks.shape[1]
    share = F.adaptive_avg_pool2d(targets.masks.float(), size)
    coverage = share.new_zeros(classes, frames, *size)
    coverage.index_add_(0, targets.labels, share)
    return rearrange(coverage, "k t h w -> t h w k").clamp(max=1)


def dense_class_loss(logits: Tensor, coverage: Tensor, inside: Tensor) -> Tensor:
    """Binary cross-entropy of every class in every feature cell, a mean over cells.

    Not in the paper: from scratch a slot learns its class only through attention that has not
    formed yet; this teaches the memory classes directly.

    Args:
        logits: (B, T, h, w, K).
        coverage: (B, T, h, w, K) in [0, 1], of ``class_coverage``.
        inside: (B, T, h, w) float, 0 on padding.
    """
    logits = full_precision(logits)
    loss = F.binary_cross_entropy_with_logits(logits, coverage, reduction="none").sum(-1)
    return (loss * inside).sum() / inside.sum().clamp(min=1)


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

    Upsampling all logits at once would make autograd keep many full-size maps. A chunk of maps is
    upsampled, compared and dropped, and computed again in the backward pass, with the same numbers.

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
