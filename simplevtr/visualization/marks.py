"""What marks a track on a picture: its colour, its mask and its label."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from simplevtr.terminal import one_line

import cv2
import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]  # RGB, 0 to 255

_DARK = 0.8  # opacity of the ground of labels
_SHADE = 0.6  # and of the rim around masks
_LUMA = (0.299, 0.587, 0.114)  # of red, green and blue
_LEAST_LUMA = 160  # of letters
_MOST_COVERED = 1 / 8  # of a mask's pixels, by a label in its middle
_MARGIN = 2  # pixels around the letters
# Vivid colours, each as far as possible in CIELAB from all before it; none dark, grey or white, as
# these are lost in shadows, unreadable as text, or taken for part of the scene.
_PALETTE = """
    00ff00 b900ff ff4600 00d1ff ffe88b ff8bd1 17ffb9 0074ff d1745d b9e817 ff005d ffa200
    ff17d1 8b8bd1 46d146 d174ff 8bd1a2 00ffff d1b900 e8178b a2d15d e8742e 00a2ff ff748b
    ffb98b d1a246 e8b9ff d146b9 745dff b974d1 8bff46 ff00ff e84646 00ff8b ffa2b9 ff002e
    5dd174 d1e8a2 8b8bff b92ed1 ffe800 00ff5d 2ed1b9 e8e85d d15d8b 4674d1 8bb9ff a2ff74
    d18bb9 ffa25d 8b5dd1 ff8bff ff5dff a246ff 74ffd1 00d100 ff7400 2ea2d1 d1b974 8bd12e
    ffd15d d14600 b9a2ff ff5db9
""".split()


def track_rgb(track_id: int) -> Colour:
    """The colour of a track id, far from those of the ids next to it; 64 colours repeat."""
    red, green, blue = bytes.fromhex(_PALETTE[track_id % len(_PALETTE)])
    return red, green, blue


@dataclass(frozen=True)
class MaskCutout:
    """The part of a mask inside its bounding box, which draws on an (H, W, 3) uint8 RGB canvas."""

    inside: np.ndarray  # (h, w) uint8, 1 on the mask; not empty
    top: int  # row of the box's first pixel in the picture
    left: int  # its column

    @classmethod
    def of(cls, mask: np.ndarray, size: tuple[int, int]) -> Self | None:
        """The cutout of an (H, W) uint8 mask brought to ``size``; None if nothing is left of it."""
        mask = np.ascontiguousarray(mask)
        if mask.shape != tuple(size):
            mask = cv2.resize(mask, (size[1], size[0]), interpolation=cv2.INTER_NEAREST)
        left, top, width, height = cv2.boundingRect(mask)
        return cls(mask[top : top + height, left : left + width], top, left) if width else None

    def centroid(self) -> tuple[float, float]:
        """The mean (x, y) of its pixels in the picture."""
        moments = cv2.moments(self.inside, binaryImage=True)
        x, y = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
        return self.left + x, self.top + y

    def fill(self, canvas: np.ndarray, colour: Colour, alpha: float) -> None:
        """Lay a colour over the mask's pixels."""
        height, width = self.inside.shape
        region = canvas[self.top : self.top + height, self.left : self.left + width]
        paint = np.full_like(region, colour)
        mixed = cv2.addWeighted(region, 1 - alpha, paint, alpha, 0)
        np.copyto(region, mixed, where=self.inside[..., None].view(bool))

    def shade(self, canvas: np.ndarray) -> None:
        """Darken a rim around the mask, so that it ends visibly on ground of any colour."""
        width = 1 + line_width(canvas)
        mask_h, mask_w = self.inside.shape
        top, left = max(0, self.top - width), max(0, self.left - width)
        region = canvas[top : self.top + mask_h + width, left : self.left + mask_w + width]
        y, x = self.top - top, self.left - left
        inside = np.zeros(region.shape[:2], dtype=np.uint8)
        inside[y : y + mask_h, x : x + mask_w] = self.inside
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
        rim = cv2.dilate(inside, disc) > inside
        region[rim] = region[rim] * (1 - _SHADE)

    def outline(self, canvas: np.ndarray, colour: Colour) -> None:
        """Draw the mask's outer and inner borders."""
        both = cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE
        borders, _ = cv2.findContours(self.inside, *both, offset=(self.left, self.top))
        cv2.polylines(canvas, borders, True, colour, line_width(canvas), lineType=cv2.LINE_AA)

    def box(self, canvas: np.ndarray, colour: Colour) -> None:
        """Draw the bounding box."""
        height, width = self.inside.shape
        corner = (self.left + width - 1, self.top + height - 1)
        cv2.rectangle(canvas, (self.left, self.top), corner, colour, line_width(canvas))


