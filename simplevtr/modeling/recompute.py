"""Activations that are computed again in the backward pass instead of kept (Chen et al. 2016).

The result is the same, dropout included, whose random state is kept. A part's forward pass runs
twice, and of its memory only what goes in and comes out is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any

from torch.utils.checkpoint import checkpoint


@dataclass(frozen=True)
class Recompute:
    """Which parts are recomputed (``MODEL.SIMPLEVTR.RECOMPUTE``)."""

    backbone: bool = False
    encoder: bool = False
    mask_head: bool = False

    @classmethod
    def of(cls, names: Iterable[str]) -> Recompute:
        """From the names of the parts.

        Raises:
            ValueError: if a name is unknown.
        """
        names = list(names)
        known = [field.name for field in fields(cls)]
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ValueError(
                f"MODEL.SIMPLEVTR.RECOMPUTE has {unknown[0]!r}; allowed are {', '.join(known)}"
            )
        return cls(**dict.fromkeys(names, True))


def recomputed(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call ``function``; without gradients just that, else keep only what went in and came out."""
    return checkpoint(function, *arguments, use_reentrant=False)
