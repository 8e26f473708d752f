"""Opening image files that may be anybody's."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from functools import lru_cache
from os import PathLike
from typing import IO

from PIL import Image

# What frames are in. Pillow knows more formats, some of which it hands to other programs.
_FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "BMP", "TIFF", "PPM", "GIF", "JPEG2000")
# What Pillow raises on files that are no images, are cut short, broken, or unreasonably large.
UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    TypeError,
    LookupError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def open_image(
    file: str | PathLike[str] | IO[bytes], formats: Sequence[str] | None = None
) -> Image.Image:
    """An image, not decoded yet.

    Args:
        file: path or open file.
        formats: Pillow's names of the allowed ones; by default all that frames are in.

    Raises:
        UNREADABLE: it is no such file; decoding it may raise the same.
    """
    return Image.open(file, formats=formats or _known_formats())


@lru_cache(maxsize=1)
def _known_formats() -> tuple[str, ...]:
    """Those that this Pillow was built with."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)
