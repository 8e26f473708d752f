"""Activations that are computed again in the backward pass instead of kept (Chen et al. 2016).

The result is the same, dropout included, whose random state is kept. A part's forward pass runs
twice, and of its memory only what goes in and comes out is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.utils.checkpoint import checkpoint

# What MODEL.SIMPLEVTR.RECOMPUTE may name.
PARTS = ("backbone", "encoder", "mask_head")


def recomputed(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call ``function``; without gradients just that, else keep only what went in and came out."""
    return checkpoint(function, *arguments, use_reentrant=False)
