"""Looking at results: tracks drawn on frames, contact sheets and training curves."""

from simplevtr.visualization.clip_sheet import clip_sheet
from simplevtr.visualization.instances import frame_instances
from simplevtr.visualization.layout import side_by_side
from simplevtr.visualization.marks import track_colour, track_rgb
from simplevtr.visualization.track_painter import TrackPainter

__all__ = [
    "TrackPainter", "clip_sheet", "frame_instances", "side_by_side", "track_colour", "track_rgb",
]  # fmt: skip
