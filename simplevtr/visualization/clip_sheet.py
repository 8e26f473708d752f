"""Contact sheets: a few frames of a clip side by side, one row of tracks below the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from simplevtr.visualization.track_painter import TrackPainter

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_SHORT_SIDE = 180  # pixels of each picture
_GAP = 4  # white pixels between pictures
_CAPTION = 20  # pixels of a caption's height


@dataclass(frozen=True)
class TrackSet:
    """The tracks of one clip.

    Attributes:
        masks: (N, T, H, W) bool in frame pixels; all False where a track is absent.
        labels: (N,) int64 class indices.
        scores: (N,) float in [0, 1], or None for ground truth.
        ids: (N,) int64, which name and colour the tracks.
    """

    masks: np.ndarray
    labels: np.ndarray
    scores: np.ndarray | None
    ids: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def from_result(cls, result: Mapping, *, min_score: float = 0.0) -> TrackSet:
        """The tracks of a model's result for one video that score at least ``min_score``.

        Args:
            result: "image_size" (H, W) and, one entry a track, "pred_scores" (floats),
                "pred_labels" (ints) and "pred_masks" (``TrackMasks``).
            min_score: in [0, 1]. Ids count from 1 in the order of the result, dropped tracks
                included.
        """
        scores = np.asarray(result["pred_scores"], dtype=np.float32)
        kept = np.flatnonzero(scores >= min_score)
        masks = [result["pred_masks"][i].dense().numpy() for i in kept]
        return cls(
            masks=np.stack(masks) if masks else np.zeros((0, 1, *result["image_size"]), dtype=bool),
            labels=np.asarray(result["pred_labels"], dtype=np.int64)[kept],
            scores=scores[kept],
            ids=kept + 1,
        )

    def in_frame(self, t: int) -> dict[str, np.ndarray | None]:
        """Frame ``t`` as the arguments of ``TrackPainter.draw``: masks (N, H, W) and the rest."""
        masks = self.masks[:, t] if len(self) else self.masks[:, 0]
        return {
            "masks": masks, "labels": self.labels, "scores": self.scores, "track_ids": self.ids,
        }  # fmt: skip


def evenly_spaced(length: int, count: int) -> list[int]:
    """At most ``count`` frame numbers from 0 to ``length`` - 1, with the first and the last."""
    return sorted({round(i) for i in np.linspace(0, length - 1, min(length, count))})


def clip_sheet(
    frames: np.ndarray,
    rows: Mapping[str, TrackSet],
    *,
    thing_classes: Sequence[str] = (),
    columns: int = 8,
    min_score: float = 0.0,
    frame_numbers: Sequence[int] | None = None,
) -> np.ndarray:
    """A contact sheet of a clip.

    Args:
        frames: (T, H, W, 3) uint8 RGB.
        rows: tracks by the caption of their row, such as "predicted" and "ground truth"; empty: one
            row of bare frames.
        thing_classes: class names by label.
        columns: at most this many frames, evenly spaced.
        min_score: tracks with a lower score are not drawn.
        frame_numbers: (T,) numbers shown in the captions; default 0 to T - 1.

    Returns:
        (H', W', 3) uint8 RGB.

    Raises:
        ValueError: there are no frames, or the tracks have another length or size.
    """
    if frames.ndim != 4 or len(frames) == 0:
        raise ValueError(f"frames have shape {frames.shape}, expected (T, H, W, 3) with T > 0")
    painter = TrackPainter(
        thing_classes, scale=_SHORT_SIDE / min(frames.shape[1:3]), min_score=min_score
    )
    for name, tracks in rows.items():
        if len(tracks) and tracks.masks.shape[1:] != frames.shape[:3]:
            raise ValueError(
                f"row {name!r} has masks of shape {tracks.masks.shape}, "
                f"expected (N, T, H, W) of frames {frames.shape}"
            )
    nothing = TrackSet(
        np.zeros((0, 1, *frames.shape[1:3]), dtype=bool), np.zeros(0), None, np.zeros(0)
    )
    strips = []
    for name, tracks in (rows or {"": nothing}).items():
        pictures = []
        for t in evenly_spaced(len(frames), columns):
            number = t if frame_numbers is None else frame_numbers[t]
            picture = painter.draw(frames[t], **tracks.in_frame(t))
            pictures.append(captioned(picture, "" if pictures else name, f"frame {number}"))
        strips.append(joined(pictures, axis=1))
    return joined(strips, axis=0)


def captioned(picture: np.ndarray, left: str, right: str = "") -> np.ndarray:
    """``picture`` (H, W, 3) with a strip of 20 pixels above it that holds text at either end."""
    strip = Image.new("RGB", (picture.shape[1], _CAPTION), "white")
    draw = ImageDraw.Draw(strip)
    draw.text((2, _CAPTION // 2), left, fill="black", font=_font(), anchor="lm")
    draw.text((strip.width - 2, _CAPTION // 2), right, fill="gray", font=_font(), anchor="rm")
    return np.concatenate([np.asarray(strip), picture])


def joined(pictures: Sequence[np.ndarray], *, axis: int) -> np.ndarray:
    """Pictures of one size side by side (axis 1) or one below the other (axis 0), white between."""
    gap_shape = list(pictures[0].shape)
    gap_shape[axis] = _GAP
    gap = np.full(gap_shape, 255, dtype=np.uint8)
    parts = [part for picture in pictures for part in (picture, gap)]
    return np.concatenate(parts[:-1], axis=axis)


@lru_cache(maxsize=1)
def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size=14)
