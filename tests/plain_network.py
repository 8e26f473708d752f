"""The network of the paper's head without its shortcuts, as public code of VisTR computes it.

Masks of every slot, the frame's memory copied to every slot before the first convolution, classes
and boxes read in every frame, attention with its matrices in memory, torchvision's deformable
convolution, and nothing computed twice. ``test_plain.py`` compares the two.
"""

from simplevtr.modeling.deform_conv import DeformConv
from simplevtr.modeling.paper_network import PaperNetwork
from simplevtr.structures import ClipPredictions

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch.nn.attention import SDPBackend, sdpa_kernel


class PlainNetwork(PaperNetwork):
    def __init__(self, cfg):
        super().__init__(cfg)
        self.recompute_backbone = self.transformer.recompute_encoder = False
        for module in self.modules():
            if isinstance(module, DeformConv):
                module.backend = "torchvision"

    def encode(self, batch):
        with sdpa_kernel(SDPBackend.MATH):
            return super().encode(batch)

    def _classes_and_boxes(self, slots, length):
        """Equation 2 to the letter: repeat the slots over the frames, then read each frame."""
        if not self.query_frames:
            slots = repeat(slots, "l b 1 q c -> l b frames q c", frames=length).contiguous()
        logits, boxes = self.class_head(slots), self.box_head(slots)
        auxiliary = tuple(zip(logits[:-1], boxes[:-1], strict=True))
        return ClipPredictions(logits=logits[-1], boxes=boxes[-1], auxiliary=auxiliary)

    def masks(self, state, clip, slot):
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

    def _copied(self, maps):
        """(B, T, C, h, w) -> (B Q T, C, h, w), a copy for every slot."""
        return repeat(maps, "b t c h w -> (b q t) c h w", q=self.queries).contiguous()
