"""One mask on a picture, of which only the part inside its bounding box is kept and worked on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

Colour = tuple[int, int, int]  # RGB, 0 to 255


@dataclass(frozen=True)
class MaskCutout:
    """A mask's bounding box, which draws on an (H, W, 3) uint8 RGB canvas.

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
        if mask.shape != tuple(size):
            mask = cv2.resize(mask, (size[1], size[0]), interpolation=cv2.INTER_NEAREST)
        left, top, width, height = cv2.boundingRect(mask)
        return cls(mask[top : top + height, left : left + width], top, left) if width else None

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

    def fill(self, canvas: np.ndarray, colour: Colour, alpha: float) -> None:
        """Lay a colour over the mask's pixels."""
        height, width = self.inside.shape
        region = canvas[self.top : self.top + height, self.left : self.left + width]
        paint = np.full_like(region, colour)
        mixed = cv2.addWeighted(region, 1 - alpha, paint, alpha, 0)
        np.copyto(region, mixed, where=self.inside[..., None].view(bool))

    def outline(self, canvas: np.ndarray, colour: Colour) -> None:
        """Draw the mask's outer and inner borders."""
        borders, _ = cv2.findContours(
            self.inside, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE, offset=(self.left, self.top)
        )
        cv2.polylines(canvas, borders, True, colour, line_width(canvas), lineType=cv2.LINE_AA)

    def box(self, canvas: np.ndarray, colour: Colour) -> None:
        """Draw the bounding box."""
        height, width = self.inside.shape
        corner = (self.left + width - 1, self.top + height - 1)
        cv2.rectangle(canvas, (self.left, self.top), corner, colour, line_width(canvas))


def line_width(canvas: np.ndarray) -> int:
    """Pixels of a line that can be seen on an (H, W, 3) picture without covering it."""
    return max(1, round(min(canvas.shape[:2]) / 500))


def _median(counts: np.ndarray) -> float:
    """The median of numbers of which ``counts[i]`` are i."""
    sums = np.cumsum(counts)
    low, high = np.searchsorted(sums, [(sums[-1] + 1) // 2, sums[-1] // 2 + 1])
    return float(low + high) / 2
