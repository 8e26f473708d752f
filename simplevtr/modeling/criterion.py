"""Targets, matches and predictions -> the weighted loss dict that the trainer sums."""

from __future__ import annotations

from dataclasses import dataclass

from simplevtr.modeling import losses
from simplevtr.modeling.losses import TaughtMaps
from simplevtr.modeling.mask_points import point_mask_losses
from simplevtr.modeling.matcher import ClipMatcher
from simplevtr.modeling.track_sampling import MaskTracks, Match, sample_tracks
from simplevtr.structures import ClipPredictions, ClipTargets

import torch
from detectron2.utils import comm
from torch import Tensor, nn

IGNORED = -100


@dataclass(frozen=True)
class LossWeights:
    """Weights of the loss terms and what absent frames teach (``MODEL.SIMPLEVTR.LOSS``)."""

    classes: float = 1.0
    l1: float = 5.0
    giou: float = 2.0
    mask: float = 1.0
    dice: float = 1.0
    no_object: float = 0.1
    deep_supervision: bool = True
    absent_class: str = "no_object"
    absent_mask: str = "ignore"
    count_absent: bool = False
    giou_eps: float = 1e-7

    def __post_init__(self) -> None:
        if self.absent_class not in ("no_object", "label"):
            raise ValueError(
                f'LOSS.ABSENT_CLASS is {self.absent_class!r}; allowed are "no_object" and "label"'
            )
        if self.absent_mask not in ("ignore", "empty"):
            raise ValueError(
                f'LOSS.ABSENT_MASK is {self.absent_mask!r}; allowed are "ignore" and "empty"'
            )


class ClipCriterion(nn.Module):
    """Losses of a batch of clips; class and box losses after every decoder layer."""

    def __init__(
        self,
        *,
        matcher: ClipMatcher,
        weights: LossWeights,
        mask_points: int = 0,
        max_mask_tracks: int = 0,
    ) -> None:
        """Keep the settings.

        Args:
            matcher: of slots and tracks.
            weights: of the losses.
            mask_points: pixels of each map that the mask losses look at; 0 for all.
            max_mask_tracks: tracks of each clip that get a mask loss; 0 for all.
        """
        super().__init__()
        self.matcher = matcher
        self.weights = weights
        self.masks = MaskCriterion(
            points=mask_points, max_tracks=max_mask_tracks, absent=weights.absent_mask
        )

    def match(self, predictions: ClipPredictions, targets: list[ClipTargets]) -> list[list[Match]]:
        """Match every decoder layer: a list of L lists (the last layer first) of B matches."""
        layers = self._layers(predictions)
        logits = torch.stack([layer[0] for layer in layers])
        boxes = torch.stack([layer[1] for layer in layers])
        by_clip = [
            self.matcher(logits[:, b], boxes[:, b], target) for b, target in enumerate(targets)
        ]
        return [list(layer) for layer in zip(*by_clip, strict=True)]

    def mask_tracks(self, matches: list[list[Match]]) -> MaskTracks:
        """Choose which tracks of the last layer's match get a mask loss."""
        return sample_tracks(matches[0], self.masks.max_tracks)

    def forward(
        self,
        predictions: ClipPredictions,
        targets: list[ClipTargets],
        matches: list[list[Match]],
        mask_logits: Tensor | None,
        frame_padding: Tensor,
        pixel_padding: Tensor | None,
        tracks: MaskTracks | None = None,
    ) -> dict[str, Tensor]:
        """Compute every loss, weighted.

        Args:
            predictions: of the batch; its ``masks`` are not used.
            targets: B clips.
            matches: of ``match``.
            mask_logits: (M, T, h, w) logits of the slots of ``tracks``, clip after clip in their
                order, or None if masks are not trained.
            frame_padding: (B, T) bool, True where a frame is padding.
            pixel_padding: (B, T, H, W) bool, True where a pixel is padding, to the right of and
                below the frames; None if nothing is padded.
            tracks: of ``mask_tracks``; None for every track of the last layer's match.

        Returns:
            ``loss_ce``, ``loss_bbox``, ``loss_giou``, the same with ``_0`` ... for the earlier
            layers, and ``loss_mask``, ``loss_dice`` if masks are trained.
        """
        normaliser = self._normaliser(targets, frame_padding)
        result = {}
        for index, (layer, layer_matches) in enumerate(
            zip(self._layers(predictions), matches, strict=True)
        ):
            # The last layer stands first and has no suffix; layer i of the earlier ones has "_i".
            suffix = "" if index == 0 else f"_{index - 1}"
            terms = self._slot_losses(*layer, targets, layer_matches, normaliser, frame_padding)
            result.update({name + suffix: value for name, value in terms.items()})
        if mask_logits is not None:
            if tracks is None:
                tracks = sample_tracks(matches[0], limit=0)
            focal, dice = self.masks(mask_logits, targets, tracks, frame_padding, pixel_padding)
            result["loss_mask"] = self.weights.mask * focal / normaliser
            result["loss_dice"] = self.weights.dice * dice / normaliser
        return result

    def _layers(self, predictions: ClipPredictions) -> list[tuple[Tensor, Tensor]]:
        last = (predictions.logits, predictions.boxes)
        return [last, *predictions.auxiliary] if self.weights.deep_supervision else [last]

    def _normaliser(self, targets: list[ClipTargets], frame_padding: Tensor) -> Tensor:
        """Target boxes of the batch, averaged over the workers and at least 1."""
        if self.weights.count_absent:
            frames = (~frame_padding).sum(1)
            count = sum(len(t) * n for t, n in zip(targets, frames, strict=True))
        else:
            count = sum(t.visible.sum() for t in targets)
        count = torch.as_tensor(count, dtype=torch.float32, device=frame_padding.device)
        if comm.get_world_size() > 1:
            torch.distributed.all_reduce(count)
        return (count / comm.get_world_size()).clamp(min=1)

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
            if self.weights.absent_class == "no_object":
                labels = labels.where(visible, no_object)
            classes[b][:, slots] = labels
            predicted.append(boxes[b][:, slots][visible])
            wanted.append(target.boxes[instances].transpose(0, 1)[visible])
        classes[frame_padding] = IGNORED
        predicted, wanted = torch.cat(predicted), torch.cat(wanted)
        weights = self.weights
        return {
            "loss_ce": weights.classes * losses.class_loss(logits, classes, weights.no_object),
            "loss_bbox": weights.l1 * losses.box_l1_loss(predicted, wanted, normaliser),
            "loss_giou": weights.giou
            * losses.box_giou_loss(predicted, wanted, normaliser, weights.giou_eps),
        }


