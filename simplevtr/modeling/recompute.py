"""Activations that are computed again in the backward pass instead of kept (Chen et al. 2016).

The result is the same, dropout included, whose random state is kept. A part's forward pass runs
twice, and of its memory only what goes in and comes out is kept.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

# Images whose activations are in memory together if what works on each alone is recomputed.
IMAGES_AT_A_TIME = 4
BACKBONE_NORM = "MODEL.RESNETS.NORM (or MODEL.TIMM.FROZEN_NORM)"


def recomputed(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call ``function``; without gradients just that, else keep only what went in and came out."""
    return checkpoint(function, *arguments, use_reentrant=False)


def by_images(
    part: nn.Module, images: Tensor, *maps: dict[str, Tensor], recompute: bool
) -> dict[str, Tensor]:
    """The maps that ``part``, which works on each image alone, makes of N images and their maps.

    With ``recompute`` a few images at a time, whose activations are not kept.
    """
    if not (recompute and torch.is_grad_enabled()):
        return part(images, *maps)
    few_maps = (_split(own) for own in maps)
    few_images = images.split(IMAGES_AT_A_TIME)
    parts = [recomputed(part, *few) for few in zip(few_images, *few_maps, strict=True)]
    return {name: torch.cat([own[name] for own in parts]) for name in parts[0]}


def _split(maps: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    pieces = zip(*(own.split(IMAGES_AT_A_TIME) for own in maps.values()), strict=True)
    return [dict(zip(maps, piece, strict=True)) for piece in pieces]


def check_norms(module: nn.Module, part: str, key: str) -> None:
    """ValueError if norms of a ``part`` that is recomputed gather statistics; ``key`` sets them."""
    if any(isinstance(m, _BatchNorm) for m in module.modules()):
        raise ValueError(
            f'MODEL.SIMPLEVTR.RECOMPUTE has "{part}", which works in parts and would give other '
            f"statistics to the batch norms of {key}; allowed are FrozenBN and GN"
        )
