"""A trained model over videos, and what is written of their tracks."""

from simplevtr.lazy import lazy_names

__all__, __getattr__ = lazy_names(
    __name__,
    many_videos="Outcome SegmentTask settings_of",
    two_passes="OUT_OF_MEMORY draw_tracks until_set write_results",
    video_outputs="DrawnOutputs Targets wanted_in_result",
    video_predictor="Frames VideoPredictor check_weights",
    workers="in_processes",
    ray_workers="load_ray on_ray",
)
