"""Videos as frame sinks: H.264 in mp4, and gif."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from simplevtr.video_io.frame_sink import FrameSink

import av
import numpy as np
from av.filter import Graph


@dataclass(frozen=True)
class Clock:
    """When frame i is shown: ``times[i]`` seconds, or i / fps; in ticks of ``tick`` seconds."""

    fps: Fraction
    times: Sequence[Fraction] | None
    tick: Fraction

    def pts(self, i: int, previous: int) -> int:
        """Ticks of frame i, later than the frame before in any case."""
        time = i / self.fps if self.times is None else self.times[i]
        return max(round(time / self.tick), previous + 1)


class _ContainerSink(FrameSink):
    """What mp4 and gif share: an open container with one stream and a clock."""

    def __init__(
        self, path: Path, size: tuple[int, int], clock: Clock, overwrite: bool, **options: str
    ):
        super().__init__(path, size, overwrite=overwrite)
        self._clock, self._last = clock, -1
        self._container = av.open(
            f"file:{self._partial}", "w", format=path.suffix[1:].lower(), options=options
        )

    def _picture(self, frame: np.ndarray) -> av.VideoFrame:
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        self._last = self._clock.pts(self.count, self._last)
        picture.pts, picture.time_base = self._last, self._clock.tick
        return picture

    def _mux(self, picture: av.VideoFrame | None) -> None:
        for packet in self._stream.encode(picture):
            self._container.mux(packet)

    def _finish(self) -> None:
        self._mux(None)
        self._container.close()

    def _discard(self) -> None:
        self._container.close()
        self._partial.unlink(missing_ok=True)


class Mp4Sink(_ContainerSink):
    """H.264, yuv420p, index first; odd sizes gain one repeated row or column."""

    def __init__(self, path: Path, size: tuple[int, int], clock: Clock, overwrite: bool):
        super().__init__(path, size, clock, overwrite, movflags="+faststart")
        height, width = size
        stream = self._container.add_stream("libx264", rate=clock.fps, options={"crf": "18"})
        stream.height, stream.width = height + height % 2, width + width % 2
        stream.pix_fmt = "yuv420p"
        codec = stream.codec_context
        codec.time_base = clock.tick
        # Players guess the colour matrix of untagged video by its size; 1 is BT.709, narrow range.
        codec.colorspace = codec.color_primaries = codec.color_trc = codec.color_range = 1
        self._stream = stream

    def _append(self, frame: np.ndarray) -> None:
        height, width = self.size
        # yuv420p halves both axes, so they must be even.
        even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        self._mux(
            self._picture(even).reformat(
                format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
            )
        )


class GifSink(_ContainerSink):
    """An animated gif that repeats for ever, with a palette of its own for each frame."""

    def __init__(self, path: Path, size: tuple[int, int], clock: Clock, overwrite: bool):
        super().__init__(path, size, clock, overwrite)
        stream = self._container.add_stream("gif", rate=1 / clock.tick)
        stream.height, stream.width, stream.pix_fmt = *size, "pal8"
        stream.codec_context.time_base = clock.tick
        self._stream = stream
        self._graph = _palette_graph(size, clock.tick)

    def _append(self, frame: np.ndarray) -> None:
        self._graph.push(self._picture(frame))
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
