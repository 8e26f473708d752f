"""The losses of the pixel head: class and masks of every slot, after every layer.

A slot has one class for the clip; its mask is learned in all frames, empty where the object is
absent, so that it can say "not here". Masks of all layers but the last are compared at the
embedding's size, those of the last at the input's: at every pixel or, with LOSS.MASK_POINTS, at
some, most of them where the mask is uncertain.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from simplevtr.config import keyword_arguments
from simplevtr.modeling.criterion import LossSettings
from simplevtr.modeling.losses import cell_shares, class_loss, normaliser
from simplevtr.modeling.mask_losses import (
    TargetMaps,
    map_logits_at,
    mask_bce_loss,
    mask_dice_loss,
    point_mask_losses,
)
from simplevtr.modeling.masked_decoder import SlotKernels, mask_logits, resized
from simplevtr.modeling.matcher import Match, assign
from simplevtr.modeling.pixel_network import ClipMasks, PixelNetwork, PixelState, full_size
from simplevtr.modeling.precision import full_precision
from simplevtr.structures import ClipBatch, ClipTargets

import torch
import torch.nn.functional as F
from detectron2.config import CfgNode, configurable
from einops import rearrange
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence


class PixelCriterion(nn.Module):
    """Matching and losses of a batch of clips."""

    # An attribute, so that the memory planner, which computes no values, can replace it.
    assign = staticmethod(assign)

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
        self, network: PixelNetwork, state: PixelState, targets: list[ClipTargets], batch: ClipBatch
    ) -> dict[str, Tensor]:
        """Compute every loss of B clips, weighted.

        The ``network`` is not used: the ``state`` that it made of the ``batch`` has the kernels
        and embeddings, whose products are the masks.

        Returns:
            ``loss_ce``, ``loss_mask`` and ``loss_dice``, the same with ``_0`` ... for the layers
            before the last, in their order.
        """
        truth = _Truth.of(targets, batch.padding, state.embedding.shape[-2:])
        embedding = full_precision(state.embedding)
        matches = self._match(state, embedding, truth)
        divisor = normaliser(sum(own.visible.sum() for own in targets), embedding.device)
        coarse = _coarse_losses(state.layers, matches[:-1], embedding, truth)
        paddings = [None] * len(targets) if batch.padding is None else batch.padding
        clips = zip(state.clips(), targets, paddings, matches[-1], strict=True)
        fine = [self._fine_losses(*clip) for clip in clips]
        result = {}
        layers = zip(state.logits, matches, [*coarse, sum(fine)], strict=True)
        for index, (logits, own, (bce, dice)) in enumerate(layers):
            suffix = "" if index == len(matches) - 1 else f"_{index}"
            classes = self._class_loss(logits, targets, own)
            result[f"loss_ce{suffix}"] = self.settings.class_weight * classes
            result[f"loss_mask{suffix}"] = self.settings.mask_weight * bce / divisor
            result[f"loss_dice{suffix}"] = self.settings.dice_weight * dice / divisor
        return result

    @torch.no_grad()
    def _match(self, state: PixelState, embedding: Tensor, truth: "_Truth") -> list[list[Match]]:
        """After every layer, the assignment of the slots of every clip."""
        # Half the resolution is enough for matching.
        size = [max(1, side // 2) for side in embedding.shape[-2:]]
        _, kernel, bias = state.layers
        logits = mask_logits(kernel, bias, resized(embedding, size)).flatten(3)  # (L + 1, B, Q, S)
        wanted = rearrange(cell_shares(truth.masks, size), "b g t h w -> b g (t h w)")
        cells: int | Tensor = logits.shape[-1]
        probability, loss = logits.sigmoid(), F.softplus(logits)
        if truth.inside is not None:
            inside = rearrange(cell_shares(truth.inside, size), "b t h w -> b 1 (t h w)")
            probability, loss = probability * inside, loss * inside
            cells = inside.sum(-1, keepdim=True).clamp(min=1)
        # mask_bce_loss and mask_dice_loss of every pair of a slot and an instance, as products.
        hits = torch.einsum("lbqs,bgs->lbqg", logits, wanted)
        bce = (loss.sum(-1, keepdim=True) - hits) / cells
        overlap = 2 * torch.einsum("lbqs,bgs->lbqg", probability, wanted)
        total = probability.sum(-1, keepdim=True) + wanted.sum(-1)[:, None]
        dice = 1 - (overlap + 1) / (total + 1)
        found = state.logits.softmax(-1).take_along_dim(truth.labels[None, :, None], -1)
        settings = self.settings
        cost = settings.mask_weight * bce + settings.dice_weight * dice
        cost = (cost - settings.class_weight * found).cpu()  # one transfer for all
        return [
            [
                self.assign(own[:, :count], logits.device)
                for own, count in zip(layer, truth.counts, strict=True)
            ]
            for layer in cost
        ]

    def _class_loss(
        self, logits: Tensor, targets: list[ClipTargets], matches: list[Match]
    ) -> Tensor:
        no_object = logits.shape[-1] - 1
        classes = torch.full(logits.shape[:2], no_object, device=logits.device)
        for b, (target, (slots, instances)) in enumerate(zip(targets, matches, strict=True)):
            classes[b, slots] = target.labels[instances]
        return class_loss(logits, classes, self.settings.no_object_weight)

    def _fine_losses(
        self, clip: ClipMasks, targets: ClipTargets, padding: Tensor | None, match: Match
    ) -> Tensor:
        """(2,), sums over the maps of the last layer in a clip, at the input's size."""
        slots, instances = match
        length = len(clip.embedding)
        if padding is not None:  # a shorter clip of the batch has no frames at the end
            length = int((~padding[:, 0, 0]).sum())
        coarse, detail = clip.coarse(slots)[:, :length], clip.detail(slots)
        detail = None if detail is None else detail[:, :length]
        frames = torch.arange(length, device=coarse.device).repeat(len(slots))
        maps = TargetMaps(targets.masks, padding, instances.repeat_interleave(length), frames)
        if self.settings.mask_points:
            flat = coarse.flatten(0, 1)
            details = None if detail is None else rearrange(detail, "m t h w -> (m t) (h w)")
            width = maps.masks.shape[-1]

            def logits_at(pixels: Tensor) -> Tensor:
                values = map_logits_at(flat, maps, pixels)
                if details is None:
                    return values
                x, y = pixels.unbind(-1)
                return values + details.gather(1, y * width + x)

            points = self.settings.mask_points
            bce, dice = point_mask_losses(logits_at, maps, points, mask_bce_loss)
        else:
            wanted, inside = maps.whole()
            full = full_size(coarse, wanted.shape[-2:], detail).flatten(0, 1)
            wanted = wanted.to(full.dtype)
            bce, dice = (loss(full, wanted, inside) for loss in (mask_bce_loss, mask_dice_loss))
        visible = targets.visible[instances, :length].flatten()
        return torch.stack([bce.sum(), (dice * visible).sum()])


