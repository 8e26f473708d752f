"""VisTR's augmentations for clips: one geometry for all frames and masks, colours a frame or a
clip.

Built on detectron2's ``Transform``; chance comes from an explicit ``numpy.random.Generator``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from detectron2.config import CfgNode
from detectron2.data.transforms import (
    HFlipTransform,
    NoOpTransform,
    ResizeShortestEdge,
    Transform,
    TransformList,
)
from PIL import Image

AUGMENTATIONS = ("flip", "photometric", "crop")
_CROP_TRIES = 10


class CropResizeTransform(Transform):
    """Cut a rectangle and resize it, in one resampling.

    Args:
        rectangle: (x0, y0, x1, y1) in source pixels, may be fractional.
        size: (h, w) of the result in pixels.
    """

    def __init__(self, rectangle: tuple[float, float, float, float], size: tuple[int, int]) -> None:
        super().__init__()
        self._set_attributes({"rectangle": rectangle, "size": size})

    def apply_image(self, img: np.ndarray) -> np.ndarray:
        """(H, W[, 3]) uint8 to (h, w[, 3]) uint8, bilinear with antialiasing."""
        return self._resample(img, Image.Resampling.BILINEAR)

    def apply_segmentation(self, segmentation: np.ndarray) -> np.ndarray:
        """(H, W) uint8 to (h, w) uint8, nearest neighbour."""
        return self._resample(segmentation, Image.Resampling.NEAREST)

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        """(N, 2) float x, y in source pixels to result pixels; points may leave the frame."""
        x0, y0, x1, y1 = self.rectangle
        h, w = self.size
        return (coords - [x0, y0]) * [w / (x1 - x0), h / (y1 - y0)]

    def _resample(self, array: np.ndarray, method: Image.Resampling) -> np.ndarray:
        h, w = self.size
        if (h, w) == array.shape[:2] and self.rectangle == (0, 0, w, h):
            return array
        image = Image.fromarray(np.ascontiguousarray(array))
        return np.asarray(image.resize((w, h), method, box=self.rectangle))


class PhotometricTransform(Transform):
    """Change the colours of a frame; boxes and masks stay.

    Args:
        brightness: added, in grey levels of [0, 255].
        contrast: factor of the grey levels.
        contrast_first: whether the contrast is changed before or after saturation and hue.
        saturation: factor of the saturation.
        hue: added, in degrees.
        channels: the order of the colour channels.
    """

    def __init__(
        self,
        *,
        brightness: float = 0.0,
        contrast: float = 1.0,
        contrast_first: bool = True,
        saturation: float = 1.0,
        hue: float = 0.0,
        channels: tuple[int, int, int] = (0, 1, 2),
    ) -> None:
        super().__init__()
        self._set_attributes(
            {
                "brightness": brightness,
                "contrast": contrast,
                "contrast_first": contrast_first,
                "saturation": saturation,
                "hue": hue,
                "channels": channels,
            }
        )

    def apply_image(self, img: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 RGB to the same shape and type."""
        image = img.astype(np.float32) + self.brightness
        if self.contrast_first:
            image *= self.contrast
        if self.saturation != 1.0 or self.hue != 0.0:
            hsv = cv2.cvtColor(np.clip(image, 0, 255) / 255, cv2.COLOR_RGB2HSV)  # degrees, [0, 1]
            hsv[..., 0] = (hsv[..., 0] + self.hue) % 360
            hsv[..., 1] = np.clip(hsv[..., 1] * self.saturation, 0, 1)
            image = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255
        if not self.contrast_first:
            image *= self.contrast
        return np.clip(image[..., list(self.channels)] + 0.5, 0, 255).astype(np.uint8)

    def apply_segmentation(self, segmentation: np.ndarray) -> np.ndarray:
        """The segmentation itself."""
        return segmentation

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        """The coordinates themselves."""
        return coords


