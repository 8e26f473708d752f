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
        """Read the settings; ValueError if the threshold is not in [0, 1]."""
        node, threshold = cfg.MODEL.SIMPLEVTR, cfg.TEST.SLOT_THRESHOLD
        if not 0 <= threshold <= 1:
            raise ValueError(f"TEST.SLOT_THRESHOLD is {threshold}; it must be in [0, 1]")
        return cls(node.QUERY_FRAMES, node.CLASS_OFFSET, threshold)

    @torch.no_grad()
    def __call__(self, network: Any, batcher: ClipBatcher, images: list[Tensor]) -> WindowSlots:
        """The slots of one window of T uint8 (3, h, w) frames, by either head's network."""
        own = len(images)
        if self.query_frames:
            images = [images[i] for i in cyclic_frames(own, max(own, self.query_frames))]
        state = network.encode(batcher([{"image": images}]))
        probability = state.predictions.logits[0, :own].float().softmax(-1)
        probability = probability[..., self.class_offset : -1].transpose(0, 1)
        kept = (probability.amax(-1).mean(1) >= self.slot_threshold).nonzero()[:, 0]
        masks = probability.new_zeros(len(kept), own, 0, 0)
        if network.mask_head is not None and len(kept):
            masks = network.masks(state, torch.zeros_like(kept), kept)[:, :own]
        # (B, 1 or T, Q, C): slots without a frame axis have one entry there.
        embedding = state.slots[0].float().mean(0)
        return WindowSlots(probability[kept], masks, embedding[kept])