@dataclass(frozen=True)
class _Truth:
    """The targets of B clips at the embedding's size, padded to the largest number of instances."""

    counts: list[int]  # B numbers of instances
    labels: Tensor  # (B, G) int64, 0 in rows without an instance
    real: Tensor  # (B, G) bool, whether a row is an instance
    visible: Tensor  # (B, G, T) bool, False in rows without one
    masks: Tensor  # (B, G, T, h, w), the share of each cell that is covered
    inside: Tensor | None  # (B, T, h, w), the share that is not padding; None if nothing is padded

    @classmethod
    def of(cls, targets: list[ClipTargets], padding: Tensor | None, size: Sequence[int]) -> Self:
        padded = partial(pad_sequence, batch_first=True)
        return cls(
            counts=list(map(len, targets)),
            labels=padded([own.labels for own in targets]),
            real=padded([torch.ones_like(own.labels, dtype=torch.bool) for own in targets]),
            visible=padded([own.visible for own in targets]),
            masks=padded([cell_shares(own.masks, size) for own in targets]),
            inside=None if padding is None else cell_shares(~padding, size),
        )


def _coarse_losses(
    layers: SlotKernels, matches: list[list[Match]], embedding: Tensor, truth: _Truth
) -> Tensor:
    """(L, 2), sums over the maps of every prediction but the last, at the embedding's size.

    Cross-entropy counts in all frames, dice in those that show the object.
    """
    if not matches:
        return embedding.new_zeros(0, 2)
    # Every instance is matched, and they are ascending: row g of a clip is instance g.
    slots = pad_sequence([own for layer in matches for own, _ in layer], batch_first=True)
    slots = slots.unflatten(0, (len(matches), len(truth.counts)))  # (L, B, G)
    kernel = layers.kernel[:-1].take_along_dim(slots[..., None], 2)
    bias = layers.bias[:-1].take_along_dim(slots, 2)
    logits = mask_logits(kernel, bias, embedding)  # (L, B, G, T, h, w)
    shape = logits.shape[:4]
    wanted = truth.masks.expand(logits.shape).flatten(0, 3)
    inside = truth.inside
    if inside is not None:
        inside = inside[:, None].expand(logits.shape).flatten(0, 3)
    bce = mask_bce_loss(logits.flatten(0, 3), wanted, inside).view(shape) * truth.real[..., None]
    dice = mask_dice_loss(logits.flatten(0, 3), wanted, inside).view(shape) * truth.visible
    return torch.stack([bce.flatten(1).sum(1), dice.flatten(1).sum(1)], dim=1)
