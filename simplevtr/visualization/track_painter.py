"""Tracks on frames: masks, outlines and labels, with one colour a track over the whole video."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from simplevtr.formats import checks
from simplevtr.structures import FrameTracks
from simplevtr.visualization.comparison import resized
from simplevtr.visualization.comparison import side_by_side as beside
from simplevtr.visualization.label_writer import LabelWriter
from simplevtr.visualization.mask_cutout import MaskCutout, line_width
from simplevtr.visualization.palette import track_colour
from simplevtr.visualization.trails import Trails

import numpy as np
from pycocotools import mask as coco_mask

_READABLE = 240  # pixels of the short side from which label text can be read
_Row = tuple[int, int, float | None]  # track id, label, score
_Colour = tuple[float, float, float]  # RGB in [0, 1]


class TrackPainter:
    """Draws the tracks of a video, frame by frame.

    Masks are filled pixel by pixel, so that a mask is shown as it is, however small.
    """

    def __init__(
        self,
        thing_classes: Sequence[str],
        *,
        scale: float | None = None,
        min_score: float = 0.0,
        alpha: float = 0.45,
        classes: Iterable[int | str] | None = None,
        draw_masks: bool = True,
        draw_boxes: bool = False,
        draw_labels: bool = True,
        draw_ids: bool = True,
        trail: int = 0,
        side_by_side: bool = False,
    ):
        """Set up a painter.

        Args:
            thing_classes: class names by label; a label beyond them is shown as "class 3".
            scale: size of the result relative to the frame. None: 1, or for small frames the
                smallest whole number that makes the short side at least 240 pixels.
            min_score: tracks with a lower score are not drawn; in [0, 1].
            alpha: opacity of the masks in [0, 1].
            classes: labels, or names in ``thing_classes``, of the only tracks that are drawn;
                None: all.
            draw_masks: whether masks are filled and outlined.
            draw_boxes: whether the bounding box of each mask is drawn.
            draw_labels: whether the class and the score are written at each mask.
            draw_ids: whether the track's id is.
            trail: number of past frames whose mask centroids are joined to the present one's by a
                line; 0: none.
            side_by_side: whether the frame as it is stands left of the result.

        Raises:
            ValueError: ``scale`` is not positive, ``trail`` is negative, ``min_score`` is not in
                [0, 1], or a class is unknown.
        """
        if scale is not None and scale <= 0:
            raise ValueError(f"scale is {scale}; it must be above 0")
        if trail < 0:
            raise ValueError(f"trail is {trail}; it must be 0 or more")
        self.thing_classes = list(thing_classes)
        self.scale = scale
        self.min_score = checks.score(min_score, "min_score")
        self.alpha = alpha
        self.classes = None if classes is None else {self._class(item) for item in classes}
        self.draw_masks, self.draw_boxes = draw_masks, draw_boxes
        self.draw_labels, self.draw_ids = draw_labels, draw_ids
        self.side_by_side = side_by_side
        self._trails = Trails(trail) if trail else None
        self._last: int | None = None  # number of the frame drawn last

    def _class(self, item: int | str) -> int:
        if isinstance(item, str):
            if item not in self.thing_classes:
                known = ", ".join(self.thing_classes) or "none"
                raise ValueError(f"unknown class {item!r}; the model's classes: {known}")
            return self.thing_classes.index(item)
        if item < 0 or (self.thing_classes and item >= len(self.thing_classes)):
            raise ValueError(f"unknown class {item}; allowed: 0 to {len(self.thing_classes) - 1}")
        return int(item)

    def output_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(H, W) in pixels of what is drawn over a frame of ``size`` (H, W)."""
        height, width = self._canvas_size(size)
        return height, width * (2 if self.side_by_side else 1)

    def _canvas_size(self, size: tuple[int, int]) -> tuple[int, int]:
        scale = self.scale if self.scale is not None else max(1, math.ceil(_READABLE / min(size)))
        return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))

    def label(self, label: int, track_id: int, score: float | None) -> str:
        """The text at a mask: "car #3 92%", or the parts of it that are wanted."""
        known = 0 <= label < len(self.thing_classes)
        name = self.thing_classes[label] if known else f"class {label}"
        parts = [name] if self.draw_labels else []
        if self.draw_ids:
            parts.append(f"#{track_id}")
        if self.draw_labels and score is not None:
            parts.append(f"{score:.0%}")
        return " ".join(parts)

    def new_video(self) -> None:
        """Forget the trails; ``draw_frame`` does so by itself when frame numbers start anew."""
        self._last = None
        if self._trails is not None:
            self._trails.clear()

    def draw_frame(self, frame: np.ndarray, tracks: FrameTracks) -> np.ndarray:
        """Draw the tracks of one frame of a video.

        Args:
            frame: (H, W, 3) uint8 RGB, the frame that ``tracks`` were found in; left as it is.
            tracks: N tracks; equal ids have equal colours in all frames, and masks that are not
                drawn are not decoded.

        Returns:
            ``output_size`` x 3, uint8 RGB.

        Raises:
            ValueError: the frame has another size than the tracks.
        """
        if frame.shape != (*tracks.size, 3) or frame.dtype != np.uint8:
            raise ValueError(
                f"frame {tracks.index} is {frame.dtype} {frame.shape}, "
                f"expected uint8 {(*tracks.size, 3)} as its tracks are"
            )
        if self._last is not None and tracks.index <= self._last:
            self.new_video()
        self._last = tracks.index
        size = self._canvas_size(tracks.size)
        found = zip(tracks.track_ids, tracks.labels, tracks.scores, tracks.masks, strict=True)
        wanted = (row for row in found if self.wants(*row[1:3]))
        masks = [(MaskCutout.of(coco_mask.decode(rle), size), row) for *row, rle in wanted]
        shown = [(mask, track_colour(row[0]), row) for mask, row in masks if mask is not None]
        canvas = resized(frame, size)
        self._paint(canvas, shown)
        return beside(frame, canvas) if self.side_by_side else canvas

    def wants(self, label: int, score: float | None) -> bool:
        """Whether a track of a class with a score (None: ground truth) is drawn."""
        if score is not None and score < self.min_score:
            return False
        return self.classes is None or label in self.classes

    def _paint(self, canvas: np.ndarray, shown: list[tuple[MaskCutout, _Colour, _Row]]) -> None:
        if self.draw_masks:
            # Large masks first, so that small ones stay visible on top.
            for mask, colour, _ in sorted(shown, key=lambda item: -item[0].area):
                mask.fill(canvas, colour, self.alpha)
            for mask, colour, _ in shown:
                mask.outline(canvas, colour)
        if self.draw_boxes:
            for mask, colour, _ in shown:
                mask.box(canvas, colour)
        if self._trails is not None:
            self._trails.add({row[0]: mask.centroid for mask, _, row in shown})
            for _, colour, row in shown:
                self._trails.draw(canvas, row[0], colour, 2 * line_width(canvas.shape))
        if self.draw_labels or self.draw_ids:
            writer = LabelWriter(canvas)
            for mask, colour, (track_id, label, score) in shown:
                writer.write(self.label(label, track_id, score), mask, colour)
