"""A trained model over videos, and what is written of their tracks."""

from simplevtr.lazy import lazy_names

__all__, __getattr__ = lazy_names(
    __name__,
    {
        "FoundTracks": "two_passes",
        "Frames": "two_passes",
        "draw_tracks": "two_passes",
        "find_tracks": "two_passes",
        "until_set": "two_passes",
        "DrawnOutputs": "video_outputs",
        "Targets": "video_outputs",
        "wanted_in_result": "video_outputs",
        "VideoPredictor": "video_predictor",
    },
)
