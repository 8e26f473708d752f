"""Pseudo-videos: one still image, and its masks, under a smooth random affine motion."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from simplevtr.config import keyword_arguments
from simplevtr.data.annotations import ClipTracks
from simplevtr.formats.rle import encode_mask

import cv2
import numpy as np
from detectron2.config import CfgNode
from pycocotools import mask as coco_mask

_KNOTS = 3  # random positions that a clip moves through: start, middle and end


@dataclass(frozen=True, kw_only=True)
class AffineMotion:
    """Draws the motion of one clip, as of a camera before a flat picture.

    Each of position, size, angle and shear moves through three values, drawn uniformly from its
    range, without jumps in speed.
    """

    translate: float = 0.1  # farthest shift, as a share of the frame's width and height
    scale: float = 1.25  # greatest factor of the size, at least 1; the smallest is its inverse
    rotate: float = 10.0  # greatest angle in degrees, either way
    shear: float = 5.0  # greatest angle in degrees by which upright lines lean, either way

    @classmethod
    def from_config(cls, cfg: CfgNode) -> Self:
        """As INPUT.PSEUDO_MOTION says."""
        return cls(**keyword_arguments(cfg.INPUT.PSEUDO_MOTION))

    def draw(self, frames: int, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """Draw where a picture of (H, W) pixels is in each of T frames.

        Returns (T, 2, 3) float64 matrices from x, y, 1 in the picture to x, y in the frame, in
        pixels with the corner of the picture at 0, 0.
        """
        height, width = size
        path = 2 * _smooth(rng.random((_KNOTS, 5)), frames) - 1  # (T, 5) in [-1, 1]
        shift_x, shift_y, growth, turn, lean = path.T
        angle = np.radians(self.rotate) * turn
        factor = np.exp(math.log(self.scale) * growth)
        slope = np.tan(np.radians(self.shear) * lean)
        cos, sin = factor * np.cos(angle), factor * np.sin(angle)
        # Lean, then grow and turn, all about the centre; then shift.
        rows = np.stack([cos, cos * slope - sin, sin, sin * slope + cos], axis=1)
        linear = rows.reshape(-1, 2, 2)
        centre = np.array([width, height]) / 2
        shift = self.translate * np.stack([shift_x * width, shift_y * height], axis=1)
        offset = centre + shift - linear @ centre
        return np.concatenate([linear, offset[:, :, None]], axis=2)


def warp_image(image: np.ndarray, matrix: np.ndarray, reduction: int = 1) -> np.ndarray:
    """Move a picture, (h, w, 3) uint8, in a frame of its size, by a (2, 3) matrix of a motion.

    It comes at 1 / ``reduction`` of the size that the matrix is for. What it does not cover gets
    its mean colour: mirrored objects would have no masks.
    """
    return _warp(image, matrix, reduction, cv2.mean(image)[:3])


def warp_tracks(tracks: ClipTracks, motion: np.ndarray) -> ClipTracks:
    """Move the masks of a clip of one frame as its pixels move: (T, 2, 3), see ``AffineMotion``.

    The instances of the clip of T frames are absent where they are out of sight.
    """
    moved = {}
    for (_, row), text in tracks.texts.items():
        mask = coco_mask.decode({"size": tracks.size, "counts": text}) * np.uint8(255)
        for t, matrix in enumerate(motion):
            # Half of a pixel's light decides: edges stay where the picture's are.
            if (inside := _warp(mask, matrix, 1, 0) > 127).any():
                moved[t, row] = encode_mask(inside)["counts"]
    return replace(tracks, frames=len(motion), texts=moved)


def _smooth(knots: np.ndarray, frames: int) -> np.ndarray:
    """(K, P) values to (frames, P): through all of them, at rest at each, never beyond them."""
    position = np.linspace(0, len(knots) - 1, frames)
    before = np.minimum(position.astype(np.int64), len(knots) - 2)
    share = (1 - np.cos(np.pi * (position - before))) / 2
    return knots[before] + share[:, None] * (knots[before + 1] - knots[before])


def _warp(
    picture: np.ndarray, matrix: np.ndarray, reduction: int, fill: float | Sequence[float]
) -> np.ndarray:
    """Move a reduced picture; what it does not cover is ``fill``."""
    linear, offset = matrix[:, :2], matrix[:, 2] / reduction
    # In OpenCV's terms 0, 0 is the centre of the first pixel.
    in_pixels = np.column_stack([linear, offset + linear @ [0.5, 0.5] - 0.5])
    size = picture.shape[1::-1]
    return cv2.warpAffine(np.ascontiguousarray(picture), in_pixels, size, borderValue=fill)
