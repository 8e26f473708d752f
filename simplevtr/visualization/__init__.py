"""Looking at results: tracks drawn on frames, contact sheets and training curves."""

from simplevtr.lazy import lazy_names

__all__, __getattr__ = lazy_names(
    __name__,
    {
        "frame_instances": "instances",
        "track_rgb": "marks",
        "TrackPainter": "track_painter",
    },
)
