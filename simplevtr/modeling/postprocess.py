"""Predictions of one video -> scored, labelled, binary tracks (VisTR's inference rules)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Upsampled logits held at a time, in bytes: masks are resized and binarised a few frames at once.
CHUNK_BYTES = 64 * 2**20


def score_tracks(probability: Tensor, tracks: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Choose slots and their classes.

    Args:
        probability: (T, Q, K) class probabilities without "no object".
        tracks: 0 for one track a slot, its category the most frequent best class of its frames and
            its score the mean of the frames' best probabilities (VisTR); N for the N best (slot,
            class) pairs by the mean probability over the frames.

    Returns:
        slots, labels (both (N,) int64) and scores (N,), best first.
    """
    if tracks > 0:
        mean = probability.mean(0)
        scores, index = mean.flatten().topk(min(tracks, mean.numel()))
        return index // mean.shape[1], index % mean.shape[1], scores
    best, label = probability.max(-1)
    scores, slots = best.mean(0).sort(descending=True, stable=True)
    return slots, label.mode(0).values[slots], scores


def binary_masks(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize mask logits and threshold them at probability 0.5.

    Args:
        logits: (T, h, w) of one track.
        size: (H, W) of the original frames in pixels.

    Returns:
        (T, H, W) bool on the CPU.
    """
    frames = max(1, CHUNK_BYTES // (4 * size[0] * size[1]))
    parts = []
    for part in logits.float().split(frames):
        resized = F.interpolate(part[:, None], size=size, mode="bilinear")[:, 0]
        parts.append((resized > 0).cpu())
    return torch.cat(parts)


def mask_confidence(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of the probabilities inside each track's predicted mask, and its number of cells.

    Args:
        logits: (N, T, h, w).

    Returns:
        Two (N,) float32 tensors; parts of a video are combined by adding them.
    """
    probability = logits.float().sigmoid().flatten(1)
    inside = probability > 0.5
    return (probability * inside).sum(1), inside.sum(1).float()


def without_duplicates(masks: list[Tensor], limit: float) -> list[int]:
    """Greedily drop tracks that cover what a better one covers, whatever their classes.

    Not in the paper, whose matching is meant to make duplicates unlikely.

    Args:
        masks: (T, H, W) bool a track, best track first.
        limit: a track is dropped if the IoU of its mask over the clip with that of a kept one is at
            least this.

    Returns:
        Indices of the kept tracks, ascending. Empty tracks cover nothing and are kept.
    """
    areas = [int(mask.sum()) for mask in masks]
    kept: list[int] = []
    for i, mask in enumerate(masks):
        for j in kept:
            shared = int((mask & masks[j]).sum())
            if shared and shared >= limit * (areas[i] + areas[j] - shared):
                break
        else:
            kept.append(i)
    return kept
