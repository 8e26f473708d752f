"""The transforms of a clip's frames: cut and resize, flip, change colours.

Built on detectron2's ``Transform``. They give what the plain numpy form would give, by faster ways.
"""

import functools
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from detectron2.data.transforms import HFlipTransform, Transform, TransformList, VFlipTransform
from PIL import Image

# What a JPEG can be decoded at: 1 / factor of its size. Descending.
REDUCTIONS = (8, 4, 2)

Rectangle = tuple[float, float, float, float]


def largest_reduction(rectangle: Rectangle, size: tuple[int, int]) -> int:
    """The factor, of ``REDUCTIONS`` or 1, by which a frame can be reduced before it is resized.

    Args:
        rectangle: (x0, y0, x1, y1) in source pixels that is resized to ``size``.
        size: (h, w) in pixels; the reduced rectangle is not smaller.
    """
    x0, y0, x1, y1 = rectangle
    ratio = min((y1 - y0) / size[0], (x1 - x0) / size[1])
    return next((factor for factor in REDUCTIONS if factor <= ratio), 1)


def reduction_of(geometry: TransformList) -> int:
    """The factor by which frames can be reduced before ``geometry``, as its first transform says.

    It is 1 unless that is a :class:`CropResizeTransform`.
    """
    first = geometry[0] if len(geometry) else None
    if not isinstance(first, CropResizeTransform):
        return 1
    return largest_reduction(first.rectangle, first.size)


def for_reduced(geometry: TransformList, factor: int) -> TransformList:
    """The same geometry for images that come at 1 / ``factor`` of the source size.

    Pixel i of such an image covers the source pixels from i * factor on, also where the last one
    reaches beyond the frame.
    """
    if factor == 1:
        return geometry
    first, *others = geometry.transforms
    rectangle = tuple(value / factor for value in first.rectangle)
    return TransformList([CropResizeTransform(rectangle, first.size), *others])


@dataclass(eq=False, repr=False)
class CropResizeTransform(Transform):
    """Cut a rectangle and resize it, in one resampling."""

    rectangle: Rectangle  # (x0, y0, x1, y1) in source pixels, may be fractional
    size: tuple[int, int]  # (h, w) of the result in pixels

    def apply_image(self, img: np.ndarray) -> np.ndarray:
        """(H, W[, 3]) uint8 to (h, w[, 3]) uint8, bilinear with antialiasing."""
        if not all(float(edge).is_integer() for edge in self.rectangle):
            image = Image.fromarray(np.ascontiguousarray(img))
            bilinear = Image.Resampling.BILINEAR
            return np.array(image.resize(self.size[::-1], bilinear, box=self.rectangle))
        # The same filter without fractions of pixels at the edges, several times as fast.
        x0, y0, x1, y1 = map(int, self.rectangle)
        cut = img[y0:y1, x0:x1]
        return cut if cut.shape[:2] == tuple(self.size) else _resize(cut, self.size)

    def apply_segmentation(self, segmentation: np.ndarray) -> np.ndarray:
        """(H, W) to (h, w) of the same type, nearest neighbour."""
        height, width = segmentation.shape
        x0, y0, x1, y1 = self.rectangle
        rows = _nearest(height, y0, y1, self.size[0])
        columns = _nearest(width, x0, x1, self.size[1])
        return segmentation[np.ix_(rows, columns)]

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        """(N, 2) float x, y in source pixels to result pixels; points may leave the frame."""
        x0, y0, x1, y1 = self.rectangle
        h, w = self.size
        return (coords - [x0, y0]) * [w / (x1 - x0), h / (y1 - y0)]


class ColumnFlipTransform(HFlipTransform):
    """detectron2's horizontal flip, which gives images with their pixels in order in memory."""

    def apply_image(self, img: np.ndarray) -> np.ndarray:
        """(H, W, 3) or (H, W) uint8 to the same shape and type."""
        return cv2.flip(img, 1)

    def apply_segmentation(self, segmentation: np.ndarray) -> np.ndarray:
        """(H, W) of any type to the same, as a view."""
        return segmentation[:, ::-1]


class RowFlipTransform(VFlipTransform):
    """detectron2's vertical flip, which gives images with their pixels in order in memory."""

    def apply_image(self, img: np.ndarray) -> np.ndarray:
        """(H, W, 3) or (H, W) uint8 to the same shape and type."""
        return cv2.flip(img, 0)

    def apply_segmentation(self, segmentation: np.ndarray) -> np.ndarray:
        """(H, W) of any type to the same, as a view."""
        return segmentation[::-1]


@dataclass(eq=False, repr=False, kw_only=True)
class PhotometricTransform(Transform):
    """Change the colours of a frame; boxes and masks stay."""

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
        hsv = cv2.cvtColor(cv2.LUT(img, levels), cv2.COLOR_RGB2HSV)  # degrees, [0, 1]
        if self.hue != 0.0:
            # OpenCV takes degrees beyond a full turn, but not all of those below 0.
            hsv[..., 0] += np.float32(self.hue % 360)
        if self.saturation != 1.0:
            saturation = hsv[..., 1]
            saturation *= np.float32(self.saturation)
            if self.saturation > 1.0:
                np.minimum(saturation, 1, out=saturation)
        return cv2.convertScaleAbs(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), alpha=255 * after)

    def apply_segmentation(self, segmentation: np.ndarray) -> np.ndarray:
        """The segmentation itself."""
        return segmentation

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        """The coordinates themselves."""
        return coords


def _resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W[, 3]) uint8 to (h, w[, 3]), bilinear with antialiasing over whole pixels."""
    channels = image[..., None] if image.ndim == 2 else image
    # As (1, 3, H, W) with the channels innermost in memory, which the kernel reads fastest.
    tensor = torch.from_numpy(np.ascontiguousarray(channels)).permute(2, 0, 1)[None]
    planes = F.interpolate(tensor, size, mode="bilinear", antialias=True)[0].numpy()
    return planes[0] if image.ndim == 2 else cv2.merge(list(planes))


@functools.lru_cache(maxsize=64)
def _nearest(length: int, start: float, end: float, count: int) -> np.ndarray:
    """The ``count`` of ``length`` source positions that lie nearest to a resized side's pixels."""
    # Pillow resizes the positions themselves, so that they are those of a resized mask.
    positions = Image.fromarray(np.arange(length, dtype=np.int32)[None])
    picked = positions.resize((count, 1), Image.Resampling.NEAREST, box=(start, 0, end, 1))
    result = np.asarray(picked)[0].copy()
    result.flags.writeable = False
    return result
