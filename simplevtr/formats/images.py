"""Image files as frames: which size they have, which way is up, and what their pixels mean.

The loader, the demo, the doctor, the report and the importers all read frames here, so that masks
lie where the same picture shows the object everywhere.

*Orientation.* A frame is read as its EXIF orientation turns it, which is how labelling tools show
it. Where the annotated size fits the stored pixels only, those are taken as they are stored.

*Errors.* What reads a frame raises FileNotFoundError, or ValueError that names the file and what is
wrong with it: not an image, another size than expected, or pixels without a known range.

*Pixels.* Grey, palette and transparent images become RGB. 16-bit grey keeps its upper 8 bits, as
Pillow does with 16-bit colour. 32-bit integers and floats have no range to scale by: refused.
"""

import logging
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache, partial
from pathlib import PurePath
from typing import IO, Any

from simplevtr.formats.paths import AnyPath

import numpy as np
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import TiffImageFile

logger = logging.getLogger(__name__)

Size = tuple[int, int]  # (height, width) in pixels
# What the files of frames may end in.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
# The formats of frames. Pillow reads more, some of them through other programs.
_FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "BMP", "TIFF", "PPM", "GIF", "JPEG2000")
# What Pillow raises on files that are not images, are cut short, broken, or unreasonably large.
UNREADABLE = (
    OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, OverflowError, MemoryError,
    struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip

_DARK = 2**12  # 16-bit pixels of a microscope's 12 bits, for instance, are below this
_warned_of: list[str] = []  # the first such frame
_SUBFILE_TYPE = 254  # of a TIFF's page
# Formats with several pictures that follow each other. Those of an MPO are views of one moment.
_MOVING = ("WEBP", "PNG", "TIFF", "GIF")
_UNTIMED = Fraction(1, 10)  # seconds that browsers show pictures which have no time

_Turn = Image.Transpose
_Readings = dict[Size, _Turn | None]
# What turns stored pixels upright, by EXIF orientation, and what undoes it.
_UPRIGHT = {
    2: _Turn.FLIP_LEFT_RIGHT,
    3: _Turn.ROTATE_180,
    4: _Turn.FLIP_TOP_BOTTOM,
    5: _Turn.TRANSPOSE,
    6: _Turn.ROTATE_270,
    7: _Turn.TRANSVERSE,
    8: _Turn.ROTATE_90,
}
_SWAPPING = (_Turn.TRANSPOSE, _Turn.ROTATE_270, _Turn.TRANSVERSE, _Turn.ROTATE_90)
_INVERSE = {_Turn.ROTATE_270: _Turn.ROTATE_90, _Turn.ROTATE_90: _Turn.ROTATE_270}


def is_image(path: str | PurePath) -> bool:
    """Whether the name of a file ends like that of a frame."""
    return PurePath(path).suffix.lower() in IMAGE_SUFFIXES


def open_image(file: AnyPath | IO[bytes], formats: tuple[str, ...] | None = None) -> Image.Image:
    """An image as it is stored, not decoded yet; one of ``UNREADABLE`` if it is not such a file.

    ``formats`` are Pillow's names of the allowed ones; by default all that frames are in.
    """
    return Image.open(file, formats=formats or _known_formats())


def image_header(path: AnyPath) -> tuple[Size, str] | tuple[None, None]:
    """An image's (H, W) as it is stored and Pillow's name for its pixels; None if it is none."""
    try:
        with open_image(path) as image:
            return (image.height, image.width), image.mode
    except UNREADABLE:
        return None, None


def frame_size(path: AnyPath, expected_size: Size | None = None) -> Size:
    """(height, width) in pixels as :func:`read_frame` reads the file, which is not decoded."""
    return _read(path, expected_size, lambda file, turn: None)[1]


def check_frame(path: AnyPath, expected_size: Size | None = None) -> None:
    """Decode an image file as :func:`read_frame` does, in half the time: no array is made."""
    _read(path, expected_size, lambda file, turn: _as_rgb(file).load())


def read_frame(path: AnyPath, expected_size: Size | None = None) -> np.ndarray:
    """Read an image file as (H, W, 3) uint8 RGB, upright, writable.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a complete image, has another (height, width) in pixels than expected,
            or pixels of 32 bits.
    """
    return read_reduced_frame(path, expected_size, reduction=1)[0]


def read_reduced_frame(
    path: AnyPath, expected_size: Size | None = None, *, reduction: int
) -> tuple[np.ndarray, int]:
    """``read_frame`` of a JPEG at 1 / ``reduction`` of its size: 1, 2, 4 or 8.

    A JPEG's blocks of 8 x 8 pixels are decoded to smaller blocks, each pixel about the mean of the
    ``reduction`` x ``reduction`` pixels in its place: cheaper than to decode all and resize.

    Returns:
        (ceil(H / factor), ceil(W / factor), 3) uint8 RGB, and the factor by which it is reduced:
        ``reduction``, or 1 for files that only come whole.
    """
    image, size = _read(path, expected_size, partial(_decode, reduction=reduction))
    return image, 1 if image.shape[:2] == size else reduction


def evenly_spaced(length: int, most: int) -> list[int]:
    """At most ``most`` frame numbers from 0 to ``length`` - 1, with the first and the last."""
    return sorted({round(i) for i in np.linspace(0, length - 1, min(length, most)).tolist()})


def picture_count(path: AnyPath) -> int:
    """How many pictures follow each other, more than 1 in an animation (WebP, PNG, GIF) or TIFF."""
    with opened(path) as file:
        return len(_pictures(file))


def read_pictures(path: AnyPath) -> Iterator[tuple[np.ndarray, Fraction | None]]:
    """The pictures of an animation or the pages of a TIFF, one at a time.

    Yields (H, W, 3) uint8 RGB, writable, and the seconds for which it is shown, None for pages.
    """
    with opened(path) as file:
        turn = next(iter(_readings(file).values()))
        for i in _pictures(file):
            file.seek(i)
            pixels = _decode(file, turn, reduction=1)
            duration = Fraction(file.info.get("duration", 0)).limit_denominator(10_000) / 1000
            yield pixels, None if file.format == "TIFF" else duration or _UNTIMED


def _pictures(file: Image.Image) -> list[int]:
    """Which pictures of an open file are its frames."""
    count = getattr(file, "n_frames", 1) if file.format in _MOVING else 1
    if count == 1 or not isinstance(file, TiffImageFile):
        # A default image comes first, for programs that do not support animations.
        return list(range(int(count > 1 and getattr(file, "default_image", False)), count))
    found = []
    for i in range(count):
        file.seek(i)
        if not file.tag_v2.get(_SUBFILE_TYPE, 0) & 1:  # the page before, made smaller
            found.append(i)
    file.seek(0)
    return found or [0]


@contextmanager
def opened(path: AnyPath) -> Iterator[Image.Image]:
    """An open image file; whatever makes it unreadable becomes one error that names it."""
    path = os.fspath(path)
    if not os.path.isfile(path):  # pipes and devices could block
        raise FileNotFoundError(f"frame {path} does not exist")
    try:
        with open_image(path) as file:
            yield file
    except UNREADABLE as error:
        raise ValueError(f"frame {path} cannot be read as an image: {error}") from error


def _read(
    path: AnyPath, expected_size: Size | None, use: Callable[[Image.Image, _Turn | None], Any]
) -> tuple[Any, Size]:
    """What ``use`` makes of the file and its turn, and the whole (height, width)."""
    with opened(path) as file:
        _check_pixels(file)
        readings = _readings(file)
        for size, turn in readings.items():
            if expected_size is None or size == tuple(expected_size):
                return use(file, turn), size
    found = " or, as stored without its EXIF orientation, ".join(f"{h}x{w}" for h, w in readings)
    raise ValueError(
        f"frame {path} has {found} pixels (height x width), "
        f"but its annotation file says {'x'.join(map(str, expected_size or ()))}"
    )


def _readings(file: Image.Image) -> _Readings:
    """By (height, width) how to turn the decoded picture: upright first, then as it is stored.

    Where the two have the same size, upright is the only reading.
    """
    size, turn = (file.height, file.width), _UPRIGHT.get(_orientation(file))
    if turn not in _SWAPPING:
        return {size: None if file.format == "TIFF" else turn}
    upright: _Readings = {size[::-1]: turn}
    stored: _Readings = {size: None}
    if file.format == "TIFF":  # Pillow itself turns these upright
        upright, stored = {size: None}, {size[::-1]: _INVERSE.get(turn, turn)}
    return {**upright, **stored, **upright}


def _orientation(file: Image.Image) -> int:
    """The EXIF orientation, 1 if there is none or none that can be read."""
    if file.format == "PNG" and not {"exif", "Raw profile type exif", "xmp"} & file.info.keys():
        return 1  # Pillow would decode the whole picture to look for it
    try:
        return file.getexif().get(ExifTags.Base.Orientation, 1)
    except UNREADABLE:
        return 1


def _decode(file: Image.Image, turn: _Turn | None, *, reduction: int) -> np.ndarray:
    width, height = file.size
    if turn is not None and (width % reduction or height % reduction):
        reduction = 1  # a turn would put the last, narrower block of pixels first
    if file.format == "JPEG" and 1 < reduction <= min(width, height):
        file.draft(None, (width // reduction, height // reduction))
    image = _as_rgb(file)
    return np.array(image if turn is None else image.transpose(turn))


def _as_rgb(file: Image.Image) -> Image.Image:
    """The decoded picture in RGB; ValueError if its pixels have no range that is known."""
    _check_pixels(file)
    if file.mode == "RGB":
        return file
    if file.mode.startswith("I"):
        pixels = np.asarray(file)
        if pixels.max() < _DARK:
            _tell_of_dark(file)
        return Image.fromarray((pixels >> 8).astype(np.uint8)).convert("RGB")
    return file.convert("RGB")


def _tell_of_dark(file: Image.Image) -> None:
    """Warn of the first such frame of a process: the others will be like it."""
    if not _warned_of:
        name = getattr(file, "filename", "") or "a frame"
        _warned_of.append(name)
        logger.warning(
            "%s has 16-bit pixels that are all below %d: of their upper 8 bits next to nothing is "
            "left, so it is nearly black. Frames of 12 bits must be scaled to 16, or to 8",
            name, _DARK,
        )  # fmt: skip


def _check_pixels(file: Image.Image) -> None:
    """ValueError if the pixels, of which only the kind is looked at, have no range."""
    if file.mode == "F" or (file.mode == "I" and file.format != "PPM"):
        kind = "floating point" if file.mode == "F" else "integer"
        found = f"its pixels are 32-bit {kind} numbers (mode {file.mode!r})"
        raise ValueError(f"{found}, whose range is unknown; save it with 8 or 16 bits")


@lru_cache(maxsize=1)
def _known_formats() -> tuple[str, ...]:
    """Those that this Pillow was built with."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)
