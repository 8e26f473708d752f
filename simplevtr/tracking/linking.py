"""Which track of the video so far each slot of the next window goes on with."""

from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class WindowLinker:
    """The Hungarian assignment of a window's slots to the tracks that are alive.

    A slot may go on with a track if their masks meet, with an IoU of at least ``min_iou`` in the
    frames that both saw, and if the mean of that IoU and of how alike they look is at least
    ``min_agreement``. ``looks`` is the Bhattacharyya coefficient of the class probabilities times
    the cosine of the decoder's outputs.
    Where neither has a mask in those frames, or the track was not seen in the window before, masks
    say nothing; looks alone must then be at least ``min_looks``, and count for half.
    """

    min_iou: float
    min_agreement: float
    min_looks: float

    def __call__(self, iou: Tensor, comparable: Tensor, looks: Tensor) -> list[tuple[int, int]]:
        """Link tracks and slots, each to one at most, so that the sum of agreement is greatest.

        Args:
            iou: (N, M) of N tracks and M slots, by their masks in the frames that both saw.
            comparable: (N, M) bool, whether those masks say anything.
            looks: (N, M) in [-1, 1].

        Returns:
            Pairs (track, slot).
        """
        looks = looks.clamp(min=0)
        agreement = torch.where(comparable, (iou + looks) / 2, looks / 2)
        meet = (iou >= self.min_iou) & (agreement >= self.min_agreement)
        allowed = torch.where(comparable, meet, looks >= self.min_looks)
        rows, columns = linear_sum_assignment(torch.where(allowed, agreement, 0), maximize=True)
        pairs = zip(rows.tolist(), columns.tolist(), strict=True)
        return [(track, slot) for track, slot in pairs if allowed[track, slot]]


def looks_alike(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> Tensor:
    """How alike tracks and slots look, (N, M) float32 on the CPU.

    Args:
        one: (N, K) mean class probabilities and (N, C) embeddings, on any devices.
        other: (M, K) and (M, C).
    """
    one, other = ((classes.cpu(), embedding.float().cpu()) for classes, embedding in (one, other))
    classes = one[0].clamp(min=0).sqrt() @ other[0].clamp(min=0).sqrt().T
    norms = one[0].sum(1).sqrt()[:, None] * other[0].sum(1).sqrt()
    directions = [torch.nn.functional.normalize(x[1], dim=1) for x in (one, other)]
    return ((classes / norms.clamp(min=1e-6)) * (directions[0] @ directions[1].T)).float()
