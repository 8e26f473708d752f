"""The mask head: DETR's FPN per slot and frame, then deformable convolutions (paper §3.2, §3.6).

The slot enters only through its attention maps; the frame's features are copied to every slot.
Those copies are what fills the memory, so the head works on a list of chosen slots: in training the
matched ones (the losses use no others), in inference those above the score threshold.

Masks at half the finest feature's stride, for small objects (§3.6: tried, not submitted), are made
from one logit ("deconv", at first bilinear) or four ("subpixel", at first nearest) per cell.
"""

import math
from typing import Any

from simplevtr.modeling.deform_conv import DeformConv
from simplevtr.modeling.recompute import recomputed
from simplevtr.modeling.upsampled_conv import conv_of_upsampled

import torch
import torch.nn.functional as F
from einops import rearrange
from einops.layers.torch import Rearrange
from torch import Tensor, nn

# Slots times frames that are in memory together in inference, or in training if they are
# recomputed; one slot at least. Sixteen maps of 75 x 135 cells are work enough for a GPU.
SLOT_FRAMES_AT_A_TIME = 16


class ConvNorm(nn.Module):
    """A convolution (any module with a 3x3 footprint), GroupNorm and ReLU."""

    conv: Any

    def __init__(self, conv: nn.Module, *, channels: int, groups: int = 8) -> None:
        super().__init__()
        self.conv = conv
        # VisTR's widths are multiples of 8; the small configurations' need not be.
        self.norm = nn.GroupNorm(math.gcd(groups, channels), channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, ...) to (N, channels, ...)."""
        return F.relu(self.norm(self.conv(x)))


class MaskHead(nn.Module):
    """Mask logits of chosen slots at the stride of the finest backbone feature."""

    def __init__(
        self,
        *,
        channels: int,
        heads: int,
        feature_channels: list[int],
        widths: list[int],
        conv: str = "dcnv2",
        num_deform: int = 2,
        offset_kernel: int = 3,
        conv3d: bool = False,
        upsample: str = "none",
        attention_scale: float = 1.0,
        recompute: bool = False,
    ) -> None:
        """``channels`` is C of the memory, ``heads`` the number of maps per slot and frame.

        ``feature_channels`` are those of res4, res3 and res2; with ``recompute`` activations are
        not kept for the backward pass. The rest are the keys of ``MODEL.SIMPLEVTR.MASK_HEAD``.
        """
        super().__init__()
        self.memory_channels = channels
        self.attention_scale = attention_scale
        self.recompute = recompute
        self.layer1 = _conv_norm(channels + heads, channels + heads)
        self.layer2 = _conv_norm(channels + heads, widths[0])
        self.layer3 = _conv_norm(widths[0], widths[1])
        self.layer4 = _conv_norm(widths[1], widths[2])
        self.adapters = nn.ModuleList(
            _initialised(nn.Conv2d(feature, width, 1))
            for feature, width in zip(feature_channels, widths[:3], strict=True)
        )
        logits = 4 if upsample == "subpixel" else 1
        own = 0 if conv3d else logits
        self.deform = _deform_stack(widths[2], widths[3], conv, num_deform, offset_kernel, own)
        self.temporal = _temporal_stack(widths[3], logits) if conv3d else None
        self.upsample: nn.Module = nn.Identity()
        if upsample == "deconv":
            self.upsample = BilinearDeconv()
        if upsample == "subpixel":
            # nn.PixelShuffle(2), whose backward pass fails where nothing is matched.
            self.upsample = Rearrange("n (p q) h w -> n 1 (h p) (w q)", p=2, q=2)
            # The four logits of a cell start equal: no checkerboard (Aitken et al. 2017).
            weight = (self.temporal or self.deform)[-1].get_parameter("weight").data
            weight.copy_(weight[:1].expand_as(weight))

    def forward(
        self, memory: Tensor, features: list[Tensor], attention: Tensor, clip: Tensor
    ) -> Tensor:
        """(M, T, h_2, w_2) mask logits of chosen slots, at the stride of res2 or, upsampled, half.

        Args:
            memory: (B, T, C, h, w) encoder output at the coarsest stride.
            features: three of (B, T, C_i, h_i, w_i): res4, res3, res2.
            attention: (M, T, heads, h, w) attention maps of the chosen slots.
            clip: (M,) int64, the clip in the batch that each slot belongs to.
        """
        parts = self._frame_parts(memory, features)
        if torch.is_grad_enabled() and not self.recompute:
            return self._slot_masks(parts, attention, clip)
        # Slots do not see each other (GroupNorm works on one map at a time): a few at a time do.
        # In an exported graph, whose T is not known, one at a time.
        exporting = torch.compiler.is_exporting()
        few = 1 if exporting else max(1, SLOT_FRAMES_AT_A_TIME // attention.shape[1])
        masks = [
            recomputed(self._slot_masks, parts, own, of_clip)
            for own, of_clip in zip(attention.split(few), clip.split(few), strict=True)
        ]
        return torch.cat(masks)

    def _frame_parts(self, memory: Tensor, features: list[Tensor]) -> list[Tensor]:
        """What is the same for every slot of a frame, computed once per frame.

        A convolution is linear, so layers 1, 3 and 4, which see a sum of the frame's features and
        of a slot's maps, are split: their parts of the frame, with the bias, and the features that
        the deformable layers see, whose offsets depend on the sum, are (B, T, channels, h_i, w_i).
        """
        first = self.layer1.conv
        of_memory = first.weight[:, : self.memory_channels]
        maps = [F.conv2d(memory.flatten(0, 1), of_memory, first.bias, padding=1)]
        for feature, adapter in zip(features, self.adapters, strict=True):
            maps.append(adapter(feature.flatten(0, 1)))
        maps[1], maps[2] = self.layer3.conv(maps[1]), self.layer4.conv(maps[2])
        return [rearrange(part, "(b t) c h w -> b t c h w", t=memory.shape[1]) for part in maps]

    def _slot_masks(self, parts: list[Tensor], attention: Tensor, clip: Tensor) -> Tensor:
        frames = attention.shape[1]
        first, third, fourth, finest = (part[clip].flatten(0, 1) for part in parts)
        of_maps = self.layer1.conv.weight[:, self.memory_channels :]
        own = F.conv2d(attention.flatten(0, 1) * self.attention_scale, of_maps, padding=1)
        x = F.relu(self.layer1.norm(first + own))
        x = self.layer2(x)
        for part, layer in ((third, self.layer3), (fourth, self.layer4)):
            x = layer.norm(part + conv_of_upsampled(x, layer.conv.weight, part.shape[-2:])).relu()
        x = self.deform(finest + F.interpolate(x, size=finest.shape[-2:], mode="nearest"))
        if self.temporal is not None:
            x = self.temporal(rearrange(x, "(m t) c h w -> m c t h w", t=frames))
            x = rearrange(x, "m c t h w -> (m t) c h w")
        return rearrange(self.upsample(x), "(m t) 1 h w -> m t h w", t=frames)


class BilinearDeconv(nn.ConvTranspose2d):
    """A learned 4x4 transposed convolution of stride 2 that starts as bilinear (Long et al. 2015).

    Maps (N, 1, h, w) to (N, 1, 2 h, 2 w).
    """

    bias: nn.Parameter

    def __init__(self) -> None:
        super().__init__(1, 1, kernel_size=4, stride=2, padding=1)
        profile = torch.tensor([0.25, 0.75, 0.75, 0.25])
        self.weight.data.copy_(torch.outer(profile, profile))
        nn.init.zeros_(self.bias)


def _deform_stack(
    channels: int, width: int, conv: str, layers: int, offset_kernel: int, logits: int
) -> nn.Sequential:
    """3x3 layers with norm and ReLU; the last has neither if it gives ``logits`` > 0 logits."""
    stack: list[nn.Module] = []
    for index in range(layers):
        is_logit = logits > 0 and index == layers - 1
        out = logits if is_logit else width
        sizes: dict[str, Any] = {"in_channels": channels, "out_channels": out, "bias": is_logit}
        if conv == "plain":
            module: nn.Module = _initialised(nn.Conv2d(kernel_size=3, padding=1, **sizes))
        else:
            modulated = conv == "dcnv2"
            module = DeformConv(modulated=modulated, offset_kernel=offset_kernel, **sizes)
        stack.append(module if is_logit else ConvNorm(module, channels=out))
        channels = out
    return nn.Sequential(*stack)


def _temporal_stack(channels: int, logits: int) -> nn.Sequential:
    """VisTR's 3-D convolutions (VisTR §3.3): (M, C, T, h, w) -> (M, logits, T, h, w).

    Three dilated 3x3x3 layers, then a 1x1x1 one.
    """
    width = channels // 2
    layers = []
    for in_channels in (channels, width, width):
        conv = nn.Conv3d(in_channels, width, 3, padding=2, dilation=2)
        layers.append(ConvNorm(conv, channels=width, groups=4))
    return nn.Sequential(*layers, nn.Conv3d(width, logits, 1))


def _conv_norm(in_channels: int, out_channels: int) -> ConvNorm:
    conv = _initialised(nn.Conv2d(in_channels, out_channels, 3, padding=1))
    return ConvNorm(conv, channels=out_channels)


def _initialised(conv: nn.Conv2d) -> nn.Conv2d:
    """Kaiming-uniform (a = 1) weights and zero bias, as in DETR's mask head."""
    nn.init.kaiming_uniform_(conv.weight, a=1)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv
