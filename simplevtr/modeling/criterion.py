"""The losses of the paper's head: targets, matches, predictions -> the weighted loss dict."""

from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from simplevtr.config import keyword_arguments
from simplevtr.modeling import losses
from simplevtr.modeling.mask_losses import (
    TargetMaps,
    full_mask_losses,
    map_logits_at,
    mask_focal_loss,
    point_mask_losses,
)
from simplevtr.modeling.matcher import Match, PaperMatcher
from simplevtr.modeling.paper_network import PaperNetwork, PaperState
from simplevtr.structures import ClipBatch, ClipPredictions, ClipTargets

import torch
from detectron2.config import CfgNode, configurable
from torch import Tensor, nn


@dataclass(frozen=True)
class LossSettings:
    """The keys of ``MODEL.SIMPLEVTR.LOSS``, which explains them."""

    class_weight: float = 1.0
    no_object_weight: float = 0.1
    l1_weight: float = 5.0
    giou_weight: float = 2.0
    giou_eps: float = 1e-7
    mask_weight: float = 1.0
    dice_weight: float = 1.0
    dense_weight: float = 0.0
    deep_supervision: bool = True
    absent_class: str = "no_object"
    absent_mask: str = "ignore"
    count_absent: bool = False
    mask_points: int = 0
    max_mask_tracks: int = 0


def sample_tracks(matches: list[Match], limit: int) -> list[Match]:
    """Keep at most ``limit`` tracks of each of B clips, drawn uniformly; 0 keeps all, drawing none.

    They stay in their order.
    """
    kept = []
    for slots, instances in matches:
        if 0 < limit < len(slots):
            rows = torch.randperm(len(slots))[:limit].sort().values.to(slots.device)
            slots, instances = slots[rows], instances[rows]
        kept.append((slots, instances))
    return kept


