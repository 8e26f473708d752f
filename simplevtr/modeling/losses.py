"""The losses of VisTR as pure functions (VisTR §3.4; shape legend in ``structures``).

Half precision is computed in float32; float64 stays, for comparisons. The normaliser of the box
losses is an argument; the mask losses are given a map at a time, to be summed and normalised by the
criterion, which applies the weights too. With nothing matched each sum is a zero that gradients can
flow through.
"""

from __future__ import annotations

from simplevtr.modeling.precision import full_precision

import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import box_convert, generalized_box_iou_loss, sigmoid_focal_loss

FOCAL_ALPHA = 0.25
FOCAL_GAMMA = 2.0


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


def mask_dice_loss(logits: Tensor, targets: Tensor, inside: Tensor | None = None) -> Tensor:
    """1 - dice coefficient with +1 smoothing, of each map; arguments and result as above."""
    probability = full_precision(logits).sigmoid()
    if inside is not None:
        probability = probability * inside
    probability, targets = probability.flatten(1), targets.to(probability.dtype).flatten(1)
    overlap = 2 * (probability * targets).sum(1)
    total = probability.sum(1) + targets.sum(1)
    return 1 - (overlap + 1) / (total + 1)


def dense_class_loss(logits: Tensor, coverage: Tensor, inside: Tensor) -> Tensor:
    """Binary cross-entropy of every class in every feature cell (not in the paper; see the config).

    Args:
        logits: (B, T, h, w, K).
        coverage: (B, T, h, w, K) in [0, 1], the share of the cell that instances of the class
            cover.
        inside: (B, T, h, w) float, 0 on padding.

    Returns:
        Scalar: summed over classes, a mean over cells.
    """
    logits = full_precision(logits)
    loss = F.binary_cross_entropy_with_logits(logits, coverage, reduction="none").sum(-1)
    return (loss * inside).sum() / inside.sum().clamp(min=1)
