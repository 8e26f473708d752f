"""From frames to tracks: running a trained model over one video."""

from simplevtr.inference.video_predictor import VideoPredictor

__all__ = ["VideoPredictor"]
