"""VisTR's augmentations for clips: one geometry for all frames, colours by frame or by clip.

Chance comes from an explicit ``numpy.random.Generator``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from simplevtr.data.transforms import (
    ClipGeometry,
    PhotometricTransform,
    Rectangle,
    largest_reduction,
)

import numpy as np
from detectron2.config import CfgNode
from detectron2.data.transforms import ResizeShortestEdge

_CROP_TRIES = 10


@dataclass(eq=False, kw_only=True)
class ClipAugmentation:
    """Draws the transforms of one clip.

    VisTR flips, resizes the short side to one of 480..768, distorts colours, resizes to one of
    400, 500 and 600, cuts a random window with sides of 384..600, and resizes the short side to
    300. Here the window is computed in whole source pixels, and one resampling goes from there to
    the final size. That differs in three ways: the first resize, which the second one makes void,
    is left out; frames are not blurred by repeated resampling; colours are changed after the
    resampling.
    """

    min_sizes: Sequence[int]  # short sides to choose from, in pixels; (0,) keeps the size
    max_size: int  # largest long side in pixels; it wins over the short side
    flip_prob: float = 0.0  # probability of a horizontal flip
    vertical_flip_prob: float = 0.0  # probability of a vertical flip
    photometric: bool = False  # whether colours are distorted
    photometric_per: str = "frame"  # "frame" or "clip", how often colours are drawn
    # Short sides in pixels of the resized frame that a window is cut from; () for no crop.
    crop_resize: Sequence[int] = ()
    # (smallest, largest) side of the window in pixels of that frame. Both sides are drawn
    # independently. Where the frame is smaller, the window is the frame's.
    crop_range: tuple[int, int] = (384, 600)

    @classmethod
    def from_config(cls, cfg: CfgNode, is_train: bool) -> Self:
        """As INPUT says; in testing only the resize to MIN_SIZE_TEST and MAX_SIZE_TEST."""
        node = cfg.INPUT
        if not is_train:
            return cls(min_sizes=(node.MIN_SIZE_TEST,), max_size=node.MAX_SIZE_TEST)
        return cls(
            min_sizes=tuple(node.MIN_SIZE_TRAIN),
            max_size=node.MAX_SIZE_TRAIN,
            flip_prob=0.5 if "flip" in node.AUGMENTATIONS else 0.0,
            vertical_flip_prob=0.5 if "vertical_flip" in node.AUGMENTATIONS else 0.0,
            photometric="photometric" in node.AUGMENTATIONS,
            photometric_per=node.PHOTOMETRIC_PER,
            crop_resize=tuple(node.CROP_RESIZE) if "crop" in node.AUGMENTATIONS else (),
            crop_range=tuple(node.CROP_RANGE),
        )

    def geometry(
        self, size: tuple[int, int], rng: np.random.Generator, boxes: np.ndarray | None = None
    ) -> ClipGeometry:
        """Draw the geometry of all frames of a clip, of (height, width) source pixels.

        A window into which none of the (M, 4) ``boxes`` of the instances in all frames, xyxy source
        pixels, reaches is drawn again, up to 10 times in all; the last one stands.
        """
        height, width = size
        rectangle = (0.0, 0.0, float(width), float(height))
        for _ in range(_CROP_TRIES if self.crop_resize else 0):
            x0, y0, x1, y1 = rectangle = self._window(height, width, rng)
            if boxes is None or len(boxes) == 0:
                break
            left, top, right, bottom = boxes.T
            if ((left < x1) & (right > x0) & (top < y1) & (bottom > y0)).any():
                break
        short_side = int(rng.choice(self.min_sizes))
        for _ in range(2):  # the enlarged window may allow the next reduction
            grid = largest_reduction(rectangle, self._output_size(rectangle, short_side))
            rectangle = _on_grid(rectangle, size, grid)
        output = self._output_size(rectangle, short_side)
        flip = rng.random() < self.flip_prob
        upside_down = self.vertical_flip_prob > 0 and rng.random() < self.vertical_flip_prob
        return ClipGeometry(rectangle, output, mirrored=flip, upside_down=upside_down)

    def colours(self, frames: int, rng: np.random.Generator) -> list[PhotometricTransform]:
        """Draw the colour changes of a clip, one for each of its ``frames`` frames."""
        if not self.photometric:
            return [PhotometricTransform()] * frames
        if self.photometric_per == "clip":
            return [_draw_photometric(rng)] * frames
        return [_draw_photometric(rng) for _ in range(frames)]

    def _output_size(self, rectangle: Rectangle, short_side: int) -> tuple[int, int]:
        """(h, w) that a window of source pixels is resized to."""
        height, width = rectangle[3] - rectangle[1], rectangle[2] - rectangle[0]
        if short_side:
            # The size in the resized frame would do as well: only the ratio of the sides counts.
            h, w = ResizeShortestEdge.get_output_shape(height, width, short_side, self.max_size)
        else:
            h, w = round(height), round(width)
        return max(1, h), max(1, w)

    def _window(self, height: int, width: int, rng: np.random.Generator) -> Rectangle:
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


def _on_grid(rectangle: Rectangle, size: tuple[int, int], grid: int) -> Rectangle:
    """The window moved left and up, and enlarged, by less than ``grid`` source pixels each.

    It then starts and, but for the frame's own edge, ends between two pixels of a frame that is
    decoded at 1 / ``grid`` of its size, so that no window falls between pixels.
    """
    x0, y0, x1, y1 = rectangle
    sides = []
    for start, end, side in ((x0, x1, size[1]), (y0, y1, size[0])):
        length = math.ceil((end - start) / grid - 1e-6) * grid  # 64.0000001 pixels are 64
        start = math.floor(start / grid) * grid
        sides.append((float(start), float(min(start + length, side))))
    (x0, x1), (y0, y1) = sides
    return x0, y0, x1, y1


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
