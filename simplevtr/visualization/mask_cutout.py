"""One mask on a picture, of which only the part inside its bounding box is kept and worked on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np


@dataclass(frozen=True)
class MaskCutout:
    """A mask's bounding box.

    Attributes:
        inside: (h, w) uint8, 1 on the mask; not empty.
        top: row of the box's first pixel in the picture.
        left: its column.
    """

    inside: np.ndarray
    top: int
    left: int

    @classmethod
    def of(cls, mask: np.ndarray, size: tuple[int, int]) -> MaskCutout | None:
        """The cutout of an (H, W) uint8 mask brought to ``size``; None if nothing is left of it."""
        mask = np.ascontiguousarray(mask)
        left, top, width, height = cv2.boundingRect(mask)
        if width == 0:
            return None
        if mask.shape == tuple(size):
            return cls(mask[top : top + height, left : left + width], top, left)
        scaled = cv2.resize(mask, (size[1], size[0]), interpolation=cv2.INTER_NEAREST)
        return cls.of(scaled, size)

    @cached_property
    def area(self) -> int:
        """Pixels on the mask."""
        return cv2.countNonZero(self.inside)

    @cached_property
    def centroid(self) -> tuple[float, float]:
        """The mean (x, y) of its pixels in the picture."""
        moments = cv2.moments(self.inside, binaryImage=True)
        x, y = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
        return self.left + x, self.top + y

    @cached_property
    def median(self) -> tuple[float, float]:
        """The median x and y of its pixels, which thin parts far off do not move."""
        x, y = (_median(self.inside.sum(axis, dtype=np.int64)) for axis in (0, 1))
        return self.left + x, self.top + y

    def fill(self, canvas: np.ndarray, colour: tuple[float, float, float], alpha: float) -> None:
        """Lay a colour (RGB in [0, 1]) over the mask's pixels of an (H, W, 3) uint8 canvas."""
        region = self._region(canvas)
        paint = np.empty_like(region)
        paint[:] = np.round(np.multiply(colour, 255))
        np.copyto(
            region,
            cv2.addWeighted(region, 1 - alpha, paint, alpha, 0),
            where=self.inside[..., None].view(bool),
        )

    def outline(self, canvas: np.ndarray, colour: tuple[float, float, float]) -> None:
        """Draw the mask's outer and inner borders on an (H, W, 3) uint8 canvas."""
        borders, _ = cv2.findContours(
            self.inside, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE, offset=(self.left, self.top)
        )
        cv2.polylines(
            canvas, borders, True, _bytes(colour), line_width(canvas.shape), lineType=cv2.LINE_AA
        )

    def box(self, canvas: np.ndarray, colour: tuple[float, float, float]) -> None:
        """Draw the bounding box on an (H, W, 3) uint8 canvas."""
        height, width = self.inside.shape
        corner = (self.left + width - 1, self.top + height - 1)
        cv2.rectangle(
            canvas, (self.left, self.top), corner, _bytes(colour), line_width(canvas.shape)
        )

    def _region(self, canvas: np.ndarray) -> np.ndarray:
        height, width = self.inside.shape
        return canvas[self.top : self.top + height, self.left : self.left + width]


def line_width(shape: tuple[int, ...]) -> int:
    """Pixels of a line that can be seen on a picture of shape (H, W, ...) without covering it."""
    return max(1, round(min(shape[:2]) / 500))


def _bytes(colour: tuple[float, float, float]) -> tuple[int, int, int]:
    return tuple(round(part * 255) for part in colour)


def _median(counts: np.ndarray) -> float:
    """The median of numbers of which ``counts[i]`` are i."""
    sums = np.cumsum(counts)
    low, high = np.searchsorted(sums, [(sums[-1] + 1) // 2, sums[-1] // 2 + 1])
    return float(low + high) / 2
