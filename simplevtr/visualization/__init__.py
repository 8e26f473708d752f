"""Looking at results: tracks drawn on frames, contact sheets and training curves."""

from simplevtr.visualization.clip_sheet import clip_sheet
from simplevtr.visualization.instances import frame_instances
from simplevtr.visualization.marks import track_rgb
from simplevtr.visualization.track_painter import TrackPainter

__all__ = ["TrackPainter", "clip_sheet", "frame_instances", "track_rgb"]
