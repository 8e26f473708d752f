"""Tracks on frames: masks, outlines and labels, with one colour a track over the whole video."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from detectron2.utils.visualizer import Visualizer

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
_READABLE = 240  # pixels of the short side from which label text can be read


def track_colour(track_id: int) -> tuple[float, float, float]:
    """The RGB colour in [0, 1] of a track id: always the same, and far from the ids next to it.

    64 colours repeat from then on.
    """
    code = _PALETTE[track_id % len(_PALETTE)]
    return tuple(int(code[i : i + 2], 16) / 255 for i in (0, 2, 4))


class TrackPainter:
    """Draws the tracks of a video, frame by frame.

    detectron2's ``Visualizer`` draws outlines and text; its figure is kept from frame to frame
    and holds no picture, which is what makes it slow. Masks are filled pixel by pixel, so that a
    mask is shown as it is, however small.
    """

    def __init__(
        self,
        thing_classes: Sequence[str],
        *,
        scale: float | None = None,
        min_score: float = 0.0,
        alpha: float = 0.45,
    ):
        """Set up a painter.

        Args:
            thing_classes: class names by label; a label beyond them is shown as "class 3".
            scale: size of the result relative to the frame. None: 1, or for small frames the
                smallest whole number that makes the short side at least 240 pixels.
            min_score: tracks with a lower score are not drawn; in [0, 1].
            alpha: opacity of the masks in [0, 1].

        Raises:
            ValueError: ``scale`` is not positive.
        """
        if scale is not None and scale <= 0:
            raise ValueError(f"scale is {scale}; it must be above 0")
        self.thing_classes = list(thing_classes)
        self.scale = scale
        self.min_score = min_score
        self.alpha = alpha
        self._visualizer: Visualizer | None = None

    def output_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(H, W) in pixels of what is drawn over a frame of ``size`` (H, W)."""
        scale = self.scale if self.scale is not None else max(1, math.ceil(_READABLE / min(size)))
        return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))

    def label(self, label: int, track_id: int, score: float | None) -> str:
        """The text at a mask: "car #3 92%"."""
        known = 0 <= label < len(self.thing_classes)
        name = self.thing_classes[label] if known else f"class {label}"
        return f"{name} #{track_id}" + ("" if score is None else f" {score:.0%}")

    def draw(
        self,
        frame: np.ndarray,
        masks: np.ndarray,
        labels: Sequence[int],
        scores: Sequence[float] | None,
        track_ids: Sequence[int],
    ) -> np.ndarray:
        """Draw the tracks that are present in one frame.

        Args:
            frame: (H, W, 3) uint8 RGB.
            masks: (N, H, W) bool; a track with an empty mask is absent and not drawn.
            labels: (N,) class indices.
            scores: (N,) in [0, 1], or None (ground truth).
            track_ids: (N,) integers; equal ids have equal colours in all frames.

        Returns:
            ``output_size`` x 3, uint8 RGB; ``frame`` itself is left as it is.

        Raises:
            ValueError: the arguments do not fit together.
        """
        masks = np.asarray(masks, dtype=bool)
        _check(frame, masks, labels, scores, track_ids)
        size = self.output_size(frame.shape[:2])
        canvas = _resize(frame, size)
        drawn = []
        for i, mask in enumerate(masks):
            score = None if scores is None else float(scores[i])
            if not mask.any() or (score is not None and score < self.min_score):
                continue
            text = self.label(int(labels[i]), int(track_ids[i]), score)
            large = _resize(mask.astype(np.uint8), size, cv2.INTER_NEAREST)
            drawn.append((large, track_colour(int(track_ids[i])), text))
        # Large masks first, so that small ones stay visible on top.
        for mask, colour, _ in sorted(drawn, key=lambda item: -int(item[0].sum())):
            inside = mask.astype(bool)
            paint = np.asarray(colour, dtype=np.float32) * 255 * self.alpha
            canvas[inside] = (canvas[inside] * (1 - self.alpha) + paint).astype(np.uint8)
        return self._outline_and_label(canvas, drawn) if drawn else canvas

    def _outline_and_label(self, canvas: np.ndarray, drawn: list[tuple]) -> np.ndarray:
        visualizer = self._clear_visualizer(canvas)
        height, width = canvas.shape[:2]
        font_size = 7 + min(height, width) / 150  # points of 1.4 pixels
        taken: list[tuple[float, float, float, float]] = []
        for mask, colour, text in drawn:
            for polygon in _outlines(mask):
                visualizer.draw_polygon(polygon, colour, alpha=0)
            visualizer.draw_text(
                text, (0, 0), color=colour, horizontal_alignment="left", font_size=font_size
            )
            artist = visualizer.output.ax.texts[-1]
            artist.set_parse_math(False)  # a "$" in a class name is a "$"
            box = artist.get_window_extent(visualizer.output.canvas.get_renderer())
            extent = (box.width + 2, box.height + 2)
            x, y = _place(mask, extent, taken)
            taken.append((x, y, x + extent[0], y + extent[1]))
            artist.set_position((x + 1, y + 1))
        buffer, _ = visualizer.output.canvas.print_to_buffer()
        overlay = np.frombuffer(buffer, dtype=np.uint8).reshape(height, width, 4)
        opacity = overlay[..., 3:].astype(np.float32) / 255
        touched = opacity[..., 0] > 0
        canvas[touched] = (
            canvas[touched] * (1 - opacity[touched]) + overlay[touched, :3] * opacity[touched]
        ).astype(np.uint8)
        return canvas

    def _clear_visualizer(self, canvas: np.ndarray) -> Visualizer:
        """A Visualizer for canvases of this size whose figure is empty and transparent."""
        output = self._visualizer.output if self._visualizer is not None else None
        if output is None or (output.height, output.width) != canvas.shape[:2]:
            self._visualizer = Visualizer(canvas)
            output = self._visualizer.output
        for artist in [*output.ax.images, *output.ax.patches, *output.ax.texts]:
            artist.remove()
        return self._visualizer


