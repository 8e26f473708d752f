"""Foreign files while they are read: a video frame by frame, what is left out, and errors."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simplevtr.formats.images import frame_size
from simplevtr.importing.dataset import ImportedTrack, ImportedVideo, Rle, Size

from pycocotools import mask as coco_mask
from tqdm import tqdm

_HINT = " (--skip-broken leaves out what cannot be used)"
_MOST_PIXELS = 2**26  # of a frame, twice those of 8K


class UndecidedError(ValueError):
    """An option has to say what is meant: nothing is broken that could be left out."""


class BrokenVideoError(ValueError):
    """A whole video cannot be used, although what is wrong was seen in one of its frames."""


@dataclass
class ImportLog:
    """Counts what is left out while files are read, as :class:`ImportedDataset` has it.

    Unless ``skip_broken``, the first broken part is an error.
    """

    skip_broken: bool = False
    notes: Counter[str] = field(default_factory=Counter)
    broken: dict[str, list[str]] = field(default_factory=dict)

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
            if not self.skip_broken:
                raise _reworded(error, f"{error}{_HINT}") from error
            self.broken.setdefault(kind, []).append(str(error))

    def videos(self, items: Iterable[Any], read: Callable[[Any], Any]) -> list[Any]:
        """What ``read`` makes of each item; those for which it fails are treated as broken."""
        found = []
        for item in tqdm(items, desc="reading", unit="video", disable=None):
            with self.part("videos"):
                found.append(read(item))
        return found


@dataclass(eq=False)
class VideoDraft:
    """A video whose masks are added frame by frame; frames that cannot be used drop out.

    Only the frames' headers are read. ``size`` is what most of them have, and all that are kept;
    ``tracks`` has masks of all frames, by the keys of both.
    """

    log: ImportLog
    name: str  # what messages call the video
    frames: Mapping[Hashable, Path]  # in order, by what an importer calls them: number, name or id
    # Of some frames, the size that annotations were made at. Where it fits the stored pixels only,
    # these are meant and not the picture as EXIF turns it.
    stated: Mapping[Hashable, Size | None] = field(default_factory=dict)
    unite: bool = False  # whether a track may have several masks in a frame, which become one

    def __post_init__(self) -> None:
        self._lost: set[Hashable] = set()
        self.tracks: dict[Hashable, ImportedTrack] = {}
        self.size = self._agreed_size()

    @contextmanager
    def frame(self, key: Hashable, where: object = None) -> Iterator[None]:
        """Read something of a frame, which drops out of the video if that is broken."""
        with self.log.part("frames", where):
            yield
            return
        self._lost.add(key)

    def add(self, key: Hashable, category: str, frame: Hashable, mask: Rle | None) -> None:
        """Add the mask of track ``key`` in ``frame``; an empty one, or None, is only counted."""
        if mask is None or not coco_mask.area(mask):
            self.log.notes["empty masks left out"] += 1
            return
        track = self.tracks.setdefault(key, ImportedTrack(category))
        if track.category != category:
            raise BrokenVideoError(
                f"track {key!r} has category {category!r} here and {track.category!r} before; "
                "a track has one category"
            )
        if frame in track.masks:
            if not self.unite:
                raise ValueError(f"track {key!r} has a second mask in the same frame")
            mask = coco_mask.merge([track.masks[frame], mask])
        track.masks[frame] = mask

    def finished(self, root: Path) -> ImportedVideo:
        """The video without the frames that dropped out; its file names start at ``root``."""
        kept = [t for t in self.frames if t not in self._lost]
        if not kept:
            raise BrokenVideoError(f"{self.name}: no frame can be used")
        places = {t: place for place, t in enumerate(kept)}
        tracks = [
            ImportedTrack(track.category, {places[t]: track.masks[t] for t in shown})
            for track in self.tracks.values()
            if (shown := [t for t in track.masks if t in places])
        ]
        files = [self.frames[t].relative_to(root).as_posix() for t in kept]
        return ImportedVideo(self.name, self.size, files, tracks)

    def _agreed_size(self) -> Size:
        """The size of most frames; those of another one drop out."""
        sizes: dict[Hashable, Size] = {}
        for t, path in self.frames.items():
            with self.frame(t):
                sizes[t] = _size_of(path, self.stated.get(t))
        if not sizes:
            raise BrokenVideoError(f"{self.name}: no frame can be used")
        ((size, _),) = Counter(sizes.values()).most_common(1)
        usual = next(self.frames[t].name for t in sizes if sizes[t] == size)
        for t, found in sizes.items():
            if found != size and _size_of(self.frames[t], size) != size:
                with self.frame(t, self.frames[t]):
                    raise ValueError(
                        f"has {found[0]} x {found[1]} pixels (height x width), but {usual} of the "
                        f"same video has {size[0]} x {size[1]}"
                    )
        return size


def _size_of(path: Path, wanted: Size | None) -> Size:
    """(H, W) of a frame: the wanted one if it fits the picture turned or as it is stored."""
    try:
        size = frame_size(path, wanted)
    except ValueError:
        size = frame_size(path)
    if size[0] * size[1] > _MOST_PIXELS:
        raise ValueError(f"{path}: {size[0]} x {size[1]} pixels; at most {_MOST_PIXELS}")
    return size


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
