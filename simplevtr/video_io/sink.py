"""Outputs that are written frame by frame; among them folders of images.

Everything is written under a temporary name next to the target and renamed at the end, so that the
final name never holds half a result. A run that breaks off keeps the temporary file and reports
where it is.
"""

from __future__ import annotations

import itertools
import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from simplevtr.formats.files import check_output
from simplevtr.video_io.frame_times import FrameTiming

import av
import numpy as np
from PIL import Image

logger = logging.getLogger(__name__)


class Sink:
    """Receives one item per frame, in a file or a folder; use it as a context manager.

    Attributes:
        path: the final name, which exists only after the context has ended without an exception.
            Where it is a folder that exists, files of other names in it stay.
        size: (H, W) of every frame in pixels.
        count: number of frames written so far.
    """

    def __init__(self, path: Path, size: tuple[int, int], *, overwrite: bool, folder: bool = False):
        self.path, self.size, self.count = path, tuple(size), 0
        self._overwrite, self._folder = overwrite, folder
        path.parent.mkdir(parents=True, exist_ok=True)
        self._partial = _partial_name(path)
        if folder:
            self._partial.mkdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> None:
        if self.count == 0:
            self._discard()
            if kind is None:
                raise ValueError(f"{self.path}: there are no frames to write")
        elif kind is None:
            self._finish()
            self._publish()
        else:
            try:
                self._finish()
            except (av.FFmpegError, OSError) as error:
                logger.warning("%s: could not be closed (%s)", self._partial, error)
            found = self.path, self.count, self._partial
            logger.warning("%s: not complete; the %d frames done are kept in %s", *found)

    def _finish(self) -> None:
        """Flush and close what is under the temporary name."""
        return

    def _discard(self) -> None:
        """Remove what is under the temporary name."""
        if self._folder:
            shutil.rmtree(self._partial)
        else:
            self._partial.unlink(missing_ok=True)

    def _publish(self) -> None:
        suffix = "" if self._folder else self.path.suffix.lower()
        try:  # it may have appeared meanwhile
            check_output(self.path, overwrite=self._overwrite, suffixes=(suffix,))
        except FileExistsError:
            logger.warning("the finished result is kept in %s", self._partial)
            raise
        if not (self._folder and self.path.exists()):
            os.replace(self._partial, self.path)
            return
        for image in sorted(self._partial.iterdir()):
            os.replace(image, self.path / image.name)
        self._partial.rmdir()


class FrameSink(Sink):
    """Receives RGB frames one by one."""

    def write(self, frame: np.ndarray, timing: FrameTiming | None = None) -> None:
        """Append one (H, W, 3) uint8 RGB frame.

        Args:
            frame: the picture.
            timing: when it is shown (``FrameSource.timing``); None: right after the one before,
                for as long as the sink's frame rate implies. Folders have no times.

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

    def _append(self, frame: np.ndarray, timing: FrameTiming | None) -> None:
        raise NotImplementedError


class FolderSink(FrameSink):
    """A folder with one image per frame."""

    def __init__(
        self, path: Path, size: tuple[int, int], names: Sequence[str] | None, *, overwrite: bool
    ):
        super().__init__(path, size, overwrite=overwrite, folder=True)
        self._names = names

    def _append(self, frame: np.ndarray, timing: FrameTiming | None) -> None:
        name = f"{self.count:05d}.png" if self._names is None else self._names[self.count]
        Image.fromarray(frame).save(self._partial / name, quality=95)  # quality: jpg and webp


def _partial_name(path: Path) -> Path:
    """A free name next to ``path``: an earlier run may have left its own."""
    extras = itertools.chain([""], (f"-{number}" for number in itertools.count(1)))
    names = (path.with_name(f"{path.stem}.partial{extra}{path.suffix}") for extra in extras)
    return next(name for name in names if not name.exists())