def _check(frame: np.ndarray, masks: np.ndarray, labels, scores, track_ids) -> None:
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        raise ValueError(f"frame is {frame.dtype} {frame.shape}, expected uint8 (H, W, 3)")
    if masks.shape[1:] != frame.shape[:2] and len(masks):
        raise ValueError(f"masks are {masks.shape}, expected (N, H, W) of frame {frame.shape}")
    lengths = {len(masks), len(labels), len(track_ids)} | (
        {len(scores)} if scores is not None else set()
    )
    if len(lengths) > 1:
        raise ValueError(
            f"{len(masks)} masks, {len(labels)} labels, {len(track_ids)} track_ids and "
            f"{'no' if scores is None else len(scores)} scores do not fit together"
        )


def _resize(image: np.ndarray, size: tuple[int, int], how: int | None = None) -> np.ndarray:
    if image.shape[:2] == tuple(size):
        return image.copy()
    if how is None:
        how = cv2.INTER_AREA if size[0] < image.shape[0] else cv2.INTER_CUBIC
    return cv2.resize(image, (size[1], size[0]), interpolation=how)


def _outlines(mask: np.ndarray) -> list[np.ndarray]:
    """Outer and inner borders of an (H, W) uint8 mask, each (P, 2) float xy in pixels."""
    borders, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    # Matplotlib's time goes with the number of points; half a pixel cannot be seen.
    borders = [cv2.approxPolyDP(border, 0.5, True).reshape(-1, 2) for border in borders]
    return [border + 0.5 for border in borders if len(border) > 2]


def _place(
    mask: np.ndarray, extent: tuple[float, float], taken: list[tuple[float, float, float, float]]
) -> tuple[float, float]:
    """Upper left corner of a label: in the middle of a large mask, else above or below it.

    The label stays inside the picture and, where there is room, off the labels in ``taken``.
    """
    height, width = mask.shape
    text_w, text_h = extent
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, bottom = rows[0], rows[-1] + 1
    ys, xs = mask.nonzero()
    x = np.median(xs) - text_w / 2
    if bottom - top > 3 * text_h and columns[-1] - columns[0] > text_w:
        y = np.median(ys) - text_h / 2
    else:
        y = top - text_h if top >= text_h else bottom
    x = float(np.clip(x, 0, max(0, width - text_w)))
    wanted = y = float(np.clip(y, 0, max(0, height - text_h)))
    for other in sorted(taken, key=lambda box: box[1]):
        if x < other[2] and x + text_w > other[0] and y < other[3] and y + text_h > other[1]:
            y = other[3]
    return x, (y if y + text_h <= height else wanted)
