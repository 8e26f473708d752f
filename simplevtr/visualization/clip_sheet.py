"""Contact sheets: a few frames of a clip side by side, one row of tracks below the other."""

from collections.abc import Mapping, Sequence

from simplevtr.formats.images import evenly_spaced
from simplevtr.structures import FrameTracks
from simplevtr.visualization.layout import captioned, joined
from simplevtr.visualization.track_painter import TrackPainter

import numpy as np

_SHORT_SIDE = 180  # pixels of each picture


def clip_sheet(
    frames: np.ndarray,
    rows: Mapping[str, Sequence[FrameTracks]],
    *,
    thing_classes: Sequence[str] = (),
    columns: int = 8,
) -> np.ndarray:
    """A contact sheet of a clip.

    Args:
        frames: (T, H, W, 3) uint8 RGB.
        rows: the tracks of each frame by the caption of their row, such as "predicted" and "ground
            truth"; their ``index`` is shown as the frame's number. Empty: one row of bare frames.
        thing_classes: class names by label.
        columns: at most this many frames, evenly spaced.

    Returns:
        (H', W', 3) uint8 RGB.

    Raises:
        ValueError: there are no frames, or the tracks have another length or size.
    """
    if frames.ndim != 4 or len(frames) == 0:
        raise ValueError(f"frames have shape {frames.shape}, expected (T, H, W, 3) with T > 0")
    size = frames.shape[1:3]
    painter = TrackPainter(thing_classes, scale=_SHORT_SIDE / min(size))
    strips = []
    for name, tracks in (rows or {"": list(FrameTracks.of_video([], size, len(frames)))}).items():
        if len(tracks) != len(frames):
            raise ValueError(
                f"row {name!r} has tracks of {len(tracks)} frames, expected {len(frames)}"
            )
        pictures = []
        for t in evenly_spaced(len(frames), columns):
            picture = painter.draw_frame(frames[t], tracks[t])
            caption = "" if pictures else name
            pictures.append(captioned(picture, caption, f"frame {tracks[t].index}"))
        strips.append(joined(pictures, axis=1))
    return joined(strips, axis=0)
