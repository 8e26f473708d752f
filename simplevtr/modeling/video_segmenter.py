"""The network over a video of any length, a window of frames at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from simplevtr.modeling.clip_network import ClipNetwork
from simplevtr.modeling.preprocess import ClipBatcher
from simplevtr.structures import FrameTracks
from simplevtr.tracking import (
    CollectedTracks,
    TrackingSettings,
    VideoTracks,
    WindowTracks,
    sliding_windows,
)

import torch
from torch import Tensor


class VideoSegmenter:
    """Inference settings, and the way from frames to tracks with them.

    The paper looks at a whole video at once (§4.2: up to 64 frames). So does this for a video of at
    most ``window`` frames; windows of a longer one overlap and are joined (``simplevtr.tracking``).
    """

    def __init__(
        self,
        *,
        window: int,
        stride: int,
        fixed_length: bool,
        score_threshold: float,
        tracks_per_video: int,
        class_offset: int,
        tracking: TrackingSettings,
    ) -> None:
        """Keep the settings.

        Args:
            window: frames that the network looks at together; 0 for the whole video.
            stride: frames from one window to the next; 0 for three quarters of a window.
            fixed_length: whether the network takes exactly ``window`` frames (queries with a frame
                axis); a shorter video's frames are then gone over again, as VisTR does.
            score_threshold: slots and tracks below it are left out; 0 keeps all.
            tracks_per_video: see ``CollectedTracks.result``.
            class_offset: leading class indices that no category uses (VisTR: 1).
            tracking: how windows are joined.

        Raises:
            ValueError: if ``stride`` is longer than a window.
        """
        if window > 0 and not 0 <= stride <= window:
            raise ValueError(
                f"TEST.STRIDE is {stride}; it must be from 1 to the window's {window} frames, or 0 "
                "for three quarters of them"
            )
        self.window = window
        self.stride = stride or max(1, 3 * window // 4)
        self.fixed_length = fixed_length
        self.score_threshold = score_threshold
        self.tracks_per_video = tracks_per_video
        self.class_offset = class_offset
        self.tracking = tracking

    @property
    def delay(self) -> int | None:
        """Most frames that are read after a frame before it is given out; None: all of them."""
        return self.window - 1 if self.window else None

    def stream(
        self,
        network: ClipNetwork,
        batcher: ClipBatcher,
        images: Iterable[Tensor],
        size: tuple[int, int],
    ) -> Iterator[FrameTracks]:
        """The tracks of each frame, in order, at most ``delay`` frames after it was read.

        Args:
            network: in evaluation mode.
            batcher: normalises frames.
            images: uint8 (3, h, w) frames of one size, read once.
            size: (H, W) of the original frames in pixels.
        """
        yield from self._frames(VideoTracks(self.tracking, size), network, batcher, images)

    def segment(
        self,
        network: ClipNetwork,
        batcher: ClipBatcher,
        images: Iterable[Tensor],
        size: tuple[int, int],
    ) -> dict[str, Any]:
        """The tracks of a whole video, as ``SimpleVTR.forward`` gives them; see ``stream``."""
        tracks, collected = VideoTracks(self.tracking, size), CollectedTracks(size)
        collected.extend(self._frames(tracks, network, batcher, images))
        return collected.result(
            tracks.evidence(),
            looked_at=tracks.looked_at,
            tracks_per_video=self.tracks_per_video,
            mask_scoring=self.tracking.mask_scoring,
            score_threshold=self.score_threshold,
        )

    def _frames(
        self,
        tracks: VideoTracks,
        network: ClipNetwork,
        batcher: ClipBatcher,
        images: Iterable[Tensor],
    ) -> Iterator[FrameTracks]:
        for window in sliding_windows(images, self.window, self.stride):
            said = self.look(network, batcher, window.frames)
            yield from tracks.add(said, start=window.start, settled=window.settled)
        yield from tracks.finish()

    @torch.no_grad()
    def look(
        self, network: ClipNetwork, batcher: ClipBatcher, images: list[Tensor]
    ) -> WindowTracks:
        """What the network says of one window.

        Args:
            network: in evaluation mode.
            batcher: normalises frames.
            images: T uint8 (3, h, w) frames.
        """
        own = len(images)
        if self.fixed_length:
            images = [images[i % own] for i in range(max(own, self.window))]
        batch = batcher([{"image": images}])
        state = network.encode(batch.frames, batch.padding_mask)
        probability = state.predictions.logits[0, :own].float().softmax(-1)
        probability = probability[..., self.class_offset : -1].transpose(0, 1)
        kept = (probability.amax(-1).mean(1) >= self.score_threshold).nonzero()[:, 0]
        masks = probability.new_zeros(len(kept), own, 0, 0)
        if network.mask_head is not None and len(kept):
            masks = network.masks(state, torch.zeros_like(kept), kept)[:, :own]
        # (B, 1 or T, Q, C): slots without a frame axis have one entry there.
        embedding = state.slots[0].float().mean(0)
        return WindowTracks(probability[kept], masks, embedding[kept])
