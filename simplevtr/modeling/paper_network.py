"""The network of the paper's head: features -> memory -> slots -> classes, boxes, masks."""

from dataclasses import dataclass
from typing import Any

from simplevtr.config import keyword_arguments
from simplevtr.modeling.backbone import LEVELS, build_levels
from simplevtr.modeling.heads import BoxHead, ClassHead, SlotAttention
from simplevtr.modeling.mask_head import MaskHead
from simplevtr.modeling.position_encoding import clip_position
from simplevtr.modeling.precision import full_precision, without_autocast
from simplevtr.modeling.recompute import BACKBONE_NORM, by_images, check_norms
from simplevtr.modeling.transformer import Transformer
from simplevtr.structures import ClipBatch, ClipPredictions

import torch
from detectron2.config import CfgNode, configurable
from detectron2.modeling import Backbone
from einops import rearrange, repeat
from torch import Tensor, nn


@dataclass(frozen=True)
class PaperState:
    """What the network knows of a batch of clips before masks are asked for."""

    predictions: ClipPredictions  # classes and boxes of every slot and frame, without masks
    slots: Tensor  # (B, 1 or T, Q, C) last decoder output
    memory: Tensor  # (B, T, h, w, C) encoder output
    features: list[Tensor]  # three of (B, T, C_i, h_i, w_i): res4, res3, res2
    cell_padding: Tensor | None  # (B, T, h, w) bool, True on padding; None: nothing is padded
    cell_logits: Tensor | None  # (B, T, h, w, K) classes of every cell; None without their layer


