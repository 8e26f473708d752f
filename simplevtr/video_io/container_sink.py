"""Videos as frame sinks: H.264 in mp4, and gif."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

from simplevtr.video_io.clock import Clock
from simplevtr.video_io.frame_sink import FrameSink
from simplevtr.video_io.frame_times import FrameTiming
from simplevtr.video_io.sound import SoundCopy

import av
import numpy as np
from av.filter import Graph


class _ContainerSink(FrameSink):
    """What mp4 and gif share: an open container with one stream and a clock."""

    def __init__(
        self, path: Path, size: tuple[int, int], clock: Clock, overwrite: bool, **options: str
    ):
        super().__init__(path, overwrite=overwrite)
        self.size = tuple(size)
        self._clock = clock
        self._end = 0  # ticks
        self._durations: dict[int, int] = {}  # of the pictures inside the encoder, by start
        self._container = av.open(
            f"file:{self._partial}", "w", format=path.suffix[1:].lower(), options=options
        )

    def _picture(self, frame: np.ndarray, timing: FrameTiming | None) -> av.VideoFrame:
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        start, duration = self._clock.span(self.count, timing)
        picture.pts, picture.time_base = start, self._clock.tick
        self._durations[start] = duration
        self._end = start + duration
        return picture

    def _mux(self, picture: av.VideoFrame | None) -> None:
        for packet in self._stream.encode(picture):
            # Else the last frame would be shown for one tick or as long as the one before it.
            packet.duration = self._durations.pop(packet.pts, packet.duration)
            self._before(packet)
            self._container.mux(packet)

    def _before(self, packet: av.Packet) -> None:
        """Write what has to lie before this packet of the video."""

    def _finish(self) -> None:
        self._mux(None)
        self._container.close()

    def _discard(self) -> None:
        self._container.close()
        self._partial.unlink(missing_ok=True)

    def _publish(self) -> None:
        os.replace(self._partial, self.path)


class Mp4Sink(_ContainerSink):
    """H.264, yuv420p, index first; odd sizes gain one repeated row or column."""

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        clock: Clock,
        overwrite: bool,
        *,
        sample_aspect_ratio: Fraction = Fraction(1),
        audio_from: Path | None = None,
    ):
        super().__init__(path, size, clock, overwrite, movflags="+faststart")
        height, width = size
        # The rate is only a label here: the clock says when frames are shown.
        rate = clock.fps.limit_denominator(100_000)
        # Without pictures stored out of order, the file says of each frame exactly how long it is
        # shown, and its clock starts at 0.
        options = {"crf": "18", "bf": "0"}
        stream = self._container.add_stream("libx264", rate=rate, options=options)
        stream.height, stream.width = height + height % 2, width + width % 2
        stream.pix_fmt = "yuv420p"
        codec = stream.codec_context
        codec.time_base = clock.tick
        if sample_aspect_ratio != 1:
            codec.sample_aspect_ratio = sample_aspect_ratio
        # Players guess the colour matrix of untagged video by its size; 1 is BT.709, narrow range.
        codec.colorspace = codec.color_primaries = codec.color_trc = codec.color_range = 1
        self._stream = stream
        self._sound = None if audio_from is None else SoundCopy.begin(audio_from, self._container)

    def _append(self, frame: np.ndarray, timing: FrameTiming | None) -> None:
        height, width = self.size
        # yuv420p halves both axes, so they must be even.
        even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        self._mux(
            self._picture(even, timing).reformat(
                format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
            )
        )

    def _before(self, packet: av.Packet) -> None:
        if self._sound is not None:
            self._sound.write_until(packet.dts * Fraction(packet.time_base))

    def _finish(self) -> None:
        self._mux(None)
        if self._sound is not None:
            self._sound.finish(self._end * self._clock.tick)
        self._container.close()

    def _discard(self) -> None:
        if self._sound is not None:
            self._sound.close()
        super()._discard()


class GifSink(_ContainerSink):
    """An animated gif that repeats for ever, with a palette of its own for each frame."""

    def __init__(self, path: Path, size: tuple[int, int], clock: Clock, overwrite: bool):
        super().__init__(path, size, clock, overwrite)
        stream = self._container.add_stream("gif", rate=1 / clock.tick)
        stream.height, stream.width, stream.pix_fmt = *size, "pal8"
        stream.codec_context.time_base = clock.tick
        self._stream = stream
        self._graph = _palette_graph(size, clock.tick)

    def _append(self, frame: np.ndarray, timing: FrameTiming | None) -> None:
        self._graph.push(self._picture(frame, timing))
        self._drain()

    def _drain(self) -> None:
        while True:
            try:
                picture = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            self._mux(picture)

    def _finish(self) -> None:
        self._graph.push(None)
        self._drain()
        super()._finish()


def _palette_graph(size: tuple[int, int], tick: Fraction) -> Graph:
    """A palette of 256 colours for each frame alone, so that a long gif needs no second look."""
    graph = Graph()
    source = graph.add_buffer(width=size[1], height=size[0], format="rgb24", time_base=tick)
    split = graph.add("split")
    palette = graph.add("palettegen", "stats_mode=single")
    use = graph.add("paletteuse", "new=1:dither=none")
    sink = graph.add("buffersink")
    source.link_to(split)
    split.link_to(use, 0, 0)
    split.link_to(palette, 1, 0)
    palette.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    return graph
