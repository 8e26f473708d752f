"""Contact sheets: a few frames of a clip side by side, one row of tracks below the other."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from simplevtr.formats.files import write_bytes
from simplevtr.formats.images import evenly_spaced
from simplevtr.structures import FrameTracks
from simplevtr.visualization.marks import font
from simplevtr.visualization.track_painter import TrackPainter

import numpy as np
from PIL import Image, ImageDraw

COLUMNS = 8  # frames at most
_SHORT, _LONG = 180, 720  # pixels of the sides of each picture, at most
_GAP = 4  # white pixels between pictures
_CAPTION = 20  # pixels of a caption's height


def clip_sheet(
    frames: np.ndarray,
    rows: Mapping[str, Sequence[FrameTracks]],
    *,
    thing_classes: Sequence[str] = (),
) -> np.ndarray:
    """A contact sheet of at most 8 evenly spaced frames of a clip, (H', W', 3) uint8 RGB.

    Args:
        frames: (T, H, W, 3) uint8 RGB.
        rows: the tracks of each frame by the caption of their row, such as "predicted" and "ground
            truth"; their ``index`` is shown as the frame's number.
        thing_classes: class names by label.

    Raises:
        ValueError: the tracks have another size.
    """
    sides = frames.shape[1:3]
    painter = TrackPainter(thing_classes, scale=min(_SHORT / min(sides), _LONG / max(sides)))
    strips = []
    for name, tracks in rows.items():
        pictures: list[np.ndarray] = []
        for t in evenly_spaced(len(frames), COLUMNS):
            picture = painter.draw_frame(frames[t], tracks[t])
            caption = "" if pictures else name
            pictures.append(captioned(picture, caption, f"frame {tracks[t].index}"))
        strips.append(joined(pictures, axis=1))
    return joined(strips, axis=0)


def write_sheet(path: Path, sheet: np.ndarray, *, overwrite: bool) -> None:
    """Write a contact sheet as a PNG, as ``write_bytes`` does."""
    png = io.BytesIO()
    Image.fromarray(sheet).save(png, format="PNG")
    write_bytes(path, png.getvalue(), overwrite=overwrite)


def captioned(picture: np.ndarray, left: str, right: str = "") -> np.ndarray:
    """``picture`` (H, W, 3) with a strip of 20 pixels above it that holds text at either end."""
    strip = Image.new("RGB", (picture.shape[1], _CAPTION), "white")
    draw = ImageDraw.Draw(strip)
    draw.text((2, _CAPTION // 2), left, fill="black", font=font(14), anchor="lm")
    draw.text((strip.width - 2, _CAPTION // 2), right, fill="gray", font=font(14), anchor="rm")
    return np.concatenate([np.asarray(strip), picture])


def joined(pictures: Sequence[np.ndarray], *, axis: int) -> np.ndarray:
    """Pictures of one size side by side (axis 1) or one below the other (axis 0), white between."""
    gap = np.full_like(pictures[0].take([0] * _GAP, axis), 255)
    parts = [part for picture in pictures for part in (picture, gap)]
    return np.concatenate(parts[:-1], axis=axis)
