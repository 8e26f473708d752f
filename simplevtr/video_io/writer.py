"""Opening an output by its name: an H.264 mp4, a gif, or a folder of images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from simplevtr.video_io.clock import Clock
from simplevtr.video_io.container_sink import GifSink, Mp4Sink
from simplevtr.video_io.frame_sink import FolderSink, FrameSink
from simplevtr.video_io.sink import check_output

_MAX_GIF_FPS = 50  # a gif counts hundredths of a second, and viewers slow down delays below two


def open_sink(
    path: str | os.PathLike,
    fps: Fraction,
    size: tuple[int, int],
    *,
    times: Sequence[Fraction] | None = None,
    names: Sequence[str] | None = None,
    sample_aspect_ratio: Fraction = Fraction(1),
    audio_from: Path | None = None,
    overwrite: bool = False,
) -> FrameSink:
    """Open a video file or folder for writing.

    Args:
        path: ".mp4" (H.264, yuv420p; odd sizes gain one repeated row or column), ".gif" (times
            rounded to 1/100 s), or a folder, which gets one image a frame.
        fps: frames per second, exact; for frames that are written without a timing. Unused for
            folders.
        size: (H, W) of the frames in pixels.
        times: display time of each frame in seconds from the first, for a variable frame rate
            that is known beforehand; replaces ``fps``.
        names: file name of each frame in a folder; the suffix sets the image format.
            Default: 00000.png, ...
        sample_aspect_ratio: width of a pixel relative to its height; only mp4 can say it.
        audio_from: a video file whose sound goes with the frames, at the times it has there; only
            mp4 has sound. Copied without loss where mp4 can hold it, else encoded as AAC; it ends
            with the last frame. Sound that cannot be read is left out with a warning.
        overwrite: whether an existing output is replaced. In a folder, files of other names stay.

    Raises:
        ValueError: an unknown suffix, or a frame rate or shape of pixels that is not positive or
            a rate too high for a gif.
        FileExistsError: the output exists and ``overwrite`` is False.
    """
    path = check_output(path, overwrite=overwrite)
    fps = Fraction(fps)
    if fps <= 0:
        raise ValueError(f"{path}: a frame rate of {fps} was given; it must be above 0")
    if sample_aspect_ratio <= 0:
        raise ValueError(
            f"{path}: a sample aspect ratio of {sample_aspect_ratio} was given; it must be above 0"
        )
    if path.is_dir() or not path.suffix:
        return FolderSink(path, size, names=names, overwrite=overwrite)
    if path.suffix.lower() == ".mp4":
        return Mp4Sink(
            path,
            size,
            Clock.fine(fps, times),
            overwrite,
            sample_aspect_ratio=sample_aspect_ratio,
            audio_from=audio_from,
        )
    if fps > _MAX_GIF_FPS:
        raise ValueError(
            f"{path}: a gif holds at most {_MAX_GIF_FPS} frames a second, not {float(fps):g}; "
            f"use --fps {_MAX_GIF_FPS} or .mp4"
        )
    return GifSink(path, size, Clock(fps, times, Fraction(1, 100)), overwrite)
