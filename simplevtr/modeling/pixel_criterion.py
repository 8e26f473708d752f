"""The losses of the pixel head: class and masks of every slot, after every layer.

A slot has one class for the clip; its mask is learned in all frames, empty where the object is
absent, so that it can say "not here". Masks of all layers but the last are compared at the
embedding's size, those of the last at the input's, at its least certain pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from simplevtr.config import keyword_arguments
from simplevtr.modeling.criterion import LossSettings
from simplevtr.modeling.losses import class_loss, normaliser
from simplevtr.modeling.mask_losses import (
    TaughtMaps,
    draw_pixels,
    map_logits_at,
    mask_bce_loss,
    mask_dice_loss,
)
from simplevtr.modeling.masked_decoder import SlotKernels, full_size, mask_logits, resized
from simplevtr.modeling.matcher import Match, assign
from simplevtr.modeling.pixel_network import PixelNetwork, PixelState
from simplevtr.modeling.precision import full_precision, without_autocast
from simplevtr.structures import ClipBatch, ClipTargets

import torch
import torch.nn.functional as F
from detectron2.config import CfgNode, configurable
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence


class PixelCriterion(nn.Module):
    """Matching and losses of a batch of clips."""

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
        self,
        network: PixelNetwork,
        state: PixelState,
        targets: list[ClipTargets],
        batch: ClipBatch,
    ) -> dict[str, Tensor]:
        """Compute every loss, weighted.

        Args:
            network: not asked: kernels and embeddings, whose products are the masks, are known.
            state: of the network.
            targets: B clips.
            batch: what the network saw.

        Returns:
            ``loss_ce``, ``loss_mask`` and ``loss_dice``, the same with ``_0`` ... for the layers
            before the last, in their order.
        """
        with without_autocast(state.embedding.device):
            return self._losses(state, targets, batch.padding)

    def _losses(
        self, state: PixelState, targets: list[ClipTargets], pixel_padding: Tensor | None
    ) -> dict[str, Tensor]:
        embedding = full_precision(state.embedding)
        truth = _Truth.of(targets, pixel_padding, tuple(embedding.shape[-2:]))
        matches = self._match(state, embedding, truth)
        count = sum(target.visible.sum() for target in targets)
        divisor = normaliser(count, embedding.device)
        last = len(state.layers) - 1
        coarse = _coarse_losses(state.layers[:last], matches[:last], embedding, truth)
        fine = [
            self._fine_losses(
                state, b, targets[b], None if pixel_padding is None else pixel_padding[b], match
            )
            for b, match in enumerate(matches[last])
        ]
        sums = [*zip(*coarse, strict=True), tuple(map(sum, zip(*fine, strict=True)))]
        result = {}
        for index, (logits, (bce, dice)) in enumerate(zip(state.logits, sums, strict=True)):
            suffix = "" if index == last else f"_{index}"
            classes = self._class_loss(logits, targets, matches[index])
            result[f"loss_ce{suffix}"] = self.settings.class_weight * classes
            result[f"loss_mask{suffix}"] = self.settings.mask_weight * bce / divisor
            result[f"loss_dice{suffix}"] = self.settings.dice_weight * dice / divisor
        return result

    @torch.no_grad()
    def _match(self, state: PixelState, embedding: Tensor, truth: _Truth) -> list[list[Match]]:
        """After every layer, the assignment of the slots of every clip."""
        kernel = torch.stack([full_precision(layer.kernel) for layer in state.layers])
        bias = torch.stack([full_precision(layer.bias) for layer in state.layers])
        # Matching needs no details.
        size = tuple(max(1, side // 2) for side in embedding.shape[-2:])
        logits = mask_logits(kernel, bias, resized(embedding, size)).flatten(3)  # (L, B, Q, S)
        wanted = rearrange(_shares(truth.masks, size), "b g t h w -> b g (t h w)")
        cells = logits.shape[-1]
        probability, loss = logits.sigmoid(), F.softplus(logits)
        if truth.inside is not None:
            inside = rearrange(_shares(truth.inside, size), "b t h w -> b 1 (t h w)")
            probability, loss = probability * inside, loss * inside
            cells = inside.sum(-1, keepdim=True).clamp(min=1)
        hits = torch.einsum("lbqs,bgs->lbqg", logits, wanted)
        bce = (loss.sum(-1, keepdim=True) - hits) / cells
        overlap = 2 * torch.einsum("lbqs,bgs->lbqg", probability, wanted)
        total = probability.sum(-1, keepdim=True) + wanted.sum(-1)[:, None]
        dice = 1 - (overlap + 1) / (total + 1)
        classes = full_precision(torch.stack(state.logits)).softmax(-1)
        found = classes.take_along_dim(truth.labels[None, :, None], -1)
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
        # One class a clip: as if it had one frame.
        return class_loss(logits[:, None], classes[:, None], self.settings.no_object_weight)

    def _fine_losses(
        self,
        state: PixelState,
        b: int,
        targets: ClipTargets,
        padding: Tensor | None,
        match: Match,
    ) -> tuple[Tensor, Tensor]:
        """Sums over the maps of the last layer in clip ``b``, at the input's size."""
        slots, instances = match
        layer, embedding = state.layers[-1], full_precision(state.embedding[b])
        frames = len(embedding)
        if padding is not None:  # a shorter clip of the batch has no frames at the end
            frames = int((~padding[:, 0, 0]).sum())
        kernel, bias = full_precision(layer.kernel[b, slots]), full_precision(layer.bias[b, slots])
        logits = mask_logits(kernel, bias, embedding[:frames])
        maps = TaughtMaps(
            masks=targets.masks,
            padding=padding,
            instances=repeat(instances, "m -> (m t)", t=frames),
            frames=torch.arange(frames, device=logits.device).repeat(len(slots)),
        )
        visible = targets.visible[instances, :frames].flatten()
        flat = rearrange(logits, "m t h w -> (m t) h w")
        fine, kernels = None, None
        if state.fine is not None:
            fine = full_precision(state.fine[b][:frames])
            kernels = full_precision(layer.fine[b, slots])
        if not self.settings.mask_points:
            full = full_size(logits, tuple(maps.masks.shape[-2:]), kernels, fine)
            full = rearrange(full, "m t h w -> (m t) h w")
            wanted = maps.wanted(slice(None)).to(full.dtype)
            inside = maps.inside(slice(None))
            bce = mask_bce_loss(full, wanted, inside).sum()
            return bce, (mask_dice_loss(full, wanted, inside) * visible).sum()

        row = torch.arange(len(slots), device=logits.device).repeat_interleave(frames)

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
        wanted = maps.masks[maps.instances[:, None], maps.frames[:, None], y, x].to(flat.dtype)
        found = logits_at(pixels)
        return mask_bce_loss(found, wanted).sum(), (mask_dice_loss(found, wanted) * visible).sum()


