"""Which track of the video so far each slot of the next window goes on with."""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


class WindowLinker:
    """The Hungarian assignment of a window's slots to the tracks that are alive.

    A slot may go on with a track if their masks in the frames that both know have an IoU of at
    least ``min_iou``. Where neither has a mask in those frames, or the track was not seen in the
    window before, masks say nothing and looks decide: ``looks`` is the Bhattacharyya coefficient of
    the class probabilities times the cosine of the decoder's outputs, and must be at least
    ``min_looks``. Links by masks are worth more than any link by looks.
    """

    def __init__(self, *, min_iou: float, min_looks: float) -> None:
        """Keep the limits.

        Raises:
            ValueError: if one is not in [0, 1].
        """
        for key, value in (("MIN_IOU", min_iou), ("MIN_LOOKS", min_looks)):
            if not 0 <= value <= 1:
                raise ValueError(f"TEST.LINK.{key} is {value}; it must be in [0, 1]")
        self.min_iou = min_iou
        self.min_looks = min_looks

    def __call__(self, iou: Tensor, comparable: Tensor, looks: Tensor) -> list[tuple[int, int]]:
        """Link tracks and slots, each to one at most.

        Args:
            iou: (N, M) of N tracks and M slots, by their masks in the frames that both know.
            comparable: (N, M) bool, whether those masks say anything.
            looks: (N, M) in [-1, 1].

        Returns:
            Pairs (track, slot).
        """
        allowed = torch.where(comparable, iou >= self.min_iou, looks >= self.min_looks)
        # Looks are worth 1 at most, masks 2 and more.
        worth = torch.where(comparable, 2 + iou, 0) + looks.clamp(0, 1)
        worth = torch.where(allowed, worth, 0).numpy()
        rows, columns = linear_sum_assignment(worth, maximize=True)
        allowed = allowed.numpy()
        return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if allowed[i, j]]


def looks_alike(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> Tensor:
    """How alike tracks and slots look, (N, M) float32 on the CPU.

    Args:
        one: (N, K) mean class probabilities and (N, C) embeddings.
        other: (M, K) and (M, C).
    """
    classes = one[0].clamp(min=0).sqrt() @ other[0].clamp(min=0).sqrt().T
    norms = one[0].sum(1).sqrt()[:, None] * other[0].sum(1).sqrt()
    directions = [torch.nn.functional.normalize(x[1].float(), dim=1) for x in (one, other)]
    return ((classes / norms.clamp(min=1e-6)) * (directions[0] @ directions[1].T)).float().cpu()
