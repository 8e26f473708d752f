"""The interface of all sources of frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from simplevtr.video_io.frame_times import FrameTiming

import numpy as np


class FrameSource(ABC):
    """A sequence of RGB frames of one size."""

    path: str  # the input as the user wrote it, but without passwords, for messages
    files: list[Path]  # that are read; empty for cameras and addresses
    size: tuple[int, int]  # (H, W) of every frame in pixels, upright
    fps: Fraction | None = None  # exact; None if unknown (image sequences)
    # Number of frames; None where it is known only after reading (some video containers) or there
    # is no end. A damaged video may have fewer.
    length: int | None = None
    names: list[str] | None = None  # of the files of an image sequence, unique; None for videos
    live: bool = False  # cameras and addresses, which can be iterated only once
    sound: Path | None = None  # the file whose sound track belongs to the frames
    sample_aspect_ratio: Fraction = Fraction(1)  # width of a pixel relative to its height

    @abstractmethod
    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield (H, W, 3) uint8 RGB frames in display order.

        Raises:
            ValueError: a live source is iterated for the second time.
        """

    def timing(self, index: int) -> FrameTiming | None:
        """When frame ``index`` of the latest pass is shown; None for images, which have no times.

        Raises:
            IndexError: that frame has not been read.
        """
        return None

    def close(self) -> None:
        """Release a camera or connection that is not read to its end; files do not need it."""
        return
