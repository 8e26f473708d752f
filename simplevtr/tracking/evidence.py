"""What is known of a track's class and score, gathered window by window."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class TrackEvidence:
    """Sums over the frames of every window that saw the track (VisTR's inference rules).

    A frame that two windows saw counts twice: it was looked at twice.

    Attributes:
        frames: how many.
        probability: (K,) sum of the class probabilities.
        best: sum of the frames' best class probabilities.
        votes: (K,) frames in which each class was the best one.
        inside: sum of the mask probabilities inside the masks.
        cells: cells of the masks.
    """

    frames: int
    probability: Tensor
    best: float
    votes: Tensor
    inside: float
    cells: float

    @classmethod
    def of(cls, probability: Tensor, confidence: Tensor) -> TrackEvidence:
        """The evidence of one window.

        Args:
            probability: (T, K) of the track in its frames.
            confidence: (2,), a row of ``WindowTracks.confidence``.
        """
        probability = probability.double().cpu()
        best, label = probability.max(-1)
        return cls(
            frames=len(probability),
            probability=probability.sum(0),
            best=float(best.sum()),
            votes=torch.bincount(label, minlength=probability.shape[1]),
            inside=float(confidence[0]),
            cells=float(confidence[1]),
        )

    def __add__(self, other: TrackEvidence) -> TrackEvidence:
        return TrackEvidence(
            **{name: getattr(self, name) + getattr(other, name) for name in vars(self)}
        )

    def label(self) -> int:
        """The most frequent best class of the frames."""
        return int(self.votes.argmax())

    def score(self, *, mask_scoring: bool, frames: int | None = None) -> float:
        """Mean of the frames' best class probabilities, times the masks' confidence if wanted.

        Args:
            mask_scoring: whether the masks' confidence counts.
            frames: what the mean is over, if not the track's own frames: those that it has not
                count as zero.
        """
        return self.best / (frames or self.frames) * self._mask_factor(mask_scoring)

    def class_scores(self, *, mask_scoring: bool, frames: int | None = None) -> Tensor:
        """(K,) mean class probabilities; see ``score``."""
        return self.probability / (frames or self.frames) * self._mask_factor(mask_scoring)

    def _mask_factor(self, mask_scoring: bool) -> float:
        return self.inside / max(self.cells, 1.0) if mask_scoring else 1.0