class PaperCriterion(nn.Module):
    """Losses of a batch of clips; class and box losses after every decoder layer."""

    @configurable
    def __init__(self, *, matcher: PaperMatcher, settings: LossSettings) -> None:
        super().__init__()
        self.matcher = matcher
        self.settings = settings

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        """Build the matcher and the settings."""
        node = cfg.MODEL.SIMPLEVTR
        return {
            "matcher": PaperMatcher(**keyword_arguments(node.MATCHER)),
            "settings": LossSettings(**keyword_arguments(node.LOSS)),
        }

    def match(self, predictions: ClipPredictions, targets: list[ClipTargets]) -> list[list[Match]]:
        """Match every decoder layer: a list of L lists (the last layer first) of B matches."""
        logits, boxes = map(torch.stack, zip(*self._layers(predictions), strict=True))
        by_clip = [self.matcher(logits[:, b], boxes[:, b], own) for b, own in enumerate(targets)]
        return [list(layer) for layer in zip(*by_clip, strict=True)]

    def forward(
        self, network: PaperNetwork, state: PaperState, targets: list[ClipTargets], batch: ClipBatch
    ) -> dict[str, Tensor]:
        """Compute every loss of B clips, weighted.

        ``state`` is ``network.encode(batch)``. If it has a mask head, ``network`` predicts the
        masks of the matched slots only.

        Returns:
            ``loss_ce``, ``loss_bbox``, ``loss_giou``, the same with ``_0`` ... for the earlier
            layers, ``loss_mask`` and ``loss_dice`` of the last layer's match, ``loss_dense`` of the
            cells.
        """
        matches = self.match(state.predictions, targets)
        frame_padding = batch.frame_padding()
        normaliser = self._normaliser(targets, frame_padding)
        result = {}
        layers = zip(self._layers(state.predictions), matches, strict=True)
        for index, (layer, own_matches) in enumerate(layers):
            # The last layer stands first and has no suffix; layer i of the earlier ones has "_i".
            suffix = "" if index == 0 else f"_{index - 1}"
            terms = self._slot_losses(*layer, targets, own_matches, normaliser, frame_padding)
            result.update({name + suffix: value for name, value in terms.items()})
        if network.mask_head is not None:
            tracks = sample_tracks(matches[0], self.settings.max_mask_tracks)
            clips = torch.cat([torch.full_like(slots, b) for b, (slots, _) in enumerate(tracks)])
            logits = network.masks(state, clips, torch.cat([slots for slots, _ in tracks]))
            focal, dice = self.mask_losses(logits, targets, tracks, batch)
            result["loss_mask"] = self.settings.mask_weight * focal / normaliser
            result["loss_dice"] = self.settings.dice_weight * dice / normaliser
        if state.cell_logits is not None:
            dense = losses.dense_class_loss(state.cell_logits, targets, batch.padding)
            result["loss_dense"] = self.settings.dense_weight * dense
        return result

    def _layers(self, predictions: ClipPredictions) -> list[tuple[Tensor, Tensor]]:
        last = (predictions.logits, cast(Tensor, predictions.boxes))
        return [last, *predictions.auxiliary] if self.settings.deep_supervision else [last]

    def _normaliser(self, targets: list[ClipTargets], frame_padding: Tensor) -> Tensor:
        """Target boxes of the batch, averaged over the workers and at least 1."""
        if self.settings.count_absent:
            frames = (~frame_padding).sum(1)
            count = sum(len(t) * n for t, n in zip(targets, frames, strict=True))
        else:
            count = sum(t.visible.sum() for t in targets)
        return losses.normaliser(count, frame_padding.device)

    def _slot_losses(
        self,
        logits: Tensor,
        boxes: Tensor,
        targets: list[ClipTargets],
        matches: list[Match],
        normaliser: Tensor,
        frame_padding: Tensor,
    ) -> dict[str, Tensor]:
        no_object = logits.shape[-1] - 1
        classes = torch.full(logits.shape[:3], no_object, device=logits.device)
        predicted, wanted = [], []
        for b, (target, (slots, instances)) in enumerate(zip(targets, matches, strict=True)):
            visible = target.visible[instances].T  # (T, G)
            labels = target.labels[instances].expand_as(visible)
            if self.settings.absent_class == "no_object":
                labels = labels.where(visible, no_object)
            classes[b][:, slots] = labels
            predicted.append(boxes[b][:, slots][visible])
            wanted.append(target.boxes[instances].transpose(0, 1)[visible])
        classes[frame_padding] = losses.IGNORED
        compared = torch.cat(predicted), torch.cat(wanted), normaliser
        own = self.settings
        ce = losses.class_loss(logits, classes, own.no_object_weight)
        return {
            "loss_ce": own.class_weight * ce,
            "loss_bbox": own.l1_weight * losses.box_l1_loss(*compared),
            "loss_giou": own.giou_weight * losses.box_giou_loss(*compared, own.giou_eps),
        }

    def mask_losses(
        self, logits: Tensor, targets: list[ClipTargets], tracks: list[Match], batch: ClipBatch
    ) -> Tensor:
        """(2,), sums of focal and dice loss over the maps, one per instance and frame.

        ``logits`` are (M, T, h, w) of the slots of ``tracks`` (of ``sample_tracks``), clip after
        clip. The sums are neither weighted nor normalised.
        """
        frame_padding = batch.frame_padding()
        by_clip = logits.split([len(slots) for slots, _ in tracks])
        sums = []
        for b, (_, instances) in enumerate(tracks):
            # Only maps that are compared are upsampled.
            compared = targets[b].visible[instances]
            if self.settings.absent_mask == "empty":
                compared = (~frame_padding[b]).expand_as(compared)
            rows, frames = compared.nonzero(as_tuple=True)
            of_clip = None if batch.padding is None else batch.padding[b]
            maps = TargetMaps(targets[b].masks, of_clip, instances[rows], frames)
            chosen = by_clip[b][rows, frames]
            if self.settings.mask_points:
                logits_at = partial(map_logits_at, chosen, maps)
                points = self.settings.mask_points
                terms = point_mask_losses(logits_at, maps, points, mask_focal_loss)
            else:
                terms = full_mask_losses(chosen, maps)
            # All instances were matched, so that this makes the sum over the drawn ones unbiased.
            scale = len(targets[b]) / max(1, len(instances))
            sums.append(scale * torch.stack(terms).sum(1))
        return torch.stack(sums).sum(0)
