"""Collects the predictions of a video's windows and makes the result dict of them."""

from __future__ import annotations

from typing import Any

from simplevtr.modeling.clip_network import ClipNetwork, ClipState
from simplevtr.modeling.postprocess import (
    binary_masks,
    mask_confidence,
    score_tracks,
    without_duplicates,
)

import torch
from torch import Tensor


class TrackBuilder:
    """Inference settings; ``start`` begins a video."""

    def __init__(
        self,
        *,
        score_threshold: float,
        tracks_per_video: int,
        mask_scoring: bool,
        duplicate_iou: float = 1.0,
        class_offset: int = 0,
    ) -> None:
        """Keep the settings.

        Args:
            score_threshold: slots below it get no masks; 0 keeps all.
            tracks_per_video: see ``postprocess.score_tracks``.
            mask_scoring: multiply the score by the mean probability inside the mask.
            duplicate_iou: see ``postprocess.without_duplicates``; 1 keeps every track.
            class_offset: leading class indices that no category uses (VisTR: 1).

        Raises:
            ValueError: if ``duplicate_iou`` is not in (0, 1].
        """
        if not 0 < duplicate_iou <= 1:
            raise ValueError(f"TEST.DUPLICATE_IOU is {duplicate_iou}; it must be in (0, 1]")
        self.score_threshold = score_threshold
        self.tracks_per_video = tracks_per_video
        self.mask_scoring = mask_scoring
        self.duplicate_iou = duplicate_iou
        self.class_offset = class_offset

    def start(self, *, size: tuple[int, int]) -> VideoTracks:
        """Begin a video whose frames have ``size`` (H, W) in pixels."""
        return VideoTracks(self, size)


class VideoTracks:
    """The tracks of one video; the slots of its windows are joined by their number."""

    def __init__(self, settings: TrackBuilder, size: tuple[int, int]) -> None:
        self.settings = settings
        self.size = size
        self._probability: list[Tensor] = []
        # Per window: slot -> (T, H, W) bool. Slots below the threshold are left out.
        self._masks: list[dict[int, Tensor]] = []
        # Per window: sum of the probabilities inside each slot's mask and its cells, (2, Q).
        self._confidence: list[Tensor] = []

    def add(self, network: ClipNetwork, state: ClipState, *, frames: int) -> None:
        """Add a window: its first ``frames`` frames are the video's next ones."""
        probability = state.predictions.logits[0, :frames].float().softmax(-1)
        probability = probability[..., self.settings.class_offset : -1]
        self._probability.append(probability)
        best = probability.max(-1).values.mean(0)
        kept = (best >= self.settings.score_threshold).nonzero()[:, 0]
        masks = {}
        if network.mask_head is not None and len(kept):
            logits = network.masks(state, torch.zeros_like(kept), kept)[:, :frames]
            for slot, own in zip(kept.tolist(), logits, strict=True):
                masks[slot] = binary_masks(own, self.size)
            inside, cells = mask_confidence(logits)
            total = probability.new_zeros(2, probability.shape[1])
            total[:, kept] = torch.stack([inside, cells])
            self._confidence.append(total)
        self._masks.append(masks)

    def finish(self) -> dict[str, Any]:
        """The result dict of ``SimpleVTR.forward``."""
        probability = torch.cat(self._probability)
        slots, labels, scores = score_tracks(probability, self.settings.tracks_per_video)
        if self.settings.mask_scoring and self._confidence:
            inside, cells = torch.stack(self._confidence).sum(0)
            scores = scores * (inside / cells.clamp(min=1))[slots]
        kept = scores >= self.settings.score_threshold
        slots, labels, scores = slots[kept], labels[kept], scores[kept]
        order = scores.argsort(descending=True, stable=True)
        slots, labels, scores = slots[order], labels[order], scores[order]
        whole = {slot: self._joined(slot) for slot in set(slots.tolist())}
        masks = [whole[slot] for slot in slots.tolist()]
        if self.settings.duplicate_iou < 1:
            kept = without_duplicates(masks, self.settings.duplicate_iou)
            labels, scores, masks = labels[kept], scores[kept], [masks[i] for i in kept]
        return {
            "image_size": self.size,
            "pred_scores": scores.tolist(),
            "pred_labels": labels.tolist(),
            "pred_masks": masks,
        }

    def _joined(self, slot: int) -> Tensor:
        """The slot's masks over the whole video, (T, H, W) bool; empty where it had none."""
        parts = []
        for probability, masks in zip(self._probability, self._masks, strict=True):
            empty = torch.zeros(1, dtype=torch.bool).expand(len(probability), *self.size)
            parts.append(masks.get(slot, empty))
        return torch.cat(parts)