class PaperNetwork(nn.Module):
    """SimpleVTR's network (paper Fig. 1), or VisTR's when the queries have a frame axis."""

    @configurable
    def __init__(
        self,
        *,
        backbone: Backbone,
        transformer: Transformer,
        mask_head: MaskHead | None,
        channels: int,
        heads: int,
        queries: int,
        query_frames: int,
        classes: int,
        no_object_bias: float = 0.0,
        dense_classes: bool = False,
        recompute_backbone: bool = False,
    ) -> None:
        """Wire the parts; ValueError if a backbone whose norms gather statistics is recomputed.

        ``query_frames`` is 0 for queries without a frame axis (§3.4), T for one query per frame and
        slot (VisTR); ``heads`` are of the attention maps that the mask head reads. With
        ``dense_classes`` the memory has a class layer for its cells, for their loss.
        """
        super().__init__()
        if recompute_backbone:
            check_norms(backbone, "backbone", BACKBONE_NORM)
        self.recompute_backbone = recompute_backbone
        self.backbone = backbone
        coarsest = backbone.output_shape()[LEVELS[0]]
        self.input_projection = nn.Conv2d(coarsest.channels, channels, 1)
        self.transformer = transformer
        self.queries = queries
        self.query_frames = query_frames
        self.query_embedding = nn.Embedding(max(query_frames, 1) * queries, channels)
        self.class_head = ClassHead(
            channels=channels, classes=classes, no_object_bias=no_object_bias
        )
        self.box_head = BoxHead(channels=channels)
        self.mask_head = mask_head
        self.slot_attention = SlotAttention(channels=channels, heads=heads) if mask_head else None
        self.dense_head = nn.Linear(channels, classes) if dense_classes else None

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        """Build the parts."""
        node = cfg.MODEL.SIMPLEVTR
        backbone = build_levels(cfg, LEVELS if cfg.MODEL.MASK_ON else LEVELS[:1])
        mask_head = None
        sizes = {"channels": node.HIDDEN_DIM, "heads": node.NUM_HEADS}
        if cfg.MODEL.MASK_ON:
            shapes = backbone.output_shape()
            options = keyword_arguments(node.MASK_HEAD)
            options["feature_channels"] = [shapes[name].channels for name in LEVELS[1:]]
            mask_head = MaskHead(recompute="mask_head" in node.RECOMPUTE, **options, **sizes)
        return {
            "backbone": backbone,
            "mask_head": mask_head,
            "transformer": Transformer(
                hidden=node.DIM_FEEDFORWARD,
                dropout=node.DROPOUT,
                encoder_layers=node.ENC_LAYERS,
                decoder_layers=node.DEC_LAYERS,
                decoder_input=node.DECODER_INPUT,
                recompute_encoder="encoder" in node.RECOMPUTE,
                **sizes,
            ),
            "queries": node.NUM_QUERIES,
            "query_frames": node.QUERY_FRAMES,
            "classes": node.CLASS_OFFSET + node.NUM_CLASSES,
            "no_object_bias": node.NO_OBJECT_BIAS,
            "dense_classes": node.LOSS.DENSE_WEIGHT > 0,
            "recompute_backbone": "backbone" in node.RECOMPUTE,
            **sizes,
        }

    def encode(self, batch: ClipBatch) -> PaperState:
        """Run all but the mask head; ValueError if the queries' frame axis is not of length T."""
        frames = batch.frames
        clips, length = frames.shape[:2]
        if self.query_frames and length != self.query_frames:
            raise ValueError(
                f"the clip has {length} frames, but MODEL.SIMPLEVTR.QUERY_FRAMES is "
                f"{self.query_frames}: queries with a frame axis take that many frames only; "
                "QUERY_FRAMES 0 takes any number"
            )
        images = rearrange(frames, "b t c h w -> (b t) c h w")
        features = by_images(self.backbone, images, recompute=self.recompute_backbone)
        cells = self.input_projection(features[LEVELS[0]])
        height, width = cells.shape[-2:]
        cell_padding = batch.cell_padding((height, width))
        padded = cell_padding
        if padded is None:
            padded = cells.new_zeros(clips, length, height, width, dtype=torch.bool)
        position = clip_position(padded, cells.shape[1]).to(cells.dtype)
        slots, memory = self.transformer(
            rearrange(cells, "(b t) c h w -> b (t h w) c", b=clips),
            rearrange(position, "b t h w c -> b (t h w) c"),
            None if cell_padding is None else cell_padding.flatten(1),
            repeat(self.query_embedding.weight, "n c -> b n c", b=clips),
        )
        # (L, B, 1 or T, Q, C): a decoupled slot has no frame axis until it is repeated below.
        slots = rearrange(slots, "l b (t q) c -> l b t q c", q=self.queries)
        with without_autocast(slots.device):
            # In bfloat16 a box at 0.9 of a frame of 540 pixels would be rounded by a pixel.
            predictions = self._classes_and_boxes(full_precision(slots), length)
        memory = rearrange(memory, "b (t h w) c -> b t h w c", t=length, h=height)
        return PaperState(
            predictions=predictions,
            slots=slots[-1],
            memory=memory,
            features=[features[name].unflatten(0, (clips, length)) for name in LEVELS[1:]],
            cell_padding=cell_padding,
            cell_logits=None if self.dense_head is None else self.dense_head(memory),
        )

    def _classes_and_boxes(self, slots: Tensor, length: int) -> ClipPredictions:
        """Read classes and boxes of every layer and repeat them over the frames (eq. 2).

        The paper repeats the decoder's output and then applies the heads; the heads see one slot at
        a time, so applying them first gives the same numbers for a T-th of the work.
        """
        logits, boxes = self.class_head(slots), self.box_head(slots)
        if not self.query_frames:
            logits = repeat(logits, "l b 1 q k -> l b frames q k", frames=length)
            boxes = repeat(boxes, "l b 1 q xywh -> l b frames q xywh", frames=length)
        auxiliary = tuple(zip(logits[:-1], boxes[:-1], strict=True))
        return ClipPredictions(logits=logits[-1], boxes=boxes[-1], auxiliary=auxiliary)

    def masks(self, state: PaperState, clip: Tensor, slot: Tensor) -> Tensor:
        """Predict the masks of M chosen slots: (M, T, h, w) logits at the stride of res2.

        ``clip`` and ``slot`` are (M,) int64, indices into B and Q of the ``state``.
        """
        assert self.mask_head is not None, "the model has no mask head"
        assert self.slot_attention is not None  # they come together
        attention = self.slot_attention(state.slots, state.memory, state.cell_padding)
        memory = rearrange(state.memory, "b t h w c -> b t c h w")
        return self.mask_head(memory, state.features, attention[clip, :, slot], clip)
