"""The losses of the pixel head: class and masks of every slot, after every layer.

A slot has one class for the clip; its mask is learned in all frames, empty where the object is
absent, so that it can say "not here". Masks of all layers but the last are compared at the
embedding's size, those of the last at the input's, at its least certain pixels.
"""

from __future__ import annotations

from typing import Any

from simplevtr.config import keyword_arguments
from simplevtr.modeling.criterion import LossSettings
from simplevtr.modeling.losses import (
    TaughtMaps,
    class_loss,
    mask_bce_loss,
    mask_dice_loss,
    normaliser,
)
from simplevtr.modeling.mask_points import draw_pixels, map_logits_at
from simplevtr.modeling.masked_decoder import SlotKernels, full_size, mask_logits, resized
from simplevtr.modeling.matcher import Match, assign
from simplevtr.modeling.pixel_network import PixelState
from simplevtr.modeling.precision import full_precision, without_autocast
from simplevtr.structures import ClipTargets

import torch
import torch.nn.functional as F
from detectron2.config import CfgNode, configurable
from einops import rearrange, repeat
from torch import Tensor, nn


class PixelCriterion(nn.Module):
    """Matching and losses of a batch of clips."""

    @configurable
    def __init__(self, *, settings: LossSettings) -> None:
        """Keep the settings; the weights of classes, masks and dice are the matcher's too."""
        super().__init__()
        self.settings = settings

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        """Read the settings."""
        return {"settings": LossSettings(**keyword_arguments(cfg.MODEL.SIMPLEVTR.LOSS))}

    def forward(
        self, state: PixelState, targets: list[ClipTargets], pixel_padding: Tensor | None
    ) -> dict[str, Tensor]:
        """Compute every loss, weighted.

        Args:
            state: of the network.
            targets: B clips.
            pixel_padding: (B, T, H, W) bool, True where a pixel is padding; None if nothing is.

        Returns:
            ``loss_ce``, ``loss_mask`` and ``loss_dice``, the same with ``_0`` ... for the layers
            before the last, in their order.
        """
        with without_autocast(state.embedding.device):
            return self._losses(state, targets, pixel_padding)

    def _losses(
        self, state: PixelState, targets: list[ClipTargets], pixel_padding: Tensor | None
    ) -> dict[str, Tensor]:
        embedding = full_precision(state.embedding)
        size = embedding.shape[-2:]
        coarse = tuple(max(1, side // 2) for side in size)  # matching needs no details
        small = resized(embedding, coarse)
        clips = [
            _Clip(target, None if pixel_padding is None else pixel_padding[b], size, coarse)
            for b, target in enumerate(targets)
        ]
        count = sum(target.visible.sum() for target in targets)
        divisor = normaliser(count, embedding.device)
        result = {}
        for index, (layer, logits) in enumerate(zip(state.layers, state.logits, strict=True)):
            last = index == len(state.layers) - 1
            suffix = "" if last else f"_{index}"
            matches = [
                self._match(layer, logits[b], b, small[b], clip) for b, clip in enumerate(clips)
            ]
            result[f"loss_ce{suffix}"] = self.settings.class_weight * self._class_loss(
                logits, targets, matches
            )
            bce, dice = embedding.new_zeros(()), embedding.new_zeros(())
            for b, (clip, match) in enumerate(zip(clips, matches, strict=True)):
                terms = (
                    self._fine_losses(state, layer, b, clip, match)
                    if last
                    else _coarse_losses(layer, b, embedding[b], clip, match)
                )
                bce, dice = bce + terms[0], dice + terms[1]
            result[f"loss_mask{suffix}"] = self.settings.mask_weight * bce / divisor
            result[f"loss_dice{suffix}"] = self.settings.dice_weight * dice / divisor
        return result

    @torch.no_grad()
    def _match(
        self, layer: SlotKernels, classes: Tensor, b: int, embedding: Tensor, clip: _Clip
    ) -> Match:
        """The assignment of the slots of clip ``b``; ``classes`` are its (Q, K + 1) logits."""
        logits = mask_logits(
            full_precision(layer.kernel[b]), full_precision(layer.bias[b]), embedding[: clip.frames]
        ).flatten(1)
        wanted, inside = clip.small.flatten(1), clip.small_inside.flatten()
        logits = logits * inside  # 0.5 everywhere on padding, the same for all slots
        probability = logits.sigmoid() * inside
        cells = inside.sum().clamp(min=1)
        bce = ((F.softplus(logits) * inside).sum(1)[:, None] - logits @ wanted.T) / cells
        overlap = 2 * probability @ wanted.T
        dice = 1 - (overlap + 1) / (probability.sum(1)[:, None] + wanted.sum(1) + 1)
        found = full_precision(classes).softmax(-1)[:, clip.targets.labels]
        settings = self.settings
        cost = settings.mask_weight * bce + settings.dice_weight * dice
        return assign(cost - settings.class_weight * found, logits.device)

    def _class_loss(
        self, logits: Tensor, targets: list[ClipTargets], matches: list[Match]
    ) -> Tensor:
        no_object = logits.shape[-1] - 1
        classes = torch.full(logits.shape[:2], no_object, device=logits.device)
        for b, (target, (slots, instances)) in enumerate(zip(targets, matches, strict=True)):
            classes[b, slots] = target.labels[instances]
        # One class a clip: as if it had one frame.
        return class_loss(logits[:, None], classes[:, None], self.settings.no_object_weight)

    def _fine_losses(
        self, state: PixelState, layer: SlotKernels, b: int, clip: _Clip, match: Match
    ) -> tuple[Tensor, Tensor]:
        """Sums over the maps of the last layer, at the input's size."""
        slots, instances = match
        logits = _logits_of(layer, b, slots, full_precision(state.embedding[b][: clip.frames]))
        frames = logits.shape[1]
        rows = torch.arange(len(slots), device=logits.device)
        maps = TaughtMaps(
            masks=clip.targets.masks,
            padding=clip.padding,
            instances=repeat(instances, "m -> (m t)", t=frames),
            frames=torch.arange(frames, device=logits.device).repeat(len(slots)),
        )
        row = repeat(rows, "m -> (m t)", t=frames)
        flat = rearrange(logits, "m t h w -> (m t) h w")
        fine, kernels = None, None
        if state.fine is not None:
            fine = full_precision(state.fine[b][: clip.frames])
            kernels = full_precision(layer.fine[b][slots])
        if not self.settings.mask_points:
            full = full_size(logits, tuple(maps.masks.shape[-2:]), kernels, fine)
            full = rearrange(full, "m t h w -> (m t) h w")
            wanted = maps.wanted(slice(None)).to(full.dtype)
            return _summed(full, wanted, maps.inside(slice(None)), clip, instances)

        def logits_at(pixels: Tensor) -> Tensor:
            values = map_logits_at(flat, pixels, maps)
            if fine is not None:
                x, y = pixels.unbind(-1)
                places = fine[maps.frames[:, None], :, y, x]  # (N, P, F)
                values = values + torch.einsum("npf,nf->np", places, kernels[row])
            return values

        with torch.no_grad():
            pixels = draw_pixels(logits_at, maps, self.settings.mask_points)
        x, y = pixels.unbind(-1)
        wanted = maps.masks[maps.instances[:, None], maps.frames[:, None], y, x]
        return _summed(logits_at(pixels), wanted.to(flat.dtype), None, clip, instances)


class _Clip:
    """The targets of one clip at the sizes that they are compared at."""

    def __init__(
        self,
        targets: ClipTargets,
        padding: Tensor | None,
        size: tuple[int, int],
        coarse: tuple[int, int],
    ) -> None:
        if padding is not None:  # a shorter clip of the batch has no frames at the end
            length = int((~padding[:, 0, 0]).sum())
            padding = padding[:length]
            targets = ClipTargets(
                targets.labels,
                targets.boxes[:, :length],
                targets.masks[:, :length],
                targets.visible[:, :length],
            )
        self.frames = targets.masks.shape[1]
        masks = targets.masks.float()
        inside = masks.new_ones(masks.shape[1:]) if padding is None else (~padding).float()
        self.targets = targets
        self.padding = padding
        # (G, T, h, w) in [0, 1] and (T, h, w)
        self.masks = _shares(masks, size)
        self.inside = _shares(inside[None], size)[0]
        self.small = _shares(masks, coarse)
        self.small_inside = _shares(inside[None], coarse)[0]


def _shares(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """(G, T, H, W) -> (G, T, h, w), the share of each cell that is covered."""
    if not len(maps):
        return maps.new_zeros(0, maps.shape[1], *size)
    return F.adaptive_avg_pool2d(maps, size)


def _logits_of(layer: SlotKernels, b: int, slots: Tensor, embedding: Tensor) -> Tensor:
    """(M, T, h, w) mask logits of the slots of clip ``b``."""
    kernel, bias = full_precision(layer.kernel[b][slots]), full_precision(layer.bias[b][slots])
    return mask_logits(kernel, bias, embedding)


def _coarse_losses(
    layer: SlotKernels, b: int, embedding: Tensor, clip: _Clip, match: Match
) -> tuple[Tensor, Tensor]:
    slots, instances = match
    logits = rearrange(
        _logits_of(layer, b, slots, embedding[: clip.frames]), "m t h w -> (m t) h w"
    )
    wanted = rearrange(clip.masks[instances], "m t h w -> (m t) h w")
    inside = None
    if clip.padding is not None:
        inside = repeat(clip.inside, "t h w -> (m t) h w", m=len(slots))
    return _summed(logits, wanted, inside, clip, instances)


def _summed(
    logits: Tensor, wanted: Tensor, inside: Tensor | None, clip: _Clip, instances: Tensor
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of all maps, dice of those that show the object; sums, not normalised."""
    visible = clip.targets.visible[instances].flatten().to(logits.dtype)
    bce = mask_bce_loss(logits, wanted, inside).sum()
    dice = (mask_dice_loss(logits, wanted, inside) * visible).sum()
    return bce, dice
