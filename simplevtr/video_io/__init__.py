"""Reading frames from videos, images, cameras and addresses; writing frames, masks and tracks."""

from simplevtr.lazy import lazy_names

__all__, __getattr__ = lazy_names(
    __name__,
    {
        "FrameSource": "frame_source",
        "FrameTiming": "frame_source",
        "open_source": "reader",
        "NamedVideo": "video_list",
        "find_videos": "video_list",
        "RemoteFile": "remote",
        "FrameSink": "sink",
        "DavisPngSink": "sink",
        "MotsPngSink": "sink",
        "open_sink": "writer",
    },
)
