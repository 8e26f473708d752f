"""Class and box losses of VisTR, and a dense class loss (VisTR §3.4; legend in ``structures``).

Half precision is computed in float32; float64 stays, for comparisons. The normaliser of the box
losses is an argument; the criterion applies the weights. With nothing matched each sum is a zero
that gradients can flow through. Those of masks are in ``mask_losses``.
"""

from collections.abc import Sequence

from simplevtr.modeling.precision import full_precision
from simplevtr.structures import ClipTargets

import torch
import torch.nn.functional as F
from detectron2.utils import comm
from einops import rearrange
from torch import Tensor
from torchvision.ops import box_convert, generalized_box_iou_loss

# Masks whose float copies exist at once while they are made smaller
TARGETS_AT_A_TIME = 32
IGNORED = -100  # class of padded frames


def normaliser(count: Tensor | int, device: torch.device) -> Tensor:
    """What sums are divided by: a number of targets, averaged over the workers and at least 1."""
    count = torch.as_tensor(count, dtype=torch.float32, device=device)
    if comm.get_world_size() > 1:
        torch.distributed.all_reduce(count)
    return (count / comm.get_world_size()).clamp(min=1)


def class_loss(logits: Tensor, classes: Tensor, no_object_weight: float) -> Tensor:
    """Cross-entropy over slots and frames, a mean in which "no object" has its own weight.

    ``logits`` are (..., K + 1), ``classes`` (...) int64; K is "no object", ``IGNORED`` is left out.
    """
    logits = full_precision(logits).flatten(0, -2)
    weight = logits.new_ones(logits.shape[-1])
    weight[-1] = no_object_weight
    return F.cross_entropy(logits, classes.flatten(), weight, ignore_index=IGNORED)


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
    return generalized_box_iou_loss(xyxy, target_xyxy, reduction="sum", eps=eps) / normaliser


def cell_shares(maps: Tensor, size: Sequence[int]) -> Tensor:
    """(..., H, W) -> (..., h, w), the mean over each cell; bool maps are the share that is True."""
    parts = maps.flatten(0, -3)[:, None].split(TARGETS_AT_A_TIME)
    shares = torch.cat([F.adaptive_avg_pool2d(few.float(), (size[0], size[1])) for few in parts])
    return shares.view(*maps.shape[:-2], *size)


def class_coverage(targets: ClipTargets, classes: int, size: Sequence[int]) -> Tensor:
    """(T, h, w, K), the share of each feature cell that a clip's instances of each class cover."""
    shares = cell_shares(targets.masks, size)
    coverage = shares.new_zeros(classes, *shares.shape[1:])
    coverage.index_add_(0, targets.labels, shares)
    return rearrange(coverage, "k t h w -> t h w k").clamp(max=1)


def dense_class_loss(logits: Tensor, targets: list[ClipTargets], padding: Tensor | None) -> Tensor:
    """Binary cross-entropy of every class in every feature cell, a mean over cells.

    Not in the paper: from scratch a slot learns its class only through attention that has not
    formed yet; this trains the memory's classes directly. ``logits`` are (B, T, h, w, K),
    ``padding`` (B, T, H, W) bool or None.
    """
    logits = full_precision(logits)
    size, classes = logits.shape[2:4], logits.shape[-1]
    coverage = torch.stack([class_coverage(own, classes, size) for own in targets])
    inside = torch.ones_like(coverage[..., 0])
    if padding is not None:
        inside = cell_shares(~padding, size)
    loss = F.binary_cross_entropy_with_logits(logits, coverage, reduction="none").sum(-1)
    return (loss * inside).sum() / inside.sum().clamp(min=1)
