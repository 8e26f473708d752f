"""The mask logits of a track in the frames that a later window may still see."""

from simplevtr.structures import encode_masks
from simplevtr.tracking.pieces import largest_piece

import torch
import torch.nn.functional as F
from torch import Tensor

# Upsampled logits held at a time, in bytes: masks are resized and binarised a few frames at once.
UPSAMPLED_CHUNK_BYTES = 64 * 2**20


class MaskBuffer:
    """Sums of mask logits by frame; where windows overlap the mask is that of their mean."""

    def __init__(self) -> None:
        self._first = 0
        self._sums: Tensor | None = None  # (n, h, w)
        self._counts = torch.ones(0)  # (n,), windows that a sum is of

    @property
    def waiting(self) -> bool:
        """Whether masks are held."""
        return self._sums is not None

    def add(self, logits: Tensor, first: int) -> None:
        """Add a window's masks (n, h, w), whose first frame ``first`` is not before those held."""
        if self._sums is None:
            self._first = first
            self._sums = logits.float()
            self._counts = torch.ones(len(logits))
            return
        skipped = first - self._first
        longer = skipped + len(logits) - len(self._sums)
        sums = F.pad(self._sums, (0, 0, 0, 0, 0, max(0, longer)))
        counts = F.pad(self._counts, (0, max(0, longer)))
        sums[skipped : skipped + len(logits)] += logits.float()
        counts[skipped : skipped + len(logits)] += 1
        self._sums, self._counts = sums, counts

    def between(self, first: int, stop: int, like: Tensor) -> Tensor:
        """Logits of the frames [first, stop), zeros where no window saw the track.

        ``like`` has their shape and device.
        """
        result = torch.zeros_like(like, dtype=torch.float32)
        if self._sums is not None:
            begin = max(first, self._first)
            held = self._sums[begin - self._first : max(0, stop - self._first)]
            result[begin - first : begin - first + len(held)] = held
        return result

    def take(
        self, first: int, stop: int, size: tuple[int, int], *, piece_gap: float = 0.0
    ) -> list[dict | None]:
        """Remove the frames [first, stop), ``first`` not after the first held; masks at ``size``.

        They are compressed RLEs, None where the mask is empty or no window saw the track. With a
        ``piece_gap`` they are ``largest_piece`` of the masks.
        """
        result: list[dict | None] = [None] * (stop - first)
        if self._sums is None:
            return result
        count = max(0, stop - self._first)
        sums, counts = self._sums[:count], self._counts[:count]
        offset = self._first - first
        seen = counts.nonzero()[:, 0].tolist()
        for frame, rle in zip(seen, _encoded(sums[seen], size, piece_gap), strict=True):
            result[offset + frame] = rle
        # Copies, so that the frames that are returned do not stay in memory.
        self._sums, self._counts = self._sums[count:].clone(), self._counts[count:].clone()
        self._first += count
        if not len(self._sums):
            self._sums = None
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