class ClipAugmentation:
    """Draws the transforms of one clip.

    VisTR flips, resizes the short side to one of 480..768, distorts colours, resizes to one of
    400, 500 and 600, cuts a random window with sides of 384..600, and resizes the short side to
    300. Here the window is computed in source pixels, and one resampling goes from there to the
    final size. That differs in three ways: the first resize, which the second one makes void, is
    left out; frames are not blurred by repeated resampling; colours are changed after the
    resampling.

    Args:
        min_sizes: short sides to choose from, in pixels; (0,) keeps the size.
        max_size: largest long side in pixels; it wins over the short side.
        flip_prob: probability of a horizontal flip.
        photometric: whether colours are distorted.
        photometric_per: "frame" or "clip", how often colours are drawn.
        crop_resize: short sides in pixels, to one of which a frame is resized in thought before the
            window is cut; () for no crop.
        crop_range: (smallest, largest) side of the window in pixels of that resized frame. Both
            sides are drawn independently. Where the frame is smaller, the window is the frame's.

    Raises:
        ValueError: for values out of range.
    """

    def __init__(
        self,
        *,
        min_sizes: Sequence[int],
        max_size: int,
        flip_prob: float = 0.0,
        photometric: bool = False,
        photometric_per: str = "frame",
        crop_resize: Sequence[int] = (),
        crop_range: tuple[int, int] = (384, 600),
    ) -> None:
        if photometric_per not in ("frame", "clip"):
            raise ValueError(f"photometric_per is {photometric_per!r}; allowed: 'frame', 'clip'")
        if not min_sizes or min(min_sizes) < 0 or max_size < 1:
            raise ValueError(
                f"min_sizes {tuple(min_sizes)} and max_size {max_size} must be positive pixels"
            )
        if any(size < 1 for size in crop_resize):
            raise ValueError(f"crop_resize {tuple(crop_resize)} must be positive pixels")
        if len(crop_range) != 2 or not 1 <= crop_range[0] <= crop_range[1]:
            raise ValueError(f"crop_range {tuple(crop_range)}; (smallest, largest) is needed")
        self.min_sizes = tuple(min_sizes)
        self.max_size = max_size
        self.flip_prob = flip_prob
        self.photometric = photometric
        self.photometric_per = photometric_per
        self.crop_resize = tuple(crop_resize)
        self.crop_range = tuple(crop_range)

    @classmethod
    def from_config(cls, cfg: CfgNode, is_train: bool) -> ClipAugmentation:
        """As INPUT says; in testing only the resize to MIN_SIZE_TEST and MAX_SIZE_TEST."""
        node = cfg.INPUT
        if not is_train:
            return cls(min_sizes=(node.MIN_SIZE_TEST,), max_size=node.MAX_SIZE_TEST)
        unknown = [name for name in node.AUGMENTATIONS if name not in AUGMENTATIONS]
        if unknown:
            raise ValueError(
                f"INPUT.AUGMENTATIONS has {unknown[0]!r}; allowed: {', '.join(AUGMENTATIONS)}"
            )
        if node.MIN_SIZE_TRAIN_SAMPLING != "choice":
            raise ValueError(
                f"INPUT.MIN_SIZE_TRAIN_SAMPLING is {node.MIN_SIZE_TRAIN_SAMPLING!r}; "
                "allowed: 'choice'"
            )
        return cls(
            min_sizes=node.MIN_SIZE_TRAIN,
            max_size=node.MAX_SIZE_TRAIN,
            flip_prob=0.5 if "flip" in node.AUGMENTATIONS else 0.0,
            photometric="photometric" in node.AUGMENTATIONS,
            photometric_per=node.PHOTOMETRIC_PER,
            crop_resize=node.CROP_RESIZE if "crop" in node.AUGMENTATIONS else (),
            crop_range=node.CROP_RANGE,
        )

    def geometry(
        self, size: tuple[int, int], rng: np.random.Generator, boxes: np.ndarray | None = None
    ) -> TransformList:
        """Draw the geometry of all frames of a clip.

        Args:
            size: (height, width) of the source frames in pixels.
            rng: the source of chance.
            boxes: (M, 4) xyxy source pixels of the instances in all frames. A window that none of
                them reaches into is drawn again, up to 10 times in all; the last one stands.
        """
        height, width = size
        rectangle = (0.0, 0.0, float(width), float(height))
        if self.crop_resize:
            for _ in range(_CROP_TRIES):
                rectangle = self._window(height, width, rng)
                if boxes is None or len(boxes) == 0 or _overlaps(boxes, rectangle):
                    break
        x0, y0, x1, y1 = rectangle
        short_side = int(rng.choice(self.min_sizes))
        if short_side:
            # The size in the resized frame would do as well: only the ratio of the sides counts.
            h, w = ResizeShortestEdge.get_output_shape(y1 - y0, x1 - x0, short_side, self.max_size)
        else:
            h, w = round(y1 - y0), round(x1 - x0)
        h, w = max(1, h), max(1, w)
        flip = rng.random() < self.flip_prob
        return TransformList(
            [
                CropResizeTransform(rectangle, (h, w)),
                HFlipTransform(w) if flip else NoOpTransform(),
            ]
        )

    def colours(self, frames: int, rng: np.random.Generator) -> list[Transform]:
        """Draw the colour transforms of a clip, one for each of its ``frames`` frames."""
        if not self.photometric:
            return [NoOpTransform()] * frames
        if self.photometric_per == "clip":
            return [_draw_photometric(rng)] * frames
        return [_draw_photometric(rng) for _ in range(frames)]

    def _window(
        self, height: int, width: int, rng: np.random.Generator
    ) -> tuple[float, float, float, float]:
        """A random window, xyxy in source pixels."""
        scale = int(rng.choice(self.crop_resize)) / min(height, width)
        sides = []
        for side in (height, width):
            resized = round(side * scale)
            low, high = (min(limit, resized) for limit in self.crop_range)
            length = min(float(side), int(rng.integers(low, high + 1)) / scale)
            start = rng.uniform(0, side - length)
            sides.append((start, min(start + length, float(side))))
        (y0, y1), (x0, x1) = sides
        return x0, y0, x1, y1


def _overlaps(boxes: np.ndarray, rectangle: tuple[float, float, float, float]) -> bool:
    """Whether any of the (M, 4) xyxy boxes shares area with the rectangle."""
    x0, y0, x1, y1 = rectangle
    inside = (boxes[:, 0] < x1) & (boxes[:, 2] > x0) & (boxes[:, 1] < y1) & (boxes[:, 3] > y0)
    return bool(inside.any())


def _draw_photometric(rng: np.random.Generator) -> PhotometricTransform:
    """SSD's distortion (Liu et al. 2016), which VisTR uses: each part half the time."""
    drawn: dict[str, Any] = {"contrast_first": bool(rng.random() < 0.5)}
    for name, low, high in (
        ("brightness", -32.0, 32.0),
        ("contrast", 0.5, 1.5),
        ("saturation", 0.5, 1.5),
        ("hue", -18.0, 18.0),
    ):
        if rng.random() < 0.5:
            drawn[name] = float(rng.uniform(low, high))
    if rng.random() < 0.5:
        drawn["channels"] = tuple(int(c) for c in rng.permutation(3))
    return PhotometricTransform(**drawn)
