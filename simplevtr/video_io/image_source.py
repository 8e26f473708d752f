"""Image files as frames: a folder, a pattern, several files, or one file with several pictures."""

import logging
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from simplevtr.formats import images
from simplevtr.formats.paths import natural_key
from simplevtr.video_io.frame_source import FrameSource, FrameTiming

import numpy as np

logger = logging.getLogger(__name__)

_SPELLINGS = {".jpeg": ".jpg", ".tiff": ".tif"}


class ImageSource(FrameSource):
    """One frame per image, in natural order of the paths; holds one frame at a time.

    All files are looked into, none decoded. ValueError if one is not an image or is an animation,
    two differ in nothing but the suffix (a frame and its mask, for instance), or sizes differ.
    """

    def __init__(self, paths: Sequence[Path], shown: str):
        self.files = sorted(paths, key=lambda path: natural_key(str(path)))
        self.path, self.length = shown, len(self.files)
        first = self.files[0]
        self.size = images.frame_size(first)
        seen: dict[Path, Path] = {}
        for path in self.files:
            other = seen.setdefault(path.with_suffix(""), path)
            if other is not path:
                raise ValueError(
                    f"{other} and {path} would be two frames; where one of them is a mask, choose "
                    f"the frames by a pattern, such as '{path.parent}/*{other.suffix}'"
                )
            _check_size(path, images.frame_size(path), self.size, f"the first frame {first}")
            if self.length > 1 and (count := images.picture_count(path)) > 1:
                raise ValueError(
                    f"{path} has {count} pictures; a file with several pictures is a video of its "
                    "own, and videos are read one at a time"
                )
        names = [path.name for path in self.files]
        # Images from several folders may share names, which then cannot name output files.
        self.names = names if len(set(names)) == len(names) else None

    def __iter__(self) -> Iterator[np.ndarray]:
        return map(images.read_frame, self.files)


class PictureSource(FrameSource):
    """The pictures of one file: an animation (WebP, PNG) with its times, or the pages of a TIFF.

    The first one is decoded at once; ValueError if the file is not an image.
    """

    def __init__(self, path: Path):
        self.files, self.path = [path], str(path)
        self.length = images.picture_count(path)
        pixels, seconds = next(images.read_pictures(path))
        self.size = pixels.shape[:2]
        self.fps = 1 / seconds if seconds else None
        self._timings: list[FrameTiming] = []

    def __iter__(self) -> Iterator[np.ndarray]:
        timings = self._timings = []
        start = Fraction(0)
        for index, (pixels, seconds) in enumerate(images.read_pictures(self.files[0])):
            _check_size(f"{self.path}, picture {index}", pixels.shape[:2], self.size, "picture 0")
            if seconds is not None:
                timings.append(FrameTiming(start, seconds))
                start += seconds
            yield pixels

    def timing(self, index: int) -> FrameTiming | None:
        """See ``FrameSource``; None for pages."""
        return None if self.fps is None else self._timings[index]


def images_in(folder: Path) -> list[Path]:
    """The frames in a folder: all images, or the .jpg files if each other one has the name of one.

    Those others, such as 00000.png beside 00000.jpg, are taken for masks, with a warning.
    ValueError: there are no images, or other mixtures of kinds.
    """
    kinds: dict[str, list[Path]] = {}
    for path in folder.iterdir():
        # Names with a leading dot are the file manager's, such as "._00001.jpg".
        if images.is_image(path) and path.name[0] != "." and not path.is_dir():
            suffix = path.suffix.lower()
            kinds.setdefault(_SPELLINGS.get(suffix, suffix), []).append(path)
    if not kinds:
        allowed = ", ".join(images.IMAGE_SUFFIXES)
        raise ValueError(f"{folder}: no frames ({allowed}) in this folder")
    if len(kinds) == 1:
        return next(iter(kinds.values()))
    found = " and ".join(f"{len(files)} {kind}" for kind, files in sorted(kinds.items()))
    photographs = kinds.get(".jpg", [])
    stems = {path.stem for path in photographs}
    if all(path.stem in stems for files in kinds.values() for path in files):
        logger.warning(
            "%s: has %s files of the same names; the .jpg files are the frames, others are "
            "taken for masks",
            folder, found,
        )  # fmt: skip
        return photographs
    kind = min(kinds.values(), key=lambda files: (-len(files), files[0].suffix))[0].suffix
    way_out = f"choose the frames by a pattern, such as '{folder}/*{kind}'"
    raise ValueError(f"{folder}: has {found} files, of which some may be masks; {way_out}")


def _check_size(what: object, size: tuple[int, int], wanted: tuple[int, int], first: str) -> None:
    if size != wanted:
        found = f"{size[1]}x{size[0]} pixels, but {first} is {wanted[1]}x{wanted[0]}"
        raise ValueError(f"{what} is {found}; all frames of a video must have one size")
