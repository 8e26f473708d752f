"""A trained model over videos, and what is written of their tracks."""

from simplevtr.lazy import lazy_names

__all__, __getattr__ = lazy_names(
    __name__,
    {
        "Outcome": "many_videos",
        "SegmentTask": "many_videos",
        "settings_of": "many_videos",
        "OUT_OF_MEMORY": "two_passes",
        "draw_tracks": "two_passes",
        "until_set": "two_passes",
        "write_results": "two_passes",
        "DrawnOutputs": "video_outputs",
        "Targets": "video_outputs",
        "wanted_in_result": "video_outputs",
        "Frames": "video_predictor",
        "VideoPredictor": "video_predictor",
        "check_weights": "video_predictor",
        "in_processes": "workers",
        "load_ray": "ray_workers",
        "on_ray": "ray_workers",
    },
)
