"""Which track of the video so far each slot of the next window goes on with."""

from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class TrackingSettings:
    """How windows become tracks."""

    min_iou: float  # see linked
    min_agreement: float
    min_looks: float
    # A slot of a later window that goes on with no track starts one if its score is at least this;
    # in the first window all do
    birth_score: float = 0.0
    # Windows that a track may miss before it ends; until then it can be taken up again, with its id
    memory: int = 0
    mask_scoring: bool = False  # whether scores are multiplied by the mean probability in the mask
    duplicate_iou: float = 1.0  # see WindowSlots.without_duplicates; 1 keeps every slot
    piece_gap: float = 0.0  # see largest_piece; 0 keeps all pieces of a mask


def linked(
    iou: Tensor, comparable: Tensor, looks: Tensor, limits: TrackingSettings
) -> list[tuple[int, int]]:
    """Pairs (track, slot), the Hungarian assignment of N tracks and the M slots of a window.

    A slot may go on with a track if their masks meet, with an IoU of at least ``min_iou`` in the
    frames that both saw, and if the mean of that IoU and of how alike they look is at least
    ``min_agreement``. Where neither has a mask in those frames, or the track was not seen in the
    window before, masks say nothing; looks alone must then be at least ``min_looks``, and count for
    half. The sum of agreement is greatest.

    Args:
        iou: (N, M), by the masks in the frames that both saw.
        comparable: (N, M) bool, whether those masks say anything.
        looks: (N, M) in [-1, 1], of ``looks_alike``.
        limits: hold ``min_iou``, ``min_agreement`` and ``min_looks``.
    """
    looks = looks.clamp(min=0)
    agreement = torch.where(comparable, (iou + looks) / 2, looks / 2)
    meet = (iou >= limits.min_iou) & (agreement >= limits.min_agreement)
    allowed = torch.where(comparable, meet, looks >= limits.min_looks)
    rows, columns = linear_sum_assignment(torch.where(allowed, agreement, 0), maximize=True)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(track, slot) for track, slot in pairs if allowed[track, slot]]


def looks_alike(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> Tensor:
    """How alike tracks and slots look, (N, M) float32 on the CPU.

    The Bhattacharyya coefficient of the class probabilities times the cosine of the embeddings.

    Args:
        one: (N, K) mean class probabilities and (N, C) embeddings, on any devices.
        other: (M, K) and (M, C).
    """
    one, other = ((classes.cpu(), embedding.float().cpu()) for classes, embedding in (one, other))
    classes = one[0].clamp(min=0).sqrt() @ other[0].clamp(min=0).sqrt().T
    norms = one[0].sum(1).sqrt()[:, None] * other[0].sum(1).sqrt()
    directions = [torch.nn.functional.normalize(x[1], dim=1) for x in (one, other)]
    return ((classes / norms.clamp(min=1e-6)) * (directions[0] @ directions[1].T)).float()
