"""A video of any length, a window of frames at a time: from frames to tracks."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from simplevtr.config import inference_window, keyword_arguments
from simplevtr.structures import FrameTracks
from simplevtr.tracking.collected import CollectedTracks
from simplevtr.tracking.linking import TrackingSettings
from simplevtr.tracking.video_tracks import VideoTracks
from simplevtr.tracking.window_slots import WindowSlots

from detectron2.config import CfgNode
from torch import Tensor

PredictWindow = Callable[[list[Tensor]], WindowSlots]  # uint8 (3, h, w) frames -> their slots


class Window(NamedTuple):
    """Consecutive frames of a video."""

    start: int  # 0-based number of the first
    frames: list  # at least one
    settled: int  # frames before this number are final after this window, seen again or not


def sliding_windows(frames: Iterable[Any], length: int, stride: int) -> Iterator[Window]:
    """Cut a stream into windows of ``length`` frames, each ``stride`` after the one before.

    The last window is the last ``length`` frames, whatever is left for it, so that no window is
    short; only a video that is shorter gives one of all its frames. At most ``length`` frames are
    held. A window comes as soon as its last frame has been read: frame t is settled once frame
    ``t // stride * stride + length - 1`` was read, or the video has ended. With ``length`` 0 there
    is one window of all of them; else ``stride`` is in [1, ``length``].
    """
    held: deque[Any] = deque(maxlen=length or None)
    read = done = 0  # done: the frames that a window has had
    for frame in frames:
        held.append(frame)
        read += 1
        if length and read >= length and (read - length) % stride == 0:
            done = read
            yield Window(read - length, list(held), read - length + stride)
    if read > done:
        yield Window(read - len(held), list(held), read)


@dataclass(kw_only=True)
class VideoSegmenter:
    """Inference settings, and the way from frames to tracks with them.

    The paper looks at a whole video at once (§4.2: up to 64 frames). So does this for a video of at
    most ``window`` frames; windows of a longer one overlap and are joined. ValueError if the stride
    is longer than a window.
    """

    window: int  # frames that the network looks at together; 0 for the whole video
    stride: int  # frames from one window to the next; 0 for three quarters of a window
    score_threshold: float  # tracks with a lower score are left out
    tracks_per_video: int  # see per_video of CollectedTracks
    length_power: float  # see CollectedTracks
    tracking: TrackingSettings  # how windows are joined

    @classmethod
    def from_config(cls, cfg: CfgNode) -> Self:
        """The inference of a config."""
        test = cfg.TEST
        return cls(
            window=inference_window(cfg),
            stride=test.STRIDE,
            score_threshold=test.SCORE_THRESHOLD,
            tracks_per_video=test.TRACKS_PER_VIDEO,
            length_power=test.LENGTH_POWER,
            tracking=TrackingSettings(
                **keyword_arguments(test.LINK),
                mask_scoring=test.MASK_SCORING,
                duplicate_iou=test.DUPLICATE_IOU,
                piece_gap=test.PIECE_GAP,
            ),
        )

    def __post_init__(self) -> None:
        if self.window and not 0 <= self.stride <= self.window:
            allowed = (
                f"from 1 to the window's {self.window} frames, or 0 for three quarters of them"
            )
            raise ValueError(f"TEST.STRIDE is {self.stride}; it must be {allowed}")
        self.stride = self.stride or max(1, 3 * self.window // 4)

    def stream(
        self, predict: PredictWindow, images: Iterable[Tensor], size: tuple[int, int]
    ) -> Iterator[FrameTracks]:
        """The tracks of each frame, in order, at most ``window`` - 1 frames after it was read.

        ``images`` are uint8 (3, h, w), of one size, read once; ``size`` is the original (H, W).
        """
        for frame in self._frames(VideoTracks(self.tracking, size), predict, images):
            yield frame.rows([i for i, s in enumerate(frame.scores) if s >= self.score_threshold])

    def segment(
        self, predict: PredictWindow, images: Iterable[Tensor], size: tuple[int, int]
    ) -> dict[str, Any]:
        """The tracks of a whole video, as ``SimpleVTR.forward`` returns them; see ``stream``."""
        collected = CollectedTracks(
            size, per_video=self.tracks_per_video, length_power=self.length_power
        )
        tracks = VideoTracks(self.tracking, size, on_end=collected.end)
        collected.extend(self._frames(tracks, predict, images))
        return collected.result(
            frames_predicted=tracks.frames_predicted, score_threshold=self.score_threshold
        )

    def _frames(
        self, tracks: VideoTracks, predict: PredictWindow, images: Iterable[Tensor]
    ) -> Iterator[FrameTracks]:
        for window in sliding_windows(images, self.window, self.stride):
            slots = predict(window.frames)
            yield from tracks.add(slots, start=window.start, settled=window.settled)
        yield from tracks.finish()
