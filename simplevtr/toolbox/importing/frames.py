"""Frames that are written as image files, where a source has none that readers can use.

Grey pictures of 16 bits become 8-bit PNGs: over all frames of a video, the level that 0.1 % of the
pixels are below becomes 0, the one that 99.9 % are not above becomes 255, and levels between them
are spread evenly. One scale for a video keeps its brightness from flickering. Pictures of 8 bits
keep their levels. Frames of encoded video become JPEGs.
"""

from collections.abc import Sequence
from pathlib import Path

from simplevtr import video_io
from simplevtr.formats.images import opened

import numpy as np

_DARKEST, _BRIGHTEST = 0.001, 0.999  # the shares of a video's pixels that become 0 and 255
DEEP = ("I;16", "I;16B", "I;16L", "I;16N")  # Pillow's modes of 16-bit grey


def is_deep(path: Path) -> bool:
    """Whether a picture is of 16-bit grey; its header is read. ValueError if that fails."""
    with opened(path) as image:
        return image.mode in DEEP


def write_grey(pictures: Sequence[Path], folder: Path) -> list[Path]:
    """Write grey pictures, (H, W) of 8 or 16 bits, as 8-bit PNGs of the same names, in order.

    ValueError: one is not such a picture, has another depth or size than the first, or lies in the
    folder itself, where it would be replaced or have a double.
    """
    if folder.is_dir() and any(path.parent.samefile(folder) for path in pictures):
        raise ValueError(f"{folder}: holds the frames that are to be copied; choose another folder")
    first = _levels(pictures[0])
    histogram = np.zeros(np.iinfo(first.dtype).max + 1, np.int64)
    for path in pictures:
        levels = _levels(path)
        if (levels.shape, levels.dtype) != (first.shape, first.dtype):
            found = f"{levels.shape} pixels of {levels.dtype}, {pictures[0].name} {first.shape}"
            raise ValueError(f"{path}: has {found} of {first.dtype}; a video has one of each")
        histogram += np.bincount(levels.ravel(), minlength=len(histogram))
    table = np.arange(len(histogram))
    if first.dtype != np.uint8:
        below = np.cumsum(histogram) / histogram.sum()
        low, high = np.searchsorted(below, (_DARKEST, _BRIGHTEST))
        table = np.clip((table - low) * 255 / max(high - low, 1) + 0.5, 0, 255)
    table = table.astype(np.uint8)
    names = [f"{path.stem}.png" for path in pictures]
    with video_io.open_sink(folder, 1, first.shape, names=names, overwrite=True) as sink:
        for path in pictures:
            sink.write(np.repeat(table[_levels(path)][..., None], 3, axis=2))
    return [folder / name for name in names]


def _levels(path: Path) -> np.ndarray:
    """(H, W) uint8 or uint16 of a grey picture."""
    with opened(path) as image:
        mode = image.mode
        if mode == "L" or mode in DEEP:
            return np.array(image).astype(np.uint8 if mode == "L" else np.uint16)
    raise ValueError(f"{path}: is of mode {mode!r}; grey of 8 or 16 bits is needed")


def write_video(path: Path, folder: Path, numbers: range, most: int) -> dict[int, Path]:
    """Write the frames of these numbers, ascending, of a video as 00000.jpg, ..., by number.

    ValueError: it is not a video, ends before the last of them, or states more than ``most``
    frames.
    """
    source = video_io.open_source(path)
    if source.length is not None and source.length > most:
        raise ValueError(f"{path}: has {source.length} frames; at most {most} are expected")
    folder.mkdir(parents=True, exist_ok=True)  # its name may have a dot
    files = {number: folder / f"{number:05d}.jpg" for number in numbers}
    names = [file.name for file in files.values()]
    read = 0
    with video_io.open_sink(folder, 1, source.size, names=names, overwrite=True) as sink:
        for frame in source:
            if read in files:
                sink.write(frame)
            read += 1
            if sink.count == len(files):
                return files
        raise ValueError(f"{path}: has {read} frames, but frame {numbers[sink.count]} is annotated")
