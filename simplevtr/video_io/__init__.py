"""Reading frames from videos, images, cameras and addresses; writing frames, masks and tracks."""

from simplevtr.lazy import lazy_names

__all__, __getattr__ = lazy_names(
    __name__,
    frame_source="FrameSource FrameTiming",
    reader="open_source",
    video_list="NamedVideo find_videos",
    remote="RemoteFile",
    sink="FrameSink DavisPngSink MotsPngSink",
    writer="open_sink",
)
