"""The network over one window of a video, its slots as the tracker takes them."""

from dataclasses import dataclass
from typing import Any, Self

from simplevtr.modeling.preprocess import ClipBatcher
from simplevtr.structures import cyclic_frames
from simplevtr.tracking import WindowSlots

import torch
from detectron2.config import CfgNode
from torch import Tensor


@dataclass(frozen=True)
class WindowPredictor:
    """Runs a network over the frames of a window."""

    # Above 0 if the network takes exactly that many frames (queries with a frame axis); a shorter
    # window is then gone through again, as in training and by VisTR
    query_frames: int
    class_offset: int  # leading class indices that no category uses (VisTR: 1)
    # Slots whose best class probability, a mean over the window's frames, is lower are left out
    # before masks are computed
    slot_threshold: float

    @classmethod
    def from_config(cls, cfg: CfgNode) -> Self:
        """Read the settings."""
        node = cfg.MODEL.SIMPLEVTR
        return cls(node.QUERY_FRAMES, node.CLASS_OFFSET, cfg.TEST.SLOT_THRESHOLD)

    def probability(self, logits: Tensor) -> Tensor:
        """The probabilities of categories by (..., K + 1) logits, without "no object", float32."""
        return logits.float().softmax(-1)[..., self.class_offset : -1]

    @torch.no_grad()
    def __call__(self, network: Any, batcher: ClipBatcher, images: list[Tensor]) -> WindowSlots:
        """The slots of one window of T uint8 (3, h, w) frames, by either head's network.

        ValueError: what the network predicts is not a number, which would be no tracks otherwise.
        """
        own = len(images)
        if self.query_frames:
            images = [images[i] for i in cyclic_frames(own, max(own, self.query_frames))]
        state = network.encode(batcher([{"image": images}]))
        probability = self.probability(state.predictions.logits[0, :own]).transpose(0, 1)
        kept = (probability.amax(-1).mean(1) >= self.slot_threshold).nonzero()[:, 0]
        masks = probability.new_zeros(len(kept), own, 0, 0)
        if network.mask_head is not None and len(kept):
            masks = network.masks(state, torch.zeros_like(kept), kept)[:, :own]
        if probability.isnan().any() or masks.isnan().any():
            raise ValueError(
                "the model predicts NaN: its weights (MODEL.WEIGHTS) have infinite values or NaN, "
                "or the numbers are too large for TEST.AMP with SOLVER.AMP.DTYPE float16"
            )
        # (B, 1 or T, Q, C): slots without a frame axis have one entry there.
        embedding = state.slots[0].float().mean(0)
        return WindowSlots(probability[kept], masks, embedding[kept])
