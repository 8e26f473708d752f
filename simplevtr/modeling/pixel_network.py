"""The network of the pixel head: every frame is decoded once, and a mask is a product.

The same interface as ``PaperNetwork``: ``encode``, then ``masks`` of chosen slots.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from simplevtr.config import keyword_arguments
from simplevtr.modeling.backbone import LEVELS, build_levels
from simplevtr.modeling.heads import ClassHead
from simplevtr.modeling.masked_decoder import KernelHead, MaskedDecoder, SlotKernels, mask_logits
from simplevtr.modeling.pixel_decoder import PixelDecoder
from simplevtr.modeling.precision import full_precision, without_autocast
from simplevtr.modeling.recompute import BACKBONE_NORM, by_images, check_norms
from simplevtr.structures import ClipBatch, ClipPredictions

import torch
import torch.nn.functional as F
from detectron2.config import CfgNode, configurable
from einops import repeat
from torch import Tensor, nn


@dataclass(frozen=True)
class PixelState:
    """What the network knows of a batch of clips before masks are asked for."""

    # Classes of every slot after the last layer, repeated over the frames, with the loss's weight
    # of "no object" undone; without boxes and masks
    predictions: ClipPredictions
    slots: Tensor  # (B, 1, Q, C) after the last layer
    layers: SlotKernels  # what slots predict before the first layer and after each, L + 1 in all
    logits: Tensor  # (L + 1, B, Q, K + 1) of their classes; the last index is "no object"
    embedding: Tensor  # (B, T, E, h, w) of the pixels
    fine_kernel: Tensor | None  # (B, Q, F) of the last layer's slots; None without ``fine``
    fine: Tensor | None  # (B, T, F, H, W) embedding of the pixels at the input's size

    def clips(self) -> list["ClipMasks"]:
        """What the last layer's masks of each clip are made of, in full precision.

        All clips are taken apart at once: the gradient of one that is taken out by its index would
        be as large as that of the batch, with zeros for the others.
        """
        parts = [self.layers.kernel[-1], self.layers.bias[-1], self.embedding]
        if self.fine is not None and self.fine_kernel is not None:
            parts += [self.fine_kernel, self.fine]
        clips = zip(*(full_precision(part).unbind() for part in parts), strict=True)
        return [ClipMasks(*own) for own in clips]


class ClipMasks(NamedTuple):
    """What the masks of one clip are products of; M of its slots are asked for by (M,) int64."""

    kernel: Tensor  # (Q, E)
    bias: Tensor  # (Q,)
    embedding: Tensor  # (T, E, h, w)
    fine_kernel: Tensor | None = None  # (Q, F)
    fine: Tensor | None = None  # (T, F, H, W)

    def coarse(self, slots: Tensor) -> Tensor:
        """(M, T, h, w) logits at the embedding's size."""
        return mask_logits(self.kernel[slots], self.bias[slots], self.embedding)

    def detail(self, slots: Tensor) -> Tensor | None:
        """(M, T, H, W), what the fine embedding adds to ``full_size`` logits; None without one."""
        if self.fine is None or self.fine_kernel is None:
            return None
        return torch.einsum("mf,tfhw->mthw", self.fine_kernel[slots], self.fine)