@dataclass(frozen=True)
class _Truth:
    """The targets of B clips at the embedding's size, with as many rows each as the most have.

    Attributes:
        counts: B numbers of instances.
        labels: (B, G) int64, 0 in rows without an instance.
        visible: (B, G, T) bool, False there.
        masks: (B, G, T, h, w), the share of each cell that is covered.
        inside: (B, T, h, w), the share that is not padding; None if nothing is padded.
    """

    counts: list[int]
    labels: Tensor
    visible: Tensor
    masks: Tensor
    inside: Tensor | None

    @classmethod
    def of(
        cls, targets: list[ClipTargets], padding: Tensor | None, size: tuple[int, int]
    ) -> _Truth:
        return cls(
            counts=list(map(len, targets)),
            labels=pad_sequence([target.labels for target in targets], batch_first=True),
            visible=pad_sequence([target.visible for target in targets], batch_first=True),
            masks=pad_sequence(
                [_shares(target.masks.float(), size) for target in targets], batch_first=True
            ),
            inside=None if padding is None else _shares((~padding).float(), size),
        )

    def real(self) -> Tensor:
        """(B, G) bool, whether a row is an instance."""
        counts = torch.tensor(self.counts, device=self.labels.device)
        return torch.arange(self.labels.shape[1], device=counts.device) < counts[:, None]


def _shares(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """(..., H, W) -> (..., h, w), the mean over each cell."""
    if not maps.numel():
        return maps.new_zeros(*maps.shape[:-2], *size)
    return F.adaptive_avg_pool2d(maps.flatten(0, -3), size).unflatten(0, maps.shape[:-2])


def _coarse_losses(
    layers: list[SlotKernels], matches: list[list[Match]], embedding: Tensor, truth: _Truth
) -> tuple[Tensor, Tensor]:
    """Sums over the maps of each layer, (L,) each, at the embedding's size.

    Cross-entropy counts in all frames, dice in those that show the object.
    """
    if not layers:
        return embedding.new_zeros(0), embedding.new_zeros(0)
    # Every instance is matched, and they are ascending: row g of a clip is instance g.
    slots = pad_sequence([own for layer in matches for own, _ in layer], batch_first=True)
    slots = slots.unflatten(0, (len(layers), len(truth.counts)))  # (L, B, G)
    kernel = torch.stack([layer.kernel for layer in layers])
    kernel = full_precision(kernel.take_along_dim(slots[..., None], 2))
    bias = full_precision(torch.stack([layer.bias for layer in layers]).take_along_dim(slots, 2))
    logits = mask_logits(kernel, bias, embedding)  # (L, B, G, T, h, w)
    shape = logits.shape[:4]
    wanted = truth.masks.expand(logits.shape).flatten(0, 3)
    inside = truth.inside
    if inside is not None:
        inside = inside[:, None].expand(logits.shape).flatten(0, 3)
    bce = mask_bce_loss(logits.flatten(0, 3), wanted, inside).view(shape) * truth.real()[..., None]
    dice = mask_dice_loss(logits.flatten(0, 3), wanted, inside).view(shape) * truth.visible
    return bce.flatten(1).sum(1), dice.flatten(1).sum(1)
