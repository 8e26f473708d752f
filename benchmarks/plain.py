"""The same model computed in the plain way, to compare the light one with.

Importing this module registers ``MODEL.META_ARCHITECTURE: "SIMPLEVTR_PLAIN"``, which has the
parameters and the results of "SIMPLEVTR". It does what public code of VisTR does: masks of every
slot in training and inference, the frame's memory copied to every slot before the first
convolution, classes and boxes read in every frame, attention with its matrices in memory,
torchvision's deformable convolution, and whole arrays of masks at the frame's size.
``tests/test_plain.py`` holds the two equal; ``benchmarks/`` compares their cost.
"""

from typing import Any

from simplevtr.modeling.deform_conv import DeformConv
from simplevtr.modeling.meta_arch import SimpleVTR
from simplevtr.modeling.paper_network import PaperNetwork, PaperState
from simplevtr.structures import ClipBatch, ClipPredictions, FrameTracks, encode_masks
from simplevtr.tracking.collected import CollectedTracks
from simplevtr.tracking.evidence import TrackEvidence

import torch
import torch.nn.functional as F
from detectron2.config import CfgNode
from detectron2.modeling import META_ARCH_REGISTRY
from einops import rearrange, repeat
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel


class PlainNetwork(PaperNetwork):
    """``PaperNetwork`` without its shortcuts."""

    def __init__(self, cfg: CfgNode) -> None:
        super().__init__(cfg)
        self.recompute_backbone = self.transformer.recompute_encoder = False
        for module in self.modules():
            if isinstance(module, DeformConv):
                module.backend = "torchvision"

    def encode(self, batch: ClipBatch) -> PaperState:
        """As the base class, with every attention matrix in memory."""
        with sdpa_kernel(SDPBackend.MATH):
            return super().encode(batch)

    def _classes_and_boxes(self, slots: Tensor, length: int) -> ClipPredictions:
        """Equation 2 to the letter: repeat the slots over the frames, then read each frame."""
        if not self.query_frames:
            slots = repeat(slots, "l b 1 q c -> l b frames q c", frames=length).contiguous()
        logits, boxes = self.class_head(slots), self.box_head(slots)
        auxiliary = tuple(zip(logits[:-1], boxes[:-1], strict=True))
        return ClipPredictions(logits=logits[-1], boxes=boxes[-1], auxiliary=auxiliary)

    def masks(self, state: PaperState, clip: Tensor, slot: Tensor) -> Tensor:
        """As the base class: the masks of every slot, of which the chosen ones are given back."""
        head = self.mask_head
        clips, length = state.memory.shape[:2]
        attention = self.slot_attention(state.slots, state.memory, state.cell_padding)
        attention = rearrange(attention, "b t q n h w -> (b q t) n h w") * head.attention_scale
        x = torch.cat([self._copied(state.memory.movedim(-1, 2)), attention], dim=1)
        x = head.layer2(head.layer1(x))
        layers = (head.layer3, head.layer4, head.deform)
        for feature, adapter, layer in zip(state.features, head.adapters, layers, strict=True):
            adapted = adapter(feature.flatten(0, 1))
            fine = self._copied(rearrange(adapted, "(b t) c h w -> b t c h w", t=length))
            x = fine + F.interpolate(x, size=fine.shape[-2:], mode="nearest")
            x = layer(x)
        if head.temporal is not None:
            x = head.temporal(rearrange(x, "(m t) c h w -> m c t h w", t=length))
            x = rearrange(x, "m c t h w -> (m t) c h w")
        masks = rearrange(head.upsample(x), "(b q t) 1 h w -> b q t h w", b=clips, q=self.queries)
        return masks[clip, slot]

    def _copied(self, maps: Tensor) -> Tensor:
        """(B, T, C, h, w) -> (B Q T, C, h, w), a copy for every slot."""
        return repeat(maps, "b t c h w -> (b q t) c h w", q=self.queries).contiguous()


class PlainVTR(SimpleVTR):
    """``SimpleVTR`` with a plain network and whole arrays of masks in inference."""

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        """As the base class, with a ``PlainNetwork``; ValueError for another head."""
        if (head := cfg.MODEL.SIMPLEVTR.HEAD) != "paper":
            raise ValueError(f"MODEL.SIMPLEVTR.HEAD is {head!r}; SIMPLEVTR_PLAIN is 'paper' alone")
        return super().from_config(cfg) | {"network": PlainNetwork(cfg)}

    @torch.no_grad()
    def inference(self, clip: dict[str, Any]) -> dict[str, Any]:
        """As the base class for the whole video at once; of ``TEST`` only TRACKS_PER_VIDEO counts.

        The mask logits of every slot are held at the size of the original frames.
        """
        size = (clip["height"], clip["width"])
        batch = self.batcher([{"image": list(clip["image"])}])
        predictions = self.predict_clip(batch.frames, batch.padding)
        probability = predictions.logits[0].float().softmax(-1)
        probability = probability[..., self.window_predictor.class_offset : -1]
        collected = CollectedTracks(size, per_video=self.segmenter.tracks_per_video)
        if predictions.masks is not None:
            logits = F.interpolate(predictions.masks[0].float(), size=size, mode="bilinear")
            masks = (logits > 0).cpu().transpose(0, 1)
            tracks = [(n, 0, None, encode_masks(slot)) for n, slot in enumerate(masks)]
            collected.extend(FrameTracks.of_video(tracks, size, len(probability)))
        for n, slot in enumerate(probability.unbind(1)):
            ones = torch.ones(2)  # scores are those of the classes alone
            collected.end(n, TrackEvidence.of(slot, ones))
        return collected.result(frames_predicted=len(probability), score_threshold=0.0)


@META_ARCH_REGISTRY.register()
def SIMPLEVTR_PLAIN(cfg: CfgNode) -> PlainVTR:  # noqa: N802 - the name that configs use
    """Build the model of ``MODEL.META_ARCHITECTURE: SIMPLEVTR_PLAIN``."""
    return PlainVTR(cfg)
