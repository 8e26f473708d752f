"""From windows of a video to tracks of the whole of it, in bounded memory.

``VideoSegmenter`` runs it all: ``sliding_windows`` cuts a stream of frames, ``WindowSlots`` is
what the network predicts for a window, ``linked`` finds the tracks that its slots go on with,
``VideoTracks`` keeps a video's tracks and returns the masks of each frame once no window can
change them, ``CollectedTracks`` makes the result of a whole video of them.
"""

from simplevtr.lazy import lazy_names

__all__, __getattr__ = lazy_names(
    __name__,
    collected="CollectedTracks frame_tracks",
    linking="TrackingSettings linked",
    segmenter="VideoSegmenter sliding_windows",
    video_tracks="VideoTracks",
    window_slots="WindowSlots",
)