def full_size(coarse: Tensor, size: Sequence[int], detail: Tensor | None) -> Tensor:
    """(M, T, H, W) logits at the input's size (H, W), of those of a ``ClipMasks``."""
    full = F.interpolate(coarse, size=size, mode="bilinear")
    return full if detail is None else full + detail


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
        """``no_object_weight``, above 0, is what "no object" weighs in the class loss.

        ``recompute`` names parts whose activations are computed again in the backward pass.
        ValueError if the weight is 0, or norms of such a part gather statistics.
        """
        super().__init__()
        if "backbone" in recompute:
            check_norms(backbone, "backbone", BACKBONE_NORM)
        if "pixel_decoder" in recompute:
            check_norms(pixel_decoder, "pixel_decoder", "MODEL.SIMPLEVTR.PIXEL.NORM")
        if no_object_weight <= 0:
            raise ValueError(
                f"LOSS.NO_OBJECT_WEIGHT is {no_object_weight}; the pixel head needs one above 0"
            )
        self.no_object_weight = no_object_weight
        self.recompute = tuple(recompute)
        self.backbone = backbone
        # Not a mask head; so named in checkpoints, and where callers ask whether there are masks.
        self.mask_head = pixel_decoder
        self.decoder = decoder
        self.queries = decoder.query.num_embeddings  # Q
        self.class_head = class_head

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        """Build the parts."""
        node, pixel = cfg.MODEL.SIMPLEVTR, keyword_arguments(cfg.MODEL.SIMPLEVTR.PIXEL)
        masked = pixel.pop("masked_attention")
        embeddings = {name: pixel[name] for name in ("embedding", "fine_channels")}
        sizes = {"channels": node.HIDDEN_DIM, "heads": node.NUM_HEADS}
        backbone = build_levels(cfg, LEVELS[:1])
        # A layer attends to one level; a level that none attends to would never be trained.
        pixel |= {"shapes": backbone.output_shape(), "attended": node.DEC_LAYERS}
        pixel_decoder = PixelDecoder(**sizes, **pixel)
        decoder = MaskedDecoder(
            hidden=node.DIM_FEEDFORWARD,
            layers=node.DEC_LAYERS,
            queries=node.NUM_QUERIES,
            scales=len(pixel_decoder.to_cells),
            masked=masked,
            head=KernelHead(channels=node.HIDDEN_DIM, **embeddings),
            **sizes,
        )
        return {
            "backbone": backbone,
            "pixel_decoder": pixel_decoder,
            "decoder": decoder,
            "class_head": ClassHead(
                channels=node.HIDDEN_DIM,
                classes=node.CLASS_OFFSET + node.NUM_CLASSES,
                no_object_bias=node.NO_OBJECT_BIAS,
            ),
            "no_object_weight": node.LOSS.NO_OBJECT_WEIGHT,
            "recompute": node.RECOMPUTE,
        }

    def encode(self, batch: ClipBatch) -> PixelState:
        """Decode the pixels of all frames, and the slots of all clips."""
        clips, length = batch.frames.shape[:2]
        images = batch.frames.flatten(0, 1)
        features = by_images(self.backbone, images, recompute="backbone" in self.recompute)
        pixels = by_images(
            self.mask_head, images, features, recompute="pixel_decoder" in self.recompute
        )
        pixels = {name: maps.unflatten(0, (clips, length)) for name, maps in pixels.items()}
        scales = [pixels[name] for name in self.mask_head.to_cells]
        slots, layers = self.decoder(scales, pixels["embedding"], batch)
        fine_head = self.decoder.head.fine
        fine_kernel = None if fine_head is None else full_precision(fine_head(layers.slots[-1]))
        with without_autocast(images.device):
            logits = self.class_head(layers.slots)
        return PixelState(
            predictions=ClipPredictions(
                logits=repeat(self._unweighted(logits[-1]), "b q k -> b t q k", t=length),
                boxes=None,
            ),
            slots=slots[:, None],
            layers=layers,
            logits=logits,
            embedding=pixels["embedding"],
            fine_kernel=fine_kernel,
            fine=pixels.get("fine"),
        )

    def _unweighted(self, logits: Tensor) -> Tensor:
        """(..., K + 1) class logits as if "no object" had weighed 1 in their loss.

        A small weight makes slots without an object overconfident; this gives scores back the
        meaning of probabilities (logit adjustment, Menon et al. 2021).
        """
        shift = torch.zeros_like(logits)
        shift[..., -1] = -math.log(self.no_object_weight)
        return logits + shift

    def masks(self, state: PixelState, clip: Tensor, slot: Tensor) -> Tensor:
        """Masks of M chosen slots: (M, T, h, w) logits.

        They have the embedding's size, or the input's with a fine embedding. ``clip`` and ``slot``
        are (M,) int64, indices into B and Q of the ``state``.
        """
        clips, parts = len(state.embedding), []
        with without_autocast(state.embedding.device):
            for b, own in enumerate(state.clips()):
                chosen = slot if clips == 1 else slot[clip == b]
                logits, detail = own.coarse(chosen), own.detail(chosen)
                if detail is not None:
                    logits = full_size(logits, detail.shape[-2:], detail)
                parts.append(logits)
        if clips == 1:  # in the order asked for already; the masks of a window are not copied
            return parts[0]
        return torch.cat(parts)[clip.argsort(stable=True).argsort()]
