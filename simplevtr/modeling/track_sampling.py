"""Which matched tracks the mask head is trained on: all of them, or some drawn at random."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

# One clip's (slots, instances), both (G,) int64.
Match = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class MaskTracks:
    """The tracks of a batch that masks are predicted for in training.

    Attributes:
        matches: B matches.
        scales: B factors of the clips' mask losses, G / kept: the sum over the kept tracks then
            has the sum over all as its mean over the draws.
    """

    matches: list[Match]
    scales: list[float]


def sample_tracks(
    matches: list[Match], limit: int, generator: Generator | None = None
) -> MaskTracks:
    """Keep at most ``limit`` tracks of each clip, drawn uniformly; 0 keeps all, drawing nothing.

    Args:
        matches: of B clips.
        limit: tracks a clip.
        generator: on the CPU; None for torch's global one.

    Returns:
        The kept tracks, in their order in ``matches``.
    """
    kept, scales = [], []
    for slots, instances in matches:
        count = len(slots)
        if 0 < limit < count:
            rows = draw_rows(count, limit, generator).to(slots.device)
            kept.append((slots[rows], instances[rows]))
            scales.append(count / limit)
        else:
            kept.append((slots, instances))
            scales.append(1.0)
    return MaskTracks(kept, scales)


def draw_rows(count: int, kept: int, generator: Generator | None = None) -> Tensor:
    """``kept`` of the numbers below ``count``, ascending (int64), each subset equally likely."""
    return torch.randperm(count, generator=generator)[:kept].sort().values
