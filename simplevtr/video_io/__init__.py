"""Reading frames from videos and image folders, and writing them to mp4, gif or a folder."""

from simplevtr.video_io.frame_sink import FrameSink, check_output
from simplevtr.video_io.reader import FrameSource, natural_key, open_source
from simplevtr.video_io.writer import open_sink

__all__ = ["FrameSink", "FrameSource", "check_output", "natural_key", "open_sink", "open_source"]
