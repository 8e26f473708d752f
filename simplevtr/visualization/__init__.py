"""Looking at results: tracks drawn on frames, contact sheets and training curves."""

from simplevtr.lazy import lazy_names

__all__, __getattr__ = lazy_names(
    __name__, instances="frame_instances", marks="track_rgb", track_painter="TrackPainter"
)
