"""The network of the pixel head: every frame is decoded once, and a mask is a product.

The same interface as ``ClipNetwork``: ``encode``, then ``masks`` of chosen slots.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from simplevtr.modeling.heads import ClassHead
from simplevtr.modeling.masked_decoder import (
    KernelHead,
    MaskedDecoder,
    SlotKernels,
    full_size,
    mask_logits,
)
from simplevtr.modeling.pixel_decoder import PixelDecoder, PixelFeatures
from simplevtr.modeling.position_encoding import frame_position
from simplevtr.modeling.precision import full_precision, without_autocast
from simplevtr.modeling.recompute import (
    IMAGES_AT_A_TIME,
    backbone_features,
    check_norms,
    recomputed,
)
from simplevtr.structures import ClipBatch, ClipPredictions

import torch
from detectron2.config import CfgNode, configurable
from detectron2.modeling import build_backbone
from einops import rearrange, repeat
from torch import Tensor, nn


@dataclass(frozen=True)
class PixelState:
    """What the network knows of a batch of clips before masks are asked for.

    Attributes:
        predictions: classes of every slot, repeated over the frames; without boxes and masks. Their
            logits are those of the last layer, freed from the loss's weight of "no object".
        slots: (B, 1, Q, C) after the last layer.
        layers: what the slots predict before the first layer and after each.
        logits: (B, Q, K + 1) of their classes, likewise; the last is "no object".
        embedding: (B, T, E, h, w) of the pixels.
        fine: (B, T, F, H, W) at the input's size, or None.
    """

    predictions: ClipPredictions
    slots: Tensor
    layers: list[SlotKernels]
    logits: list[Tensor]
    embedding: Tensor
    fine: Tensor | None


class PixelNetwork(nn.Module):
    """Backbone, pixel decoder and slots."""

    @configurable
    def __init__(
        self,
        *,
        backbone: nn.Module,
        pixel_decoder: PixelDecoder,
        decoder: MaskedDecoder,
        class_head: ClassHead,
        no_object_weight: float = 1.0,
        recompute: Sequence[str] = (),
    ) -> None:
        """Keep the parts.

        Args:
            backbone: frames -> features.
            pixel_decoder: features -> cells and pixel embeddings.
            decoder: cells -> slots.
            class_head: slots -> classes.
            no_object_weight: above 0, what "no object" weighs in the class loss.
            recompute: parts whose activations are computed again in the backward pass.

        Raises:
            ValueError: if the weight is 0, or norms of such a part gather statistics.
        """
        super().__init__()
        if "backbone" in recompute:
            check_norms(backbone, "backbone", "MODEL.RESNETS.NORM")
        if "pixel_decoder" in recompute:
            check_norms(pixel_decoder, "pixel_decoder", "MODEL.SIMPLEVTR.PIXEL.NORM")
        if no_object_weight <= 0:
            raise ValueError(
                f"LOSS.NO_OBJECT_WEIGHT is {no_object_weight}; the pixel head needs one above 0"
            )
        self.no_object_weight = no_object_weight
        self.recompute = tuple(recompute)
        self.backbone = backbone
        self.mask_head = pixel_decoder
        self.decoder = decoder
        self.class_head = class_head

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        """Build the parts."""
        node, pixel = cfg.MODEL.SIMPLEVTR, cfg.MODEL.SIMPLEVTR.PIXEL
        backbone = build_backbone(cfg)
        pixel_decoder = PixelDecoder(
            shapes=backbone.output_shape(),
            channels=node.HIDDEN_DIM,
            heads=node.NUM_HEADS,
            widths=list(pixel.WIDTHS),
            embedding=pixel.EMBEDDING,
            fine_channels=pixel.FINE_CHANNELS,
            norm=pixel.NORM,
            attention=list(pixel.SELF_ATTENTION),
            deform=list(pixel.DEFORM),
        )
        head = KernelHead(
            channels=node.HIDDEN_DIM,
            embedding=pixel.EMBEDDING,
            fine_channels=pixel.FINE_CHANNELS,
        )
        decoder = MaskedDecoder(
            channels=node.HIDDEN_DIM,
            heads=node.NUM_HEADS,
            hidden=node.DIM_FEEDFORWARD,
            layers=node.DEC_LAYERS,
            queries=node.NUM_QUERIES,
            scales=len(pixel_decoder.to_cells),
            masked=pixel.MASKED_ATTENTION,
            head=head,
        )
        class_head = ClassHead(
            channels=node.HIDDEN_DIM,
            classes=node.CLASS_OFFSET + node.NUM_CLASSES,
            no_object_bias=node.NO_OBJECT_BIAS,
        )
        return {
            "backbone": backbone,
            "pixel_decoder": pixel_decoder,
            "decoder": decoder,
            "class_head": class_head,
            "no_object_weight": node.LOSS.NO_OBJECT_WEIGHT,
            "recompute": node.RECOMPUTE,
        }

    @property
    def queries(self) -> int:
        """Q."""
        return self.decoder.query.num_embeddings

    def encode(self, batch: ClipBatch) -> PixelState:
        """Decode the pixels of all frames, and the slots of all clips."""
        frames = batch.frames
        clips, length = frames.shape[:2]
        images = rearrange(frames, "b t c h w -> (b t) c h w")
        pixels = self._pixels(images)

        def by_clip(maps: Tensor) -> Tensor:
            return rearrange(maps, "(b t) c h w -> b t c h w", b=clips)

        scales = [by_clip(cells) for cells in pixels.scales]
        positions = [
            frame_position(*cells.shape[-2:], cells.shape[2], cells.device) for cells in scales
        ]
        embedding = by_clip(pixels.embedding)
        slots, layers = self.decoder(scales, positions, embedding, batch.padding)
        with without_autocast(frames.device):
            logits = [self.class_head(full_precision(layer.slots)) for layer in layers]
        return PixelState(
            predictions=ClipPredictions(
                logits=repeat(self._unweighted(logits[-1]), "b q k -> b t q k", t=length),
                boxes=None,
            ),
            slots=slots[:, None],
            layers=layers,
            logits=logits,
            embedding=embedding,
            fine=None if pixels.fine is None else by_clip(pixels.fine),
        )

    def _unweighted(self, logits: Tensor) -> Tensor:
        """(..., K + 1) class logits as if "no object" had weighed 1 in their loss.

        A small weight makes slots without an object overconfident; this gives scores back the
        meaning of probabilities (logit adjustment, Menon et al. 2021).
        """
        shift = torch.zeros_like(logits)
        shift[..., -1] = -math.log(self.no_object_weight)
        return logits + shift

    def _pixels(self, images: Tensor) -> PixelFeatures:
        """Decode the pixels of (N, 3, H, W) images."""
        recompute = "backbone" in self.recompute
        features = backbone_features(self.backbone, images, recompute=recompute)
        if not ("pixel_decoder" in self.recompute and torch.is_grad_enabled()):
            return self.mask_head(features, images)
        chunks = zip(*(maps.split(IMAGES_AT_A_TIME) for maps in features.values()), strict=True)
        parts = [
            recomputed(self.mask_head, dict(zip(features, chunk, strict=True)), own)
            for chunk, own in zip(chunks, images.split(IMAGES_AT_A_TIME), strict=True)
        ]
        return PixelFeatures(
            scales=[torch.cat(cells) for cells in zip(*(p.scales for p in parts), strict=True)],
            embedding=torch.cat([p.embedding for p in parts]),
            fine=None if parts[0].fine is None else torch.cat([p.fine for p in parts]),
        )

    def masks(self, state: PixelState, clip: Tensor, slot: Tensor) -> Tensor:
        """The masks of M chosen slots.

        Args:
            state: of ``encode``.
            clip: (M,) int64, indices into B.
            slot: (M,) int64, indices into Q.

        Returns:
            (M, T, h, w) mask logits, at the embedding's size, or the input's with a fine embedding.
        """
        last, clips = state.layers[-1], len(state.embedding)
        parts = []
        with without_autocast(state.embedding.device):
            for b in range(clips):
                own = slot if clips == 1 else slot[clip == b]
                kernel, bias = last.kernel[b, own].float(), last.bias[b, own].float()
                logits = mask_logits(kernel, bias, state.embedding[b].float())
                if state.fine is not None:
                    fine, size = state.fine[b].float(), tuple(state.fine.shape[-2:])
                    logits = full_size(logits, size, last.fine[b, own].float(), fine)
                parts.append(logits)
        if clips == 1:  # in the order asked for already; the masks of a window are not copied
            return parts[0]
        return torch.cat(parts)[clip.argsort(stable=True).argsort()]
