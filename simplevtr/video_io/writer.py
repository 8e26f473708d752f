"""Drawn frames out: an H.264 mp4, a gif, or a folder of images, by the output's name."""

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from simplevtr.formats.files import check_output
from simplevtr.video_io.frame_source import FrameTiming
from simplevtr.video_io.sink import FolderSink, FrameSink
from simplevtr.video_io.sound import add_sound

import av
import numpy as np
from av.filter import Graph

_MAX_GIF_FPS = 50  # a gif counts hundredths of a second, and viewers slow down delays below two
_FINE = 90_000  # ticks a second of an mp4, at least; the usual clock of video
_FINEST = 1_000_000  # ticks a second; a container's limit is not far beyond
_SLOWEST = Fraction(1, 20_000)  # frames per second: a frame lasts less than 2**31 ticks
_MOST_VIDEO, _MOST_STILL = 16_384, 65_535  # pixels a side that H.264's encoder and JPEG have


def open_sink(
    path: str | os.PathLike,
    fps: Fraction,
    size: tuple[int, int],
    *,
    names: Sequence[str] | None = None,
    sample_aspect_ratio: Fraction = Fraction(1),
    audio_from: Path | None = None,
    overwrite: bool = False,
) -> FrameSink:
    """Open a video file or folder for writing.

    Args:
        path: ".mp4" (H.264, yuv420p; odd sizes gain one repeated row or column), ".gif" (times
            rounded to 1/100 s), or a folder, which gets one image per frame.
        fps: frames per second, exact; for frames that are written without a timing. Unused for
            folders.
        size: (H, W) of the frames in pixels.
        names: file name of each frame in a folder; the suffix sets the image format.
            Default: 00000.png, ...
        sample_aspect_ratio: width of a pixel relative to its height; only mp4 can store it.
        audio_from: a video file whose sound goes with the frames, at the times it has there; only
            mp4 has sound. See ``add_sound``.
        overwrite: whether an existing output is replaced. In a folder, files of other names stay.

    Raises:
        ValueError: an unknown suffix, a shape of pixels that is not positive, or a frame rate or
            size that such a file cannot have.
        FileExistsError: the output exists and ``overwrite`` is False.
    """
    path = check_output(path, overwrite=overwrite)
    fps = Fraction(fps)
    if sample_aspect_ratio <= 0:
        what = f"a sample aspect ratio of {sample_aspect_ratio}"
        raise ValueError(f"{path}: {what} was given; it must be above 0")
    if not _SLOWEST <= fps <= _FINEST:
        what = f"a frame rate of {float(fps):g}"
        raise ValueError(f"{path}: {what} was given; allowed are {_SLOWEST} to {_FINEST}")
    is_folder = path.is_dir() or not path.suffix
    if max(size) > (most := _MOST_STILL if is_folder else _MOST_VIDEO):
        found = f"{size[0]} x {size[1]} pixels"
        raise ValueError(f"{path}: frames of {found} were given; a side may have {most} (--scale)")
    if is_folder:
        return FolderSink(path, size, names, overwrite=overwrite)
    if path.suffix.lower() == ".mp4":
        return Mp4Sink(path, size, fps, sample_aspect_ratio, audio_from, overwrite=overwrite)
    if fps > _MAX_GIF_FPS:
        limit = f"at most {_MAX_GIF_FPS} frames a second, not {float(fps):g}"
        raise ValueError(f"{path}: a gif holds {limit}; use --fps {_MAX_GIF_FPS} or .mp4")
    return GifSink(path, size, fps, overwrite=overwrite)


