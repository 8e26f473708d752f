"""Matched tracks and their mask logits -> the focal and the dice loss of a batch."""

from __future__ import annotations

from simplevtr.modeling.mask_losses import TaughtMaps, full_mask_losses
from simplevtr.modeling.mask_points import point_mask_losses
from simplevtr.modeling.track_sampling import MaskTracks, Match, sample_tracks
from simplevtr.structures import ClipTargets

import torch
from torch import Tensor


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

    def choose(self, matches: list[Match]) -> MaskTracks:
        """Choose the tracks of each clip, with torch's global random numbers if not all."""
        return sample_tracks(matches, self.max_tracks)

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
            tracks: of ``choose``.
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
            losses = self._map_losses(by_clip[b][rows, frames], maps)
            sums.append(tracks.scales[b] * torch.stack(losses).sum(1))
        focal, dice = torch.stack(sums).sum(0)
        return focal, dice

    def _map_losses(self, logits: Tensor, maps: TaughtMaps) -> tuple[Tensor, Tensor]:
        if self.points:
            return point_mask_losses(logits, maps, self.points)
        return full_mask_losses(logits, maps)
