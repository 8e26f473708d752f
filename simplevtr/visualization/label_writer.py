"""Labels of masks: where they go, and their letters on a dark ground."""

from __future__ import annotations

from functools import lru_cache

from simplevtr.visualization.mask_cutout import Colour, MaskCutout

import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

_DARK = 0.8  # opacity of the ground
_MARGIN = 2  # pixels around the letters


class LabelWriter:
    """Writes the labels of one picture so that they do not lie on each other."""

    def __init__(self, canvas: np.ndarray):
        """Take an (H, W, 3) uint8 RGB canvas, which is written on."""
        self._canvas = canvas
        self._taken: list[tuple[int, int, int, int]] = []
        self._size = round((7 + min(canvas.shape[:2]) / 150) * 100 / 72)  # points to pixels

    def write(self, text: str, mask: MaskCutout, colour: Colour) -> None:
        """Write in the middle of a large mask, else above or below it, inside the picture."""
        letters = _letters(" ".join(text.split()), self._size)
        height, width = letters.shape
        x, y = self._place(mask, width, height)
        self._taken.append((x, y, x + width, y + height))
        region = self._canvas[y : y + height, x : x + width]
        letters = letters[: region.shape[0], : region.shape[1], None]
        ground = region * (1 - _DARK)
        region[:] = np.round(ground * (1 - letters) + _readable(colour) * letters)

    def _place(self, mask: MaskCutout, text_w: int, text_h: int) -> tuple[int, int]:
        """Upper left corner of a label, where there is room off the labels that are there."""
        height, width = self._canvas.shape[:2]
        mask_h, mask_w = mask.inside.shape
        x, y = mask.median[0] - text_w / 2, mask.median[1] - text_h / 2
        if mask_h <= 3 * text_h or mask_w <= text_w:
            y = mask.top - text_h if mask.top >= text_h else mask.top + mask_h
        x = round(min(max(x, 0), max(0, width - text_w)))
        wanted = y = round(min(max(y, 0), max(0, height - text_h)))
        for left, top, right, bottom in sorted(self._taken, key=lambda box: box[1]):
            if x < right and x + text_w > left and y < bottom and y + text_h > top:
                y = bottom
        return x, (y if y + text_h <= height else wanted)


def _readable(colour: Colour) -> np.ndarray:
    """The colour, brightened so that it can be read on a dark ground."""
    brighter = np.maximum(colour, 0.2 * 255, dtype=np.float32)
    strongest = brighter.argmax()
    brighter[strongest] = max(brighter[strongest], 0.8 * 255)
    return brighter


@lru_cache(maxsize=512)
def _letters(text: str, size: int) -> np.ndarray:
    """(h, w) float32 in [0, 1]: how much of each pixel the text covers."""
    font = _font(size)
    size = round(font.getlength(text)) + 2 * _MARGIN, sum(font.getmetrics()) + _MARGIN
    picture = Image.new("L", size)
    ImageDraw.Draw(picture).text((_MARGIN, _MARGIN // 2), text, fill=255, font=font)
    return np.asarray(picture, dtype=np.float32) / 255


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont:
    # It comes with matplotlib and has the letters of most alphabets.
    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size)
