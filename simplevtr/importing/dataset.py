"""What an importer makes of foreign files: videos, their tracks, and what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

# A compressed RLE as pycocotools takes it, {"size": [H, W], "counts": bytes}.
Rle = dict
Size = tuple[int, int]  # (H, W) in pixels
Item = TypeVar("Item")
Video = TypeVar("Video")

FRAMES = ("annotated", "all")  # of a video that are imported, where not all have annotations
_HINT = " (--skip-broken leaves out what cannot be used)"


class UndecidedError(ValueError):
    """An option has to say what is meant: nothing is broken that could be left out."""


class BrokenVideoError(ValueError):
    """A whole video cannot be used, although what is wrong was seen in one of its frames."""


@dataclass
class ImportedTrack:
    """One object of a video.

    Attributes:
        category: the name of its category.
        masks: 0-based frame -> mask; absent frames are left out.
    """

    category: str
    masks: dict[int, Rle] = field(default_factory=dict)


@dataclass(frozen=True)
class ImportedVideo:
    """One video.

    Attributes:
        name: what messages call it.
        size: (H, W) of all frames in pixels.
        file_names: the frames in order, relative to the image root, with "/" between folders.
        tracks: its objects, none without a mask.
    """

    name: str
    size: Size
    file_names: list[str]
    tracks: list[ImportedTrack]


@dataclass(frozen=True)
class ImportedDataset:
    """What was found in foreign files.

    Attributes:
        image_root: the folder that the file names of the frames start at.
        videos: in the order in which they are numbered.
        categories: (id, name) pairs in the order of the output; ids and names are distinct.
        notes: what was left out or changed, in words, with how often.
        broken: what was left out because it cannot be used: "frames" or another kind of part -> a
            message for each that names the file and says why.
    """

    image_root: Path
    videos: list[ImportedVideo]
    categories: list[tuple[int, str]]
    notes: Counter[str]
    broken: dict[str, list[str]] = field(default_factory=dict)


class ImportLog:
    """Counts what is left out while files are read, as :class:`ImportedDataset` has it."""

    def __init__(self, *, skip_broken: bool = False) -> None:
        """Start with nothing; if ``skip_broken`` is False, the first broken part is an error."""
        self.notes: Counter[str] = Counter()
        self.broken: dict[str, list[str]] = {}
        self._skip_broken = skip_broken

    @contextmanager
    def part(self, kind: str, where: object = None) -> Iterator[None]:
        """Read one of the "frames" or "videos" (``kind``), which is left out if it is broken.

        The error goes on if nothing may be skipped, if an option has to decide, and from a frame
        if the whole video is broken; ``where`` is put before its message.
        """
        try:
            with naming(where):
                yield
        except (ValueError, OSError) as error:
            whole = kind == "frames" and isinstance(error, BrokenVideoError)
            if whole or isinstance(error, UndecidedError) or str(error).endswith(_HINT):
                raise
            if not self._skip_broken:
                raise _reworded(error, f"{error}{_HINT}") from error
            self.broken.setdefault(kind, []).append(str(error))

    def videos(self, items: Iterable[Item], read: Callable[[Item], Video]) -> list[Video]:
        """What ``read`` makes of each item; those for which it fails are treated as broken."""
        found = []
        for item in tqdm(items, desc="reading", unit="video", disable=None):
            with self.part("videos"):
                found.append(read(item))
        return found

    def dataset(
        self, root: Path, videos: list[ImportedVideo], categories: list[tuple[int, str]]
    ) -> ImportedDataset:
        """The videos with what was left out."""
        return ImportedDataset(root, videos, categories, self.notes, self.broken)


@contextmanager
def naming(where: object) -> Iterator[None]:
    """Put ``where`` (a file, and a place in it), unless it is None, before errors' messages."""
    try:
        yield
    except (ValueError, FileNotFoundError) as error:
        if where is None:
            raise
        raise _reworded(error, f"{where}: {error}") from error


def _reworded(error: Exception, message: str) -> Exception:
    """An error of the same meaning with another message."""
    kinds = (UndecidedError, BrokenVideoError, FileNotFoundError)
    return next((kind for kind in kinds if isinstance(error, kind)), ValueError)(message)


def require_choice(name: str, value: str, allowed: Sequence[str]) -> None:
    """Raise ValueError unless the value of an option is one of those allowed."""
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; allowed: {', '.join(allowed)}")