def fine_tick(fps: Fraction) -> Fraction:
    """Seconds so short that frames of this rate last a whole number of them, if there are such."""
    ticks = fps.numerator
    return Fraction(1, _FINE if ticks > _FINEST else ticks * -(-_FINE // ticks))


class _VideoSink(FrameSink):
    """What mp4 and gif share: an open container with one stream, and times in its ticks."""

    _stream: av.VideoStream

    def _open(self, fps: Fraction, tick: Fraction, **options: str) -> None:
        self._frame_time, self._tick = 1 / fps, tick
        self._next = Fraction(0)  # seconds
        self._last = -1  # ticks
        # Durations of the pictures inside the encoder, by start; PyAV has no None there.
        self._durations: dict[Any, Any] = {}
        form = self.path.suffix[1:].lower()
        self._container = av.open(f"file:{self._partial}", "w", format=form, options=options)

    def _picture(self, frame: np.ndarray, timing: FrameTiming | None) -> av.VideoFrame:
        """A frame with its time, always later than that of the one before."""
        timing = timing or FrameTiming(self._next, self._frame_time)
        self._next = timing.start + timing.duration
        self._last = start = max(round(timing.start / self._tick), self._last + 1)
        self._durations[start] = max(1, round(self._next / self._tick) - start)
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        picture.pts, picture.time_base = start, self._tick
        return picture

    def _encode(self, picture: av.VideoFrame | None) -> None:
        """Write what comes of a picture, or, without one, what the encoder still holds."""
        for packet in self._stream.encode(picture):
            # Else the last frame would be shown for one tick or as long as the one before it.
            packet.duration = self._durations.pop(packet.pts, packet.duration)
            self._container.mux(packet)

    def _close(self) -> None:
        with self._container:
            if self.count:
                self._encode(None)


class Mp4Sink(_VideoSink):
    """H.264, yuv420p, index first; odd sizes gain one repeated row or column."""

    def __init__(
        self, path: Path, size: tuple[int, int], fps: Fraction, sample_aspect_ratio: Fraction,
        audio_from: Path | None, *, overwrite: bool,
    ):  # fmt: skip
        super().__init__(path, size, overwrite=overwrite)
        self._open(fps, fine_tick(fps), movflags="+faststart")
        self._audio_from = audio_from
        # The rate is only a label here: each frame has its own time. Without pictures stored out of
        # order, the file holds exactly how long each is shown, and its clock starts at 0.
        rate = fps.limit_denominator(1000 if fps > 1000 else 100_000)  # both parts have 32 bits
        options = {"crf": "18", "bf": "0"}
        self._stream = self._container.add_stream("libx264", rate=rate, options=options)
        # yuv420p halves both axes, so they must be even.
        self._padding = [(0, side % 2) for side in self.size] + [(0, 0)]
        self._stream.height, self._stream.width = (side + side % 2 for side in self.size)
        self._stream.pix_fmt = "yuv420p"
        codec = self._stream.codec_context
        codec.time_base = self._tick
        if sample_aspect_ratio != 1:
            codec.sample_aspect_ratio = sample_aspect_ratio
        # Players guess the colour matrix of untagged video by its size; 1 is BT.709, narrow range.
        codec.colorspace = codec.color_primaries = codec.color_trc = codec.color_range = 1

    def _append(self, frame: np.ndarray, timing: FrameTiming | None) -> None:
        picture = self._picture(np.pad(frame, self._padding, mode="edge"), timing)
        colours: Any = {"dst_colorspace": "ITU709", "dst_color_range": "MPEG"}
        self._encode(picture.reformat(format="yuv420p", **colours))

    def _close(self) -> None:
        super()._close()
        if self._audio_from is not None and self.count:
            add_sound(self._partial, self._audio_from)


class GifSink(_VideoSink):
    """An animated gif that loops forever, with its own palette for each frame.

    So no frame has to be read twice.
    """

    def __init__(self, path: Path, size: tuple[int, int], fps: Fraction, *, overwrite: bool):
        super().__init__(path, size, overwrite=overwrite)
        self._open(fps, Fraction(1, 100))
        self._stream = stream = self._container.add_stream("gif", rate=100)
        stream.height, stream.width, stream.pix_fmt = *self.size, "pal8"
        stream.codec_context.time_base = self._tick
        self._graph = graph = Graph()
        source = graph.add_buffer(
            width=size[1], height=size[0], format=av.VideoFormat("rgb24"), time_base=self._tick
        )
        split, use = graph.add("split"), graph.add("paletteuse", "new=1:dither=none")
        palette = graph.add("palettegen", "stats_mode=single")
        graph.link_nodes(source, split, use, graph.add("buffersink"))
        split.link_to(palette, 1, 0)
        palette.link_to(use, 0, 1)
        graph.configure()

    def _append(self, frame: np.ndarray, timing: FrameTiming | None) -> None:
        self._encode(self._picture(frame, timing))

    def _encode(self, picture: av.VideoFrame | None) -> None:
        self._graph.push(picture)
        while True:
            try:
                ready: Any = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                break
            super()._encode(ready)
        if picture is None:
            super()._encode(None)
