"""The mask logits of a track that a later window may still see, and the masks made of them."""

from simplevtr.structures import encode_masks

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

# Upsampled logits held at a time, in bytes: masks are resized and binarised a few frames at once.
UPSAMPLED_CHUNK_BYTES = 64 * 2**20


class MaskBuffer:
    """Sums of mask logits by frame; where windows overlap the mask is that of their mean."""

    def __init__(self) -> None:
        self._sums: dict[int, Tensor] = {}  # by frame, (h, w) float32

    @property
    def waiting(self) -> bool:
        """Whether masks are held."""
        return bool(self._sums)

    def add(self, logits: Tensor, first: int) -> None:
        """Add a window's masks (n, h, w), whose first frame is number ``first``."""
        for frame, own in enumerate(logits.float(), start=first):
            self._sums[frame] = self._sums[frame] + own if frame in self._sums else own

    def since(self, first: int, like: Tensor) -> Tensor:
        """Logits of the frames from ``first`` on, zeros where no window saw the track.

        ``like`` has their shape and device.
        """
        result = torch.zeros_like(like, dtype=torch.float32)
        for frame in self._sums.keys() & range(first, first + len(like)):
            result[frame - first] = self._sums[frame]
        return result

    def take(
        self, first: int, stop: int, size: tuple[int, int], *, piece_gap: float = 0.0
    ) -> list[dict | None]:
        """Remove the frames [first, stop), ``first`` not after the first held; masks at ``size``.

        They are compressed RLEs, None where the mask is empty or no window saw the track. With a
        ``piece_gap`` they are ``largest_piece`` of the masks.
        """
        result: list[dict | None] = [None] * (stop - first)
        if taken := [frame for frame in self._sums if frame < stop]:
            sums = torch.stack([self._sums.pop(frame) for frame in taken])
            for frame, rle in zip(taken, _encoded(sums, size, piece_gap), strict=True):
                result[frame - first] = rle
        # Copies, so that the window that they are a part of does not stay in memory.
        self._sums = {frame: own.clone() for frame, own in self._sums.items()}
        return result


def _encoded(logits: Tensor, size: tuple[int, int], piece_gap: float) -> list[dict | None]:
    """(n, h, w) logits -> RLEs of the masks at ``size``, thresholded at probability 0.5."""
    if not logits.numel():
        return [None] * len(logits)
    frames = max(1, UPSAMPLED_CHUNK_BYTES // (4 * size[0] * size[1]))
    rles: list[dict | None] = []
    for part in logits.split(frames):
        resized = F.interpolate(part[:, None], size=size, mode="bilinear")[:, 0]
        masks = resized > 0
        rles += encode_masks(largest_piece(masks, piece_gap) if piece_gap else masks)
    return rles


def largest_piece(masks: Tensor, gap: float) -> Tensor:
    """Of each (H, W) mask the largest piece; (n, H, W) bool, as ``masks``.

    Pixels that touch, at a side or a corner, are of one piece, and so are those with at most
    ``gap`` times the shorter side between them. Not in the paper: where several objects look alike,
    a slot of a network that saw few videos may draw more than one of them.
    """
    reach = round(gap * min(masks.shape[1:]))
    kernel = np.ones((reach + 1, reach + 1), np.uint8)
    result = np.zeros(tuple(masks.shape), dtype=bool)
    for mask, kept in zip(masks.cpu().numpy().astype(np.uint8), result, strict=True):
        count, pieces = cv2.connectedComponents(cv2.dilate(mask, kernel), connectivity=8)
        areas = np.bincount(pieces[mask > 0], minlength=count)
        kept[:] = (pieces == areas.argmax()) & (mask > 0)
    return torch.from_numpy(result)