class MaskCriterion:
    """Which tracks, frames and pixels teach masks, and what they teach."""

    def __init__(self, *, points: int = 0, max_tracks: int = 0, absent: str = "ignore") -> None:
        """Keep the settings.

        Args:
            points: pixels of each map that are looked at; 0 for all.
            max_tracks: tracks of each clip that are looked at; 0 for all.
            absent: "ignore" or "empty", what a frame without the instance teaches.

        Raises:
            ValueError: if a number is negative.
        """
        for key, value in (("MASK_POINTS", points), ("MAX_MASK_TRACKS", max_tracks)):
            if value < 0:
                raise ValueError(f"LOSS.{key} is {value}; it must be at least 0 (0: all)")
        self.points = points
        self.max_tracks = max_tracks
        self.absent = absent

    def __call__(
        self,
        logits: Tensor,
        targets: list[ClipTargets],
        tracks: MaskTracks,
        frame_padding: Tensor,
        pixel_padding: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Sum the losses of the maps, an instance and frame each.

        Args:
            logits: (M, T, h, w) of the tracks, clip after clip.
            targets: B clips.
            tracks: of ``sample_tracks``.
            frame_padding: (B, T) bool, True where a frame is padding.
            pixel_padding: (B, T, H, W) bool, True where a pixel is padding, to the right of and
                below the frames; None if nothing is padded.

        Returns:
            Focal and dice loss, scalars, not normalised.
        """
        by_clip = logits.split([len(slots) for slots, _ in tracks.matches])
        sums = []
        for b, (_, instances) in enumerate(tracks.matches):
            # Only maps that teach something are upsampled.
            taught = targets[b].visible[instances]
            if self.absent == "empty":
                taught = (~frame_padding[b]).expand_as(taught)
            rows, frames = taught.nonzero(as_tuple=True)
            padding = None if pixel_padding is None else pixel_padding[b]
            maps = TaughtMaps(targets[b].masks, padding, instances[rows], frames)
            chosen = by_clip[b][rows, frames]
            if self.points:
                terms = point_mask_losses(chosen, maps, self.points)
            else:
                terms = losses.full_mask_losses(chosen, maps)
            sums.append(tracks.scales[b] * torch.stack(terms).sum(1))
        focal, dice = torch.stack(sums).sum(0)
        return focal, dice
