"""Tracks on frames: masks, outlines and labels, with one colour per track over the whole video."""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass

from simplevtr.formats import checks
from simplevtr.structures import FrameTracks
from simplevtr.visualization.marks import Colour, LabelWriter, MaskCutout, line_width, track_rgb

import cv2
import numpy as np
from pycocotools import mask as coco_mask

_READABLE = 240  # pixels of the short side from which label text can be read
_LONGEST = 4096  # pixels of the long side, beyond which nothing is enlarged
_Shown = list[tuple[MaskCutout, int, str]]  # mask, track id, label text


@dataclass(eq=False)
class TrackPainter:
    """Draws the tracks of a video, frame by frame.

    Masks are filled pixel by pixel, so that a mask is shown as it is, however small.

    Raises:
        ValueError: ``scale`` is not positive, ``trail`` is negative, ``min_score`` is not in
            [0, 1], or a class is unknown.
    """

    thing_classes: Sequence[str]  # class names by label; a label beyond them is shown as "class 3"
    _: KW_ONLY
    # Size of the result relative to the frame. None: 1, or for small frames the smallest whole
    # number that makes the short side at least 240 pixels.
    scale: float | None = None
    min_score: float = 0.0  # tracks with a lower score are not drawn; in [0, 1]
    alpha: float = 0.45  # opacity of the masks in [0, 1]
    # Labels, or names in ``thing_classes``, of the only tracks that are drawn; None: all.
    classes: Iterable[int | str] | None = None
    draw_masks: bool = True  # whether masks are filled and outlined
    draw_boxes: bool = False  # whether the bounding box of each mask is drawn
    draw_labels: bool = True  # whether the class and the score are written at each mask
    draw_ids: bool = True  # whether the track's id is
    # Past frames whose mask centroids are joined to the present one's by a line; 0: none.
    trail: int = 0
    side_by_side: bool = False  # whether the frame as it is stands left of the result

    def __post_init__(self) -> None:
        if self.scale is not None and self.scale <= 0:
            raise ValueError(f"scale is {self.scale}; it must be above 0")
        if self.trail < 0:
            raise ValueError(f"trail is {self.trail}; it must be 0 or more")
        self.min_score = checks.score(self.min_score, "min_score")
        if self.classes is not None:
            self.classes = {self._class(item) for item in self.classes}
        # The centroids (x, y) by track id of the last frames.
        self._centroids: deque[dict[int, tuple[float, float]]] = deque(maxlen=self.trail + 1)
        self._last: int | None = None  # number of the frame drawn last

    def _class(self, item: int | str) -> int:
        if isinstance(item, str):
            if item not in self.thing_classes:
                known = ", ".join(self.thing_classes) or "none"
                raise ValueError(f"unknown class {item!r}; the model's classes: {known}")
            return list(self.thing_classes).index(item)
        if item < 0 or (self.thing_classes and item >= len(self.thing_classes)):
            raise ValueError(f"unknown class {item}; allowed: 0 to {len(self.thing_classes) - 1}")
        return int(item)

    def output_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(H, W) in pixels of what is drawn over a frame of ``size`` (H, W)."""
        height, width = self._canvas_size(size)
        return height, width * (2 if self.side_by_side else 1)

    def _canvas_size(self, size: tuple[int, int]) -> tuple[int, int]:
        enlarged = min(math.ceil(_READABLE / min(size)), _LONGEST // max(size))
        scale = max(1, enlarged) if self.scale is None else self.scale
        return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))

    def class_name(self, label: int) -> str:
        """The name of a label, "class 3" where nobody knows one."""
        known = 0 <= label < len(self.thing_classes)
        return self.thing_classes[label] if known else f"class {label}"

    def label(self, label: int, track_id: int, score: float | None) -> str:
        """The text at a mask, such as "car #3 92%"."""
        parts = [self.class_name(label)] if self.draw_labels else []
        if self.draw_ids:
            parts.append(f"#{track_id}")
        if self.draw_labels and score is not None:
            parts.append(f"{score:.0%}")
        return " ".join(parts)

    def draw_frame(self, frame: np.ndarray, tracks: FrameTracks) -> np.ndarray:
        """Draw the tracks of one frame of a video: ``output_size`` x 3, uint8 RGB.

        Frame numbers that start anew begin another video, without trails. Masks that are not drawn
        are not decoded. ``frame`` is (H, W, 3) uint8 RGB and left as it is; ValueError if it has
        another size than the tracks.
        """
        if frame.shape != (*tracks.size, 3) or frame.dtype != np.uint8:
            given = f"frame {tracks.index} is {frame.dtype} {frame.shape}"
            raise ValueError(f"{given}, expected uint8 {(*tracks.size, 3)} as its tracks are")
        if self._last is not None and tracks.index <= self._last:
            self._centroids.clear()
        self._last = tracks.index
        size = self._canvas_size(tracks.size)
        shown: _Shown = []
        tracks = tracks.rows(self.wanted(tracks.labels, tracks.scores))
        found = zip(tracks.track_ids, tracks.labels, tracks.scores, tracks.masks, strict=True)
        for track_id, label, score, rle in found:
            if mask := MaskCutout.of(coco_mask.decode(rle), size):
                shown.append((mask, track_id, self.label(label, track_id, score)))
        if size != tracks.size:
            how = cv2.INTER_AREA if size[0] < len(frame) else cv2.INTER_CUBIC
            frame = cv2.resize(frame, (size[1], size[0]), interpolation=how)
        canvas = frame.copy()
        self._paint(canvas, shown)
        return np.concatenate([frame, canvas], axis=1) if self.side_by_side else canvas

    def wanted(self, labels: Sequence[int], scores: Sequence[float | None]) -> list[int]:
        """Which tracks are drawn, by their classes and their scores (None: ground truth)."""
        return [
            index
            for index, (label, score) in enumerate(zip(labels, scores, strict=True))
            if (score is None or score >= self.min_score)
            and (self.classes is None or label in self.classes)
        ]

    def _paint(self, canvas: np.ndarray, shown: _Shown) -> None:
        if self.draw_masks:
            # Small masks on top of large ones; of equal ones the first, which has the best score.
            stack = sorted(shown[::-1], key=lambda item: -cv2.countNonZero(item[0].inside))
            for mask, track_id, _ in stack:
                mask.fill(canvas, track_rgb(track_id), self.alpha)
            for mask, _, _ in stack:
                mask.shade(canvas)
            for mask, track_id, _ in stack:
                mask.outline(canvas, track_rgb(track_id))
        if self.draw_boxes:
            for mask, track_id, _ in shown:
                mask.box(canvas, track_rgb(track_id))
        if self.trail:
            self._centroids.append({track_id: mask.centroid() for mask, track_id, _ in shown})
            for _, track_id, _ in shown:
                way = [points[track_id] for points in self._centroids if track_id in points]
                _draw_way(canvas, way, track_rgb(track_id))
        if self.draw_labels or self.draw_ids:
            writer = LabelWriter(canvas)
            for mask, track_id, text in shown:
                writer.write(text, mask, track_rgb(track_id))


def _draw_way(canvas: np.ndarray, way: Sequence[tuple[float, float]], colour: Colour) -> None:
    """Draw the path of a track through (x, y) in pixels, with a dot at its end."""
    # Fixed point with four binary digits keeps a slow trail smooth.
    points = np.round(np.array(way)[:, None] * 16).astype(np.int32)
    width = 2 * line_width(canvas)
    cv2.polylines(canvas, [points], False, colour, width, cv2.LINE_AA, shift=4)
    x, y = (round(part) for part in way[-1])
    cv2.circle(canvas, (x, y), 2 * width, colour, -1, cv2.LINE_AA)
