"""What is known of a track's class and score, gathered window by window."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass
class TrackEvidence:
    """Sums over the frames of every window that saw the track (VisTR's inference rules).

    A frame that two windows saw counts twice: it was predicted twice.
    """

    frames: int  # how many
    probability: Tensor  # (K,) sum of the class probabilities
    best: float  # sum of the frames' best class probabilities
    votes: Tensor  # (K,) frames in which each class was the best one
    inside: float  # sum of the mask probabilities inside the masks
    cells: float  # of the masks

    @classmethod
    def of(cls, probability: Tensor, confidence: Tensor) -> Self:
        """Of one window: (T, K) probabilities, and a row of ``WindowSlots.confidence`` or ones."""
        probability = probability.double().cpu()
        best, label = probability.max(-1)
        votes = torch.bincount(label, minlength=probability.shape[1])
        inside, cells = map(float, confidence)
        return cls(len(probability), probability.sum(0), float(best.sum()), votes, inside, cells)

    def __add__(self, other: Self) -> Self:
        return type(self)(**{name: own + vars(other)[name] for name, own in vars(self).items()})

    def label(self) -> int:
        """The most frequent best class of the frames."""
        return int(self.votes.argmax())

    def score(self) -> float:
        """Mean of the frames' best class probabilities, times the mean inside the masks (or 1)."""
        return self.best / self.frames * self._mask_factor()

    def best_classes(self, count: int) -> list[tuple[int, float]]:
        """The ``count`` classes with the best mean probabilities, times the mean inside the masks.

        With these scores, best first. With 0 the class that is the best one in most frames, with
        ``score`` (VisTR).
        """
        if not count:
            return [(self.label(), self.score())]
        scores = self.probability / self.frames * self._mask_factor()
        best, labels = scores.topk(min(count, len(scores)))
        return list(zip(labels.tolist(), best.tolist(), strict=True))

    def _mask_factor(self) -> float:
        # Sums in float32 may be a trifle more than their number of cells.
        return min(1.0, self.inside / max(self.cells, 1.0))
