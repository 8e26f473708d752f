"""Reading frames from videos, images, cameras and addresses; writing frames, masks and tracks."""

from simplevtr.video_io.frame_source import FrameSource, FrameTiming
from simplevtr.video_io.reader import open_source
from simplevtr.video_io.sink import FrameSink, MotsPngSink
from simplevtr.video_io.writer import open_sink

__all__ = [
    "FrameSink", "FrameSource", "FrameTiming", "MotsPngSink", "open_sink", "open_source",
]  # fmt: skip
