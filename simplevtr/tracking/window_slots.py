"""What the network predicts of one window: one row per instance slot that may be a track."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class WindowSlots:
    """The slots of a window of T frames."""

    probability: Tensor  # (N, T, K) of the classes, without "no object"
    masks: Tensor  # (N, T, h, w) logits at the mask head's stride; (N, T, 0, 0) without one
    embedding: Tensor  # (N, C) output of the decoder, a mean over queries with a frame axis

    def __len__(self) -> int:
        return self.probability.shape[0]

    def rows(self, index: Tensor | list[int]) -> Self:
        """The slots at ``index``, in that order."""
        return type(self)(*(column[index] for column in vars(self).values()))

    def confidence(self) -> Tensor:
        """(N, 2): sum of the probabilities inside each slot's mask, and the number of its cells."""
        probability = self.masks.float().sigmoid().flatten(1)
        inside = probability > 0.5
        return torch.stack([(probability * inside).sum(1), inside.sum(1).float()], dim=1)

    def without_duplicates(self, scores: Tensor, limit: float) -> list[int]:
        """Indices of the slots that are kept, ascending, if better ones push out their duplicates.

        Not in the paper, whose matching is meant to make duplicates unlikely. A slot is dropped,
        whatever its class, if the IoU of its masks over the window with those of a better kept one
        is at least ``limit``. Empty masks cover nothing and are kept.
        """
        shared = mask_overlap(self.masks, self.masks)
        kept: list[int] = []
        for i in scores.argsort(descending=True, stable=True).tolist():
            if all(shared[i, j] < limit for j in kept):
                kept.append(i)
        return sorted(kept)


def mask_overlap(one: Tensor, other: Tensor) -> Tensor:
    """IoU (N, M), on the CPU, of tracks by their mask logits (N, T, h, w) and (M, T, h, w).

    It is summed over frames and cells, and 0 where both are empty.
    """
    a, b = ((masks > 0).flatten(1).float() for masks in (one, other))
    shared = a @ b.T
    union = a.sum(1)[:, None] + b.sum(1) - shared
    return (shared / union.clamp(min=1)).cpu()
