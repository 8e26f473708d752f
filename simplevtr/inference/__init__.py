"""A trained model over videos, and what is written of their tracks."""

from simplevtr.inference.video_outputs import DrawnOutputs, Targets, shown_tracks
from simplevtr.inference.video_predictor import VideoPredictor

__all__ = ["DrawnOutputs", "Targets", "VideoPredictor", "shown_tracks"]
