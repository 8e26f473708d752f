"""From windows of a video to tracks of the whole of it, in bounded memory.

``VideoSegmenter`` runs it all: ``sliding_windows`` cuts a stream of frames, ``WindowTracks`` is
what the network predicts for a window, ``WindowLinker`` finds the tracks that its slots go on with,
``VideoTracks`` keeps a video's tracks and returns the masks of each frame once no window can
change them, ``CollectedTracks`` makes the result of a whole video of them.
"""

from simplevtr.tracking.collected import CollectedTracks, frame_tracks
from simplevtr.tracking.linking import WindowLinker
from simplevtr.tracking.segmenter import VideoSegmenter, sliding_windows
from simplevtr.tracking.video_tracks import TrackingSettings, VideoTracks
from simplevtr.tracking.window_tracks import WindowTracks

__all__ = [
    "CollectedTracks", "TrackingSettings", "VideoSegmenter", "VideoTracks", "WindowLinker",
    "WindowTracks", "frame_tracks", "sliding_windows",
]  # fmt: skip
