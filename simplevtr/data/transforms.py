"""What moves and colours a clip's frames: cut, resize and flip in one geometry; change colours.

They do what detectron2's transforms would do one after the other, by faster ways.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

# What a JPEG can be decoded at: 1 / factor of its size. Descending.
_REDUCTIONS = (8, 4, 2)
# OpenCV's codes by (mirrored, upside_down).
_FLIPS = {(True, False): 1, (False, True): 0, (True, True): -1}

Rectangle = tuple[float, float, float, float]


def largest_reduction(rectangle: Rectangle, size: tuple[int, int]) -> int:
    """The factor, 8, 4, 2 or 1, by which a frame can be reduced before it is resized.

    Args:
        rectangle: (x0, y0, x1, y1) in source pixels that is resized to ``size``.
        size: (h, w) in pixels; the reduced rectangle is not smaller.
    """
    x0, y0, x1, y1 = rectangle
    ratio = min((y1 - y0) / size[0], (x1 - x0) / size[1])
    return next((factor for factor in _REDUCTIONS if factor <= ratio), 1)


@dataclass(frozen=True)
class ClipGeometry:
    """Cut a rectangle of each frame, resize it in one resampling, and flip it."""

    rectangle: Rectangle  # (x0, y0, x1, y1) in source pixels, may be fractional
    size: tuple[int, int]  # (h, w) of the result in pixels
    mirrored: bool = False  # left and right change places
    upside_down: bool = False

    @property
    def reduction(self) -> int:
        """The factor by which frames can be reduced beforehand."""
        return largest_reduction(self.rectangle, self.size)

    def apply_image(self, img: np.ndarray, reduction: int = 1) -> np.ndarray:
        """(H, W, 3) uint8 to (h, w, 3) uint8, bilinear with antialiasing.

        The image may come at 1 / ``reduction`` of its size. Pixel i of it covers the source pixels
        from i * reduction on, also where the last one reaches beyond the frame.
        """
        x0, y0, x1, y1 = (edge / reduction for edge in self.rectangle)
        box = x0, y0, x1, y1
        if all(float(edge).is_integer() for edge in box):
            # The same filter without fractions of pixels at the edges, several times as fast.
            cut = img[int(y0) : int(y1), int(x0) : int(x1)]
            resized = cut if cut.shape[:2] == tuple(self.size) else _resize(cut, self.size)
        else:
            image = Image.fromarray(np.ascontiguousarray(img))
            resized = np.array(image.resize(self.size[::-1], Image.Resampling.BILINEAR, box=box))
        flip = _FLIPS.get((self.mirrored, self.upside_down))
        return resized if flip is None else cv2.flip(resized, flip)

    def picked(self, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """The (h,) rows and (w,) columns of a mask of (H, W) = ``size`` nearest to the result's."""
        x0, y0, x1, y1 = self.rectangle
        rows = _nearest(size[0], y0, y1, self.size[0])
        columns = _nearest(size[1], x0, x1, self.size[1])
        return rows[:: -1 if self.upside_down else 1], columns[:: -1 if self.mirrored else 1]


@dataclass(frozen=True, kw_only=True)
class PhotometricTransform:
    """Change the colours of a frame; by default nothing changes."""

    brightness: float = 0.0  # added, in grey levels of [0, 255]
    contrast: float = 1.0  # factor of the grey levels
    contrast_first: bool = True  # whether it is changed before or after saturation and hue
    saturation: float = 1.0  # factor of the saturation
    hue: float = 0.0  # added, in degrees
    channels: tuple[int, int, int] = (0, 1, 2)  # the order of the colour channels

    def apply_image(self, img: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 RGB to the same shape and type; ``img`` itself if nothing changes."""
        # Brightness and contrast depend on one value alone: a table of 256 does for a frame.
        levels = np.arange(256, dtype=np.float32) + np.float32(self.brightness)
        if self.saturation == 1.0 and self.hue == 0.0:
            if self.brightness != 0.0 or self.contrast != 1.0:
                levels = np.clip(levels * np.float32(self.contrast) + 0.5, 0, 255)
                img = cv2.LUT(img, levels.astype(np.uint8))
        else:
            img = self._shift_hsv(img, levels)
        if tuple(self.channels) == (0, 1, 2):
            return img
        out = np.empty_like(img, order="C")
        order = [n for pair in zip(self.channels, range(3), strict=True) for n in pair]
        cv2.mixChannels([img], [out], order)
        return out

    def _shift_hsv(self, img: np.ndarray, levels: np.ndarray) -> np.ndarray:
        before, after = (self.contrast, 1.0) if self.contrast_first else (1.0, self.contrast)
        levels = np.clip(levels * np.float32(before), 0, 255) / 255
        hsv: np.ndarray = cv2.cvtColor(cv2.LUT(img, levels), cv2.COLOR_RGB2HSV)  # degrees, [0, 1]
        if self.hue != 0.0:
            # OpenCV takes degrees beyond a full turn, but not all of those below 0.
            hsv[..., 0] += np.float32(self.hue % 360)
        if self.saturation != 1.0:
            saturation = hsv[..., 1]
            saturation *= np.float32(self.saturation)
            if self.saturation > 1.0:
                np.minimum(saturation, 1, out=saturation)
        return cv2.convertScaleAbs(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), alpha=255 * after)


def _resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) uint8 to (h, w, 3), bilinear with antialiasing over whole pixels."""
    # As (1, 3, H, W) with the channels innermost in memory, which the kernel reads fastest.
    tensor = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
    return cv2.merge([*F.interpolate(tensor, size, mode="bilinear", antialias=True)[0].numpy()])


def _nearest(length: int, start: float, end: float, count: int) -> np.ndarray:
    """(count,) indices of the source pixels, of ``length``, nearest to those of a resized side."""
    steps = np.full(count, (end - start) / count)
    steps[0] = start + steps[0] / 2
    # Summed up as Pillow does, so that they are those of a mask that Pillow resizes.
    return np.minimum(np.floor(np.cumsum(steps)), length - 1).astype(np.int64)
