"""Image files as frames: a folder, a pattern, several files, or one file with several pictures."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from simplevtr.formats.images import (
    IMAGE_SUFFIXES,
    frame_size,
    is_image,
    picture_count,
    read_frame,
    read_pictures,
)
from simplevtr.formats.paths import natural_key
from simplevtr.video_io.frame_source import FrameSource
from simplevtr.video_io.frame_times import FrameTiming

import numpy as np

logger = logging.getLogger(__name__)

_SPELLINGS = {".jpeg": ".jpg", ".tiff": ".tif"}


class ImageSource(FrameSource):
    """One frame an image; can be iterated any number of times, and holds one frame at a time."""

    def __init__(self, paths: Sequence[Path], shown: str):
        """Look into all files; none is decoded.

        Args:
            paths: image files, put in natural order of their paths.
            shown: what the user wrote.

        Raises:
            ValueError: a file is not an image or an animation, two differ in nothing but the
                suffix (a frame and its mask, for instance), or their sizes differ.
        """
        self.files = sorted(paths, key=lambda path: natural_key(str(path)))
        self.path = shown
        self.length = len(self.files)
        self._refuse_doubles()
        first = self.files[0]
        self.size = frame_size(first)
        for path in self.files:
            if (size := frame_size(path)) != self.size:
                raise _other_size(path, size, self.size, f"the first frame {first}")
            if self.length > 1 and (count := picture_count(path)) > 1:
                raise ValueError(
                    f"{path} has {count} pictures; a file with several pictures is a video of its "
                    "own, and videos are read one at a time"
                )
        names = [path.name for path in self.files]
        # Images from several folders may share names, which then cannot name output files.
        self.names = names if len(set(names)) == len(names) else None

    def _refuse_doubles(self) -> None:
        seen: dict[Path, Path] = {}
        for path in self.files:
            other = seen.setdefault(path.with_suffix(""), path)
            if other is not path:
                raise ValueError(
                    f"{other} and {path} would be two frames; where one of them is a mask, choose "
                    f"the frames by a pattern, such as '{path.parent}/*{other.suffix}'"
                )

    def __iter__(self) -> Iterator[np.ndarray]:
        for path in self.files:
            yield read_frame(path)


class PictureSource(FrameSource):
    """The pictures of one file: an animation (WebP, PNG) with its times, or the pages of a TIFF."""

    def __init__(self, path: Path):
        """Decode the first picture.

        Raises:
            ValueError: the file is not an image.
        """
        self.files, self.path = [path], str(path)
        self.length = picture_count(path)
        pixels, seconds = next(read_pictures(path))
        self.size = pixels.shape[:2]
        self.fps = 1 / seconds if seconds else None
        self._timings: list[FrameTiming] = []

    def __iter__(self) -> Iterator[np.ndarray]:
        timings = self._timings = []
        start = Fraction(0)
        for index, (pixels, seconds) in enumerate(read_pictures(self.files[0])):
            size = pixels.shape[:2]
            if size != self.size:
                raise _other_size(f"{self.path}, picture {index}", size, self.size, "picture 0")
            if seconds is not None:
                timings.append(FrameTiming(start, seconds))
                start += seconds
            yield pixels

    def timing(self, index: int) -> FrameTiming | None:
        """When picture ``index`` of the latest pass is shown; None for pages."""
        return None if self.fps is None else self._timings[index]


def open_images(paths: Sequence[Path], shown: str) -> FrameSource:
    """Image files as a video.

    Raises:
        ValueError: see ``ImageSource`` and ``PictureSource``.
    """
    if len(paths) == 1 and picture_count(paths[0]) > 1:
        return PictureSource(paths[0])
    return ImageSource(paths, shown)


def images_in(folder: Path) -> list[Path]:
    """The frames in a folder: all images, or the .jpg files if all others are their doubles.

    Doubles, such as 00000.png of 00000.jpg, are taken for masks, with a warning.

    Raises:
        ValueError: there are none, or images of several kinds that are not such doubles.
    """
    # Names with a leading dot are the file manager's, such as "._00001.jpg".
    frames = [p for p in folder.iterdir() if is_image(p) and p.name[0] != "." and p.is_file()]
    if not frames:
        raise ValueError(f"{folder}: no frames ({', '.join(IMAGE_SUFFIXES)}) in this folder")
    kinds: dict[str, list[Path]] = {}
    for path in frames:
        suffix = path.suffix.lower()
        kinds.setdefault(_SPELLINGS.get(suffix, suffix), []).append(path)
    if len(kinds) > 1:
        found = " and ".join(f"{len(files)} {kind}" for kind, files in sorted(kinds.items()))
        photographs = kinds.get(".jpg", [])
        if {path.stem for path in frames} == {path.stem for path in photographs}:
            logger.warning(
                "%s: has %s files of the same names; the .jpg files are the frames, others are "
                "taken for masks",
                folder, found,
            )  # fmt: skip
            return photographs
        kind = min(kinds.values(), key=lambda files: (-len(files), files[0].suffix))[0].suffix
        raise ValueError(
            f"{folder}: has {found} files, of which some may be masks; choose the frames by a "
            f"pattern, such as '{folder}/*{kind}'"
        )
    return frames


def _other_size(
    what: object, size: tuple[int, int], first_size: tuple[int, int], first: str
) -> ValueError:
    (h, w), (first_h, first_w) = size, first_size
    return ValueError(
        f"{what} is {w}x{h} pixels, but {first} is {first_w}x{first_h}; all frames of a video must "
        "have one size"
    )
