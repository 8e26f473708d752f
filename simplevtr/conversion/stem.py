"""Backbones that were trained on BGR frames in [0, 255] from which only the mean is subtracted.

So are the ResNets of Caffe in detectron2's zoo ("MSRA") and most detectors trained from them. The
statistics of their norms are folded into weight and bias, which is how they are told.
"""

from __future__ import annotations

from collections.abc import Sequence

from simplevtr.conversion.draft import Draft
from simplevtr.conversion.target import Target

import torch
from torch import Tensor

WEIGHT = "network.backbone.stem.conv1.weight"
_NORM = "network.backbone.stem.conv1.norm."
CAFFE_MEAN = (123.675, 116.280, 103.530)  # of R, G, B


def to_scaled_rgb(weight: Tensor, std: Sequence[float]) -> Tensor:
    """The first convolution (N, 3, k, k) for RGB divided by ``std`` that gives the same result.

    Args:
        weight: whose second axis is B, G, R of frames in [0, 255] less their mean.
        std: of R, G, B.
    """
    return weight.flip(1) * weight.new_tensor(std)[:, None, None]


def has_folded_statistics(draft: Draft) -> bool:
    """Whether the norm behind the first convolution has no statistics of its own."""
    if f"{_NORM}weight" not in draft.pieces:
        return False
    mean, variance = (draft.pieces.get(f"{_NORM}running_{key}") for key in ("mean", "var"))
    if mean is None or variance is None:
        return True
    folded = torch.ones_like(variance.tensor)
    return not mean.tensor.any() and torch.allclose(variance.tensor, folded, atol=1e-4)


def refit_stem(draft: Draft, target: Target) -> None:
    """Turn a first convolution for Caffe's frames into one for the model's.

    Raises:
        ValueError: if the model subtracts another mean.
    """
    if WEIGHT not in draft.pieces:
        return
    if any(abs(a - b) > 0.01 for a, b in zip(target.pixel_mean, CAFFE_MEAN, strict=True)):
        raise ValueError(
            f"the source expects frames less {CAFFE_MEAN} (RGB), and MODEL.PIXEL_MEAN is "
            f"{tuple(target.pixel_mean)}"
        )
    draft.put(
        WEIGHT,
        to_scaled_rgb(draft.pieces[WEIGHT].tensor, target.pixel_std),
        "BGR in [0, 255] (Caffe's) -> RGB divided by MODEL.PIXEL_STD: the same function; the "
        "bottlenecks of these weights expect MODEL.RESNETS.STRIDE_IN_1X1 True",
    )
