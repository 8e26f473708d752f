"""Backbones of timm (Wightman 2019), with the features that detectron2's ResNet gives.

Pyramids (EfficientNet, Swin, Twins, ...) give res2 to res5. Models with a single stride (ViT,
MLP-Mixer, ResMLP) get the simple feature pyramid of ViTDet (Li et al. 2022, section 3). Nothing is
fetched from a hub: pretrained weights come by ``MODEL.WEIGHTS``, as for any backbone.
"""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from simplevtr.config import keyword_arguments
from simplevtr.terminal import error_text

import timm
import torch.nn.functional as F
from detectron2.config import CfgNode, configurable
from detectron2.layers import ShapeSpec
from detectron2.modeling.backbone import Backbone, SimpleFeaturePyramid
from timm.layers import Conv2dSame, freeze_batch_norm_2d
from timm.models import group_parameters
from torch import Tensor, nn

_STRIDES = {"res2": 4, "res3": 8, "res4": 16, "res5": 32}
_COARSEST = max(_STRIDES.values())


class TimmBackbone(Backbone):
    """Frames -> res2 to res5 of a model of timm.

    Frames are padded with zeros to multiples of 32, or resized to the one size that some models
    take; the features have ceil(H / stride) x ceil(W / stride) cells either way.
    """

    @configurable
    def __init__(
        self,
        *,
        name: str,
        options: Mapping[str, Any],
        size: Sequence[int] = (),
        pyramid_channels: int = 256,
        frozen_norm: bool = False,
        freeze_at: int = 0,
    ) -> None:
        """Create the model with random weights.

        Args:
            name: one of ``timm.list_models()``.
            options: further arguments of the model.
            size: height and width that frames are resized to; () for their own.
            pyramid_channels: channels of the features of a model with a single stride.
            frozen_norm: whether batch norms keep their statistics, scales and shifts.
            freeze_at: number of groups that are not trained; timm's first group is the stem, the
                others are the stages, or the blocks of a model with a single stride.

        Raises:
            ValueError: there is no such model, it does not take the arguments, or its strides are
                neither 4, 8, 16 and 32 nor 16 alone.
        """
        super().__init__()
        if len(size) not in (0, 2):
            raise ValueError(f"MODEL.TIMM.SIZE is {list(size)}; it must be [height, width] or []")
        self.name, self.size = name, tuple(size)
        features = _features(name, {**options, **({"img_size": self.size} if size else {})})
        if frozen_norm:
            features = freeze_batch_norm_2d(features)
        _freeze(features.model, freeze_at)
        for module in () if size else features.modules():
            if isinstance(module, Conv2dSame):
                module.__class__ = _EvenConv
        channels, strides = features.feature_info.channels(), features.feature_info.reduction()
        if set(strides) == {16}:
            body = _Body(features, {"res4": ShapeSpec(channels=channels[-1], stride=16)})
            # 4, 2, 1 and 1/2 times the resolution of the model's only map
            scales = (4.0, 2.0, 1.0, 0.5)
            self.body = SimpleFeaturePyramid(body, "res4", pyramid_channels, scales)
        elif strides[-4:] == list(_STRIDES.values()):
            if pyramid_channels != 256:
                raise ValueError(
                    f"MODEL.TIMM.PYRAMID_CHANNELS is {pyramid_channels}, which MODEL.TIMM.NAME "
                    f"{name} does not read, as it has four features of its own; allowed is 256"
                )
            sizes = zip(_STRIDES.items(), channels[-4:], strict=True)
            shapes = {level: ShapeSpec(channels=c, stride=s) for (level, s), c in sizes}
            self.body = _Body(features, shapes)
        else:
            raise ValueError(
                f"MODEL.TIMM.NAME {name} has features of strides {strides}; it must have those of "
                "4, 8, 16 and 32, or of 16 alone"
            )

    @classmethod
    def from_config(cls, cfg: CfgNode, input_shape: ShapeSpec) -> dict[str, Any]:
        """Read ``MODEL.TIMM`` and ``MODEL.BACKBONE.FREEZE_AT``."""
        options = keyword_arguments(cfg.MODEL.TIMM)
        return {**options, "freeze_at": cfg.MODEL.BACKBONE.FREEZE_AT}

    def output_shape(self) -> dict[str, ShapeSpec]:
        """Channels and stride of each level."""
        return dict(zip(_STRIDES, self.body.output_shape().values(), strict=True))

    def forward(self, frames: Tensor) -> dict[str, Tensor]:
        """Map (N, 3, H, W) to (N, c, ceil(H / stride), ceil(W / stride)) of each level."""
        height, width = frames.shape[-2:]
        if self.size:
            frames = F.interpolate(frames, self.size, mode="bilinear", align_corners=False)
        else:
            frames = F.pad(frames, (0, -width % _COARSEST, 0, -height % _COARSEST))
        try:
            maps = self.body(frames).values()
        except AssertionError as error:
            raise ValueError(
                f"MODEL.TIMM.NAME {self.name} does not take frames of this size: {error} For any "
                "size, ViTs need MODEL.TIMM.OPTIONS {dynamic_img_size: True}, Swins "
                "{strict_img_size: False}; others MODEL.TIMM.SIZE, which frames are resized to"
            ) from error
        found = {}
        for (level, stride), features in zip(_STRIDES.items(), maps, strict=True):
            h, w = -(-height // stride), -(-width // stride)
            if self.size:
                found[level] = F.interpolate(features, (h, w), mode="bilinear", align_corners=False)
            else:
                found[level] = features[..., :h, :w]
        return found


class _Body(Backbone):
    """timm's features under our names."""

    def __init__(self, features: nn.Module, shapes: Mapping[str, ShapeSpec]) -> None:
        super().__init__()
        self.features = features
        self._shapes = dict(shapes)

    def output_shape(self) -> dict[str, ShapeSpec]:
        return self._shapes

    def forward(self, frames: Tensor) -> dict[str, Tensor]:
        maps = self.features(frames)[-len(self._shapes) :]
        return dict(zip(self._shapes, maps, strict=True))


class _EvenConv(Conv2dSame):
    """A strided ``Conv2dSame`` of maps that its stride divides, as those of padded frames are.

    Its padding is then the same for every size, and an exported graph need not compute it.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, O, H / stride, W / stride)."""
        sides = []
        for axis in (1, 0):
            reach = self.dilation[axis] * (self.kernel_size[axis] - 1) + 1
            total = max(reach - self.stride[axis], 0)
            sides += [total // 2, total - total // 2]
        return self._conv_forward(F.pad(x, sides), self.weight, self.bias)


def _features(name: str, options: Mapping[str, Any]) -> Any:
    """timm's model, which gives features; ValueError if there is none, or it takes no such options.

    Only names that timm itself knows: others make it ask a hub.
    """
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"MODEL.TIMM.NAME is {name!r}, which timm {timm.__version__} lacks{hint}")
    try:
        return timm.create_model(
            name,
            pretrained=False,
            checkpoint_path=None,  # weights come by MODEL.WEIGHTS
            features_only=True,
            feature_cls="getter",
            in_chans=3,
            **options,
        )
    except (TypeError, ValueError, AssertionError, AttributeError, LookupError, RuntimeError) as e:
        raise ValueError(
            f"MODEL.TIMM.NAME {name} cannot be built with the options {dict(options)}: "
            f"{error_text(e)}"
        ) from e


def _freeze(model: Any, groups: int) -> None:
    """Do not train the first ``groups`` of timm's groups of parameters."""
    for index, names in group_parameters(model, model.group_matcher(coarse=True)).items():
        if index < groups:
            for name in names:
                model.get_parameter(name).requires_grad_(False)
