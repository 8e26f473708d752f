"""Pictures brought to a size, put side by side, and captioned."""

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

_GAP = 4  # white pixels between pictures
_CAPTION = 20  # pixels of a caption's height


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A copy of an (H, W, 3) uint8 picture, brought to ``size`` (H', W') in pixels."""
    if image.shape[:2] == tuple(size):
        return image.copy()
    how = cv2.INTER_AREA if size[0] < image.shape[0] else cv2.INTER_CUBIC
    return cv2.resize(image, (size[1], size[0]), interpolation=how)


def side_by_side(frame: np.ndarray, painted: np.ndarray) -> np.ndarray:
    """The input left and the result right.

    Args:
        frame: (H, W, 3) uint8 RGB, as it was read.
        painted: (H', W', 3) uint8 RGB, what was drawn over it, at any scale.

    Returns:
        (H', 2 W', 3) uint8 RGB.
    """
    return np.concatenate([resized(frame, painted.shape[:2]), painted], axis=1)


def captioned(picture: np.ndarray, left: str, right: str = "") -> np.ndarray:
    """``picture`` (H, W, 3) with a strip of 20 pixels above it that holds text at either end."""
    strip = Image.new("RGB", (picture.shape[1], _CAPTION), "white")
    draw = ImageDraw.Draw(strip)
    draw.text((2, _CAPTION // 2), left, fill="black", font=_font(), anchor="lm")
    draw.text((strip.width - 2, _CAPTION // 2), right, fill="gray", font=_font(), anchor="rm")
    return np.concatenate([np.asarray(strip), picture])


def joined(pictures: Sequence[np.ndarray], *, axis: int) -> np.ndarray:
    """Pictures of one size side by side (axis 1) or one below the other (axis 0), white between."""
    gap_shape = list(pictures[0].shape)
    gap_shape[axis] = _GAP
    gap = np.full(gap_shape, 255, dtype=np.uint8)
    parts = [part for picture in pictures for part in (picture, gap)]
    return np.concatenate(parts[:-1], axis=axis)


@lru_cache(maxsize=1)
def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size=14)
