"""The input left and the result right."""

from __future__ import annotations

import cv2
import numpy as np


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A copy of an (H, W, 3) uint8 picture, brought to ``size`` (H', W') in pixels."""
    if image.shape[:2] == tuple(size):
        return image.copy()
    how = cv2.INTER_AREA if size[0] < image.shape[0] else cv2.INTER_CUBIC
    return cv2.resize(image, (size[1], size[0]), interpolation=how)


def side_by_side(frame: np.ndarray, painted: np.ndarray) -> np.ndarray:
    """Lay the input and the result side by side.

    Args:
        frame: (H, W, 3) uint8 RGB, as it was read.
        painted: (H', W', 3) uint8 RGB, what was drawn over it, at any scale.

    Returns:
        (H', 2 W', 3) uint8 RGB.
    """
    return np.concatenate([resized(frame, painted.shape[:2]), painted], axis=1)
