"""What receives frames: the interface, and a folder of images."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

from simplevtr.video_io.frame_times import FrameTiming
from simplevtr.video_io.sink import FolderOutput, Sink

import numpy as np
from PIL import Image


class FrameSink(Sink):
    """Takes RGB frames one by one; use it as a context manager.

    Attributes:
        size: (H, W) that every frame must have.
    """

    size: tuple[int, int]

    def write(self, frame: np.ndarray, timing: FrameTiming | None = None) -> None:
        """Append one (H, W, 3) uint8 RGB frame.

        Args:
            frame: the picture.
            timing: when it is shown (``FrameSource.timing``); None: right after the one before,
                for as long as the sink's frame rate says. Folders have no times.

        Raises:
            ValueError: the frame has another shape or dtype.
        """
        if frame.shape != (*self.size, 3) or frame.dtype != np.uint8:
            raise ValueError(
                f"{self.path}: a frame of shape {frame.shape} and type {frame.dtype} was given, "
                f"expected {(*self.size, 3)} and uint8"
            )
        self._append(np.ascontiguousarray(frame), timing)
        self.count += 1

    @abstractmethod
    def _append(self, frame: np.ndarray, timing: FrameTiming | None) -> None: ...


class FolderSink(FolderOutput, FrameSink):
    """A folder with one image a frame."""

    def __init__(
        self, path: Path, size: tuple[int, int], *, names: Sequence[str] | None, overwrite: bool
    ):
        super().__init__(path, overwrite=overwrite)
        self.size = tuple(size)
        self._names = names

    def _append(self, frame: np.ndarray, timing: FrameTiming | None) -> None:
        name = f"{self.count:05d}.png" if self._names is None else self._names[self.count]
        Image.fromarray(frame).save(self._partial / name, quality=95)  # quality: jpg and webp
