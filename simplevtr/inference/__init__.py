"""A trained model over videos, and what is written of their tracks."""

from simplevtr.inference.two_passes import FoundTracks, Frames, draw_tracks, find_tracks, until_set
from simplevtr.inference.video_outputs import DrawnOutputs, Targets, wanted_in_result
from simplevtr.inference.video_predictor import VideoPredictor

__all__ = [
    "DrawnOutputs", "FoundTracks", "Frames", "Targets", "VideoPredictor", "draw_tracks",
    "find_tracks", "until_set", "wanted_in_result",
]  # fmt: skip
