"""The backbones in addition to detectron2's, by their names in ``MODEL.BACKBONE.NAME``.

The small ResNet is for tiny frames. detectron2's ``build_resnet_backbone`` starts at 64 channels
and stride 4, which leaves 2 x 3 cells of a frame of 64 x 96 pixels at the last stage. So the small
configurations use the same blocks with fewer channels, a stride-2 stem without max-pooling and a
chosen number of blocks.
"""

from collections.abc import Sequence

from simplevtr.terminal import error_text

import fvcore.nn.weight_init as weight_init
import torch.nn.functional as F
from detectron2.config import CfgNode
from detectron2.layers import Conv2d, ShapeSpec, get_norm
from detectron2.modeling import BACKBONE_REGISTRY, build_backbone
from detectron2.modeling.backbone import Backbone
from detectron2.modeling.backbone.resnet import BasicBlock, CNNBlockBase, ResNet
from torch import Tensor

# Outputs that the heads read, coarse to fine; the transformer of the paper's head the first alone.
LEVELS = ("res5", "res4", "res3", "res2")


def build_levels(cfg: CfgNode, levels: Sequence[str]) -> Backbone:
    """detectron2's ``build_backbone``; ValueError if it cannot, or lacks a level."""
    name = cfg.MODEL.BACKBONE.NAME
    try:
        backbone = build_backbone(cfg)
    except (AssertionError, ImportError, KeyError, ValueError) as error:
        raise ValueError(
            f"MODEL.BACKBONE.NAME {name} cannot be built as its keys describe it: "
            f"{type(error).__name__}: {error_text(error)}"
        ) from error
    found = backbone.output_shape()
    if missing := [level for level in levels if level not in found]:
        raise ValueError(
            f"MODEL.BACKBONE.NAME {name} gives {', '.join(found)} but not {', '.join(missing)}: "
            f"MODEL.RESNETS.OUT_FEATURES must be [{', '.join(LEVELS[::-1])}]"
        )
    return backbone


class SmallStem(CNNBlockBase):
    """A 3x3 convolution, normalisation and ReLU; unlike the usual stem it has no max-pooling."""

    def __init__(self, *, in_channels: int, out_channels: int, stride: int, norm: str) -> None:
        super().__init__(in_channels, out_channels, stride)
        sizes = {"kernel_size": 3, "stride": stride, "padding": 1, "bias": False}
        self.conv1 = Conv2d(in_channels, out_channels, norm=get_norm(norm, out_channels), **sizes)
        weight_init.c2_msra_fill(self.conv1)

    def forward(self, frames: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, out_channels, ceil(H / stride), ceil(W / stride))."""
        return F.relu_(self.conv1(frames))


@BACKBONE_REGISTRY.register()
def build_small_resnet_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> ResNet:
    """Build a ResNet of basic blocks whose sizes are keys of ``MODEL.RESNETS``.

    ``RES2_OUT_CHANNELS`` is doubled at each stage; ValueError if sizes do not fit.
    """
    node = cfg.MODEL.RESNETS
    if node.STAGE_STRIDES[0] > 1 and node.STEM_OUT_CHANNELS == node.RES2_OUT_CHANNELS:
        raise ValueError(
            f"MODEL.RESNETS.STAGE_STRIDES is {node.STAGE_STRIDES}, whose first must be 1 where "
            f"STEM_OUT_CHANNELS and RES2_OUT_CHANNELS are both {node.RES2_OUT_CHANNELS}: "
            "detectron2's blocks change the size only together with the channels"
        )
    stem = SmallStem(
        in_channels=input_shape.channels,
        out_channels=node.STEM_OUT_CHANNELS,
        stride=node.STEM_STRIDE,
        norm=node.NORM,
    )
    stages = []
    in_channels, out_channels = node.STEM_OUT_CHANNELS, node.RES2_OUT_CHANNELS
    for blocks, stride in zip(node.BLOCKS_PER_STAGE, node.STAGE_STRIDES, strict=True):
        strides = [stride] + [1] * (blocks - 1)
        sizes = {"in_channels": in_channels, "out_channels": out_channels, "norm": node.NORM}
        stages.append(ResNet.make_stage(BasicBlock, blocks, stride_per_block=strides, **sizes))
        in_channels, out_channels = out_channels, 2 * out_channels
    return ResNet(
        stem, stages, out_features=node.OUT_FEATURES, freeze_at=cfg.MODEL.BACKBONE.FREEZE_AT
    )


@BACKBONE_REGISTRY.register()
def build_timm_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> Backbone:
    """Build the model of timm that ``MODEL.TIMM`` describes; see ``TimmBackbone`` for errors."""
    from simplevtr.modeling.timm_backbone import TimmBackbone  # timm takes a second to import

    return TimmBackbone(cfg, input_shape)
