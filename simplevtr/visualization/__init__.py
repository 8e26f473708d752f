"""Looking at results: tracks drawn on frames, contact sheets and training curves."""

from simplevtr.visualization.clip_sheet import TrackSet, clip_sheet
from simplevtr.visualization.track_painter import TrackPainter, track_colour

__all__ = ["TrackPainter", "TrackSet", "clip_sheet", "track_colour"]
