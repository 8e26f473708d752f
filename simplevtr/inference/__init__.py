"""A trained model over videos, and what is written of their tracks."""

from simplevtr.lazy import lazy_names

__all__, __getattr__ = lazy_names(
    __name__,
    many_videos="Outcome SegmentTask settings_of",
    video_outputs="DrawnOutputs Targets wanted_in_result write_results",
    video_predictor="Frames VideoPredictor check_weights until_set",
    workers="in_processes",
    ray_workers="load_ray on_ray",
)