def line_width(canvas: np.ndarray) -> int:
    """Pixels of a line that can be seen on an (H, W, 3) picture without covering it."""
    return max(1, round(min(canvas.shape[:2]) / 500))


class LabelWriter:
    """Writes the labels of one picture so that they do not lie on each other."""

    def __init__(self, canvas: np.ndarray):
        self._canvas = canvas  # (H, W, 3) uint8 RGB, which is written on
        self._taken: list[tuple[int, int, int, int]] = []
        self._size = round((7 + min(canvas.shape[:2]) / 150) * 100 / 72)  # points to pixels

    def write(self, text: str, mask: MaskCutout, colour: Colour) -> None:
        """Write in the middle of a mask that it hardly covers, else above or below."""
        letters = _letters(one_line(text), self._size)
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
        # The median, which thin parts far off do not move.
        x, y = (_median(mask.inside.sum(axis, dtype=np.int64)) for axis in (0, 1))
        x = round(min(max(mask.left + x - text_w / 2, 0), max(0, width - text_w)))
        gap = 1 + line_width(self._canvas)
        places: list[float] = [mask.top - gap - text_h, mask.top + len(mask.inside) + gap]
        if text_h * text_w <= _MOST_COVERED * cv2.countNonZero(mask.inside):
            places = [mask.top + y - text_h / 2]
        last = max(0, height - text_h)
        rows = [round(y) for y in places if 0 <= y <= last]
        rows = rows or [round(min(max(places[-1], 0), last))]
        moved = [self._below_others(x, y, text_w, text_h) for y in rows]
        free = [y for y in (*(y for y in rows if y in moved), *moved) if y <= last]
        return x, (free or rows)[0]

    def _below_others(self, x: int, y: int, text_w: int, text_h: int) -> int:
        """The first row from ``y`` on at which a label lies on none that is there."""
        for left, top, right, bottom in sorted(self._taken, key=lambda box: box[1]):
            if x < right and x + text_w > left and y < bottom and y + text_h > top:
                y = bottom
        return y


def _median(counts: np.ndarray) -> float:
    """The median of numbers of which ``counts[i]`` are i."""
    sums = np.cumsum(counts)
    low, high = np.searchsorted(sums, [(sums[-1] + 1) // 2, sums[-1] // 2 + 1])
    return float(low + high) / 2


def _readable(colour: Colour) -> np.ndarray:
    """The colour, mixed with as much white as it takes to be read on a dark ground."""
    luma = np.dot(_LUMA, colour)
    white = max(0.0, (_LEAST_LUMA - luma) / (255 - luma))
    return np.array(colour, dtype=np.float32) * (1 - white) + 255 * white


@lru_cache(maxsize=512)
def _letters(text: str, size: int) -> np.ndarray:
    """(h, w) float32 in [0, 1]: how much of each pixel the text covers."""
    letters = font(size)
    width = round(letters.getlength(text)) + 2 * _MARGIN
    picture = Image.new("L", (width, sum(letters.getmetrics()) + _MARGIN))
    ImageDraw.Draw(picture).text((_MARGIN, _MARGIN // 2), text, fill=255, font=letters)
    return np.asarray(picture, dtype=np.float32) / 255


@lru_cache(maxsize=16)
def font(size: int) -> ImageFont.FreeTypeFont:
    """A font of ``size`` pixels that comes with matplotlib and has most alphabets' letters."""
    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size)
