"""A dataset while it is read from foreign files: its videos, what is left out, and errors."""

import reprlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simplevtr.formats.images import Size, frame_size
from simplevtr.formats.paths import relative

from pycocotools import mask as coco_mask
from tqdm import tqdm

# A compressed RLE as pycocotools takes it, {"size": [H, W], "counts": bytes}.
Rle = dict

_MOST_PIXELS = 2**26  # of a frame, twice those of 8K


class UndecidedError(ValueError):
    """An option has to decide what is meant; nothing is broken that could be left out."""


class BrokenVideoError(ValueError):
    """A whole video cannot be used, although what is wrong was seen in one of its frames."""


@dataclass
class ImportedTrack:
    """One object of a video."""

    category: str
    masks: dict[Any, Rle] = field(default_factory=dict)  # by 0-based frame, where it shows


@dataclass
class ImportedVideo:
    """One video; no track is without a mask."""

    name: str  # what messages call it
    size: Size  # of all frames
    file_names: list[str]  # in order, relative to the image root, with "/" between folders
    tracks: list[ImportedTrack]


@dataclass
class ImportedDataset:
    """What is found in foreign files, in the order of the output, and what is left out of them."""

    image_root: Path = Path()  # the folder that the file names of the frames start at
    skip_broken: bool = False  # whether what cannot be used is left out; otherwise it is an error
    # Other names for categories, once all is read; "*" is for those that are not named themselves.
    new_names: Mapping[str, str] = field(default_factory=dict)
    videos: list[ImportedVideo] = field(default_factory=list)
    categories: list[tuple[int, str]] = field(default_factory=list)  # distinct ids and names
    notes: Counter[str] = field(default_factory=Counter)  # left out or changed, with how often
    # What cannot be used: "frames" or "videos" -> a message for each that names the file and why.
    broken: dict[str, list[str]] = field(default_factory=dict)

    @property
    def tracks(self) -> list[ImportedTrack]:
        """Those of all videos."""
        return [track for video in self.videos for track in video.tracks]

    def new_name(self, category: str) -> str:
        """The name that a category will have."""
        return self.new_names.get(category, self.new_names.get("*", category))

    def number_categories(self, names: Iterable[str]) -> None:
        """Set the categories, with ids from 1 in the order of the names, which may repeat."""
        self.categories = list(enumerate(dict.fromkeys(names), start=1))

    @contextmanager
    def part(self, kind: str, where: object = None) -> Iterator[None]:
        """Read one of the "frames" or "videos" (``kind``), which is left out if it is broken.

        The error goes on if nothing may be skipped, if an option has to decide, and from a frame
        if the whole video is broken; ``where`` is put before its message.
        """
        try:
            with naming(where):
                yield
        except UndecidedError:
            raise
        except (ValueError, OSError) as error:
            if kind == "frames" and (not self.skip_broken or isinstance(error, BrokenVideoError)):
                raise  # to the part that is its video
            if not self.skip_broken:
                hint = "(--skip-broken leaves out what cannot be used)"
                raise _reworded(error, f"{error} {hint}") from error
            self.broken.setdefault(kind, []).append(str(error))

    def each_video(self, items: Iterable[Any], read: Callable[[Any], Any]) -> list[Any]:
        """What ``read`` makes of each item; one for which it fails is a broken video."""
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

    dataset: ImportedDataset
    name: str  # what messages call the video
    frames: Mapping[Any, Path]  # in order, by what an importer calls them: number, name or id
    # Of some frames, the height and width that annotations were made at, whatever a file has in
    # their place; None: not known. Where they fit the stored pixels only, these are meant and not
    # the picture as EXIF turns it.
    stated: Mapping[Any, tuple[Any, Any] | None] = field(default_factory=dict)
    unite: bool = False  # whether a track may have several masks in a frame, which become one

    def __post_init__(self) -> None:
        self._lost: set[Hashable] = set()
        self.tracks: dict[Any, ImportedTrack] = {}
        self.size = self._agreed_size()

    @contextmanager
    def frame(self, key: Hashable, where: object = None) -> Iterator[None]:
        """Read something of a frame, which drops out of the video if that is broken."""
        with self.dataset.part("frames", where):
            yield
            return
        self._lost.add(key)

    def check_stated(self, key: Hashable) -> None:
        """ValueError if the stated size of a frame, or its only known side, is another one."""
        stated = self.stated.get(key) or (None, None)
        if any(side not in (None, own) for side, own in zip(stated, self.size, strict=True)):
            found = f"{self.frames[key]} has {self.size}"
            raise ValueError(f"height and width are {reprlib.repr(stated)}, but {found}")

    def add(self, key: Hashable, category: str, frame: Hashable, mask: Rle) -> None:
        """Add the mask of track ``key`` in ``frame``; an empty one is only counted."""
        if not coco_mask.area(mask):
            self.dataset.notes["empty masks left out"] += 1
            return
        track = self.tracks.setdefault(key, ImportedTrack(category))
        new_name = self.dataset.new_name
        if new_name(track.category) != new_name(category):
            both = f"category {category!r} here and {track.category!r} before"
            raise BrokenVideoError(f"track {key!r} has {both} (--rename can make them one)")
        if frame in track.masks:
            if not self.unite:
                raise ValueError(f"track {key!r} has a second mask in the same frame")
            mask = coco_mask.merge([track.masks[frame], mask])
        track.masks[frame] = mask

    def finished(self) -> ImportedVideo:
        """The video without the frames that dropped out."""
        kept = [t for t in self.frames if t not in self._lost]
        self._require_frames(kept)
        places = {t: place for place, t in enumerate(kept)}
        tracks = [
            ImportedTrack(track.category, {places[t]: track.masks[t] for t in shown})
            for track in self.tracks.values()
            if (shown := [t for t in track.masks if t in places])
        ]
        root = self.dataset.image_root
        files = [self.frames[t].relative_to(root).as_posix() for t in kept]
        for file in files:
            if relative(file, root) != file:
                raise ValueError(f"{self.name}: file name {file!r} has a backslash")
        return ImportedVideo(self.name, self.size, files, tracks)

    def _agreed_size(self) -> Size:
        """The size of most frames; those of another one drop out."""
        sizes: dict[Hashable, Size] = {}
        for t, path in self.frames.items():
            with self.frame(t):
                sizes[t] = _size_of(path, self.stated.get(t))
        self._require_frames(sizes)
        ((size, _),) = Counter(sizes.values()).most_common(1)
        usual = next(self.frames[t].name for t in sizes if sizes[t] == size)
        for t, found in sizes.items():
            if found != size and _size_of(self.frames[t], size) != size:
                with self.frame(t, self.frames[t]):
                    other = f"{usual} of the same video has {size[0]} x {size[1]}"
                    raise ValueError(f"has {found[0]} x {found[1]} (height x width), but {other}")
        return size

    def _require_frames(self, usable: Iterable[Hashable]) -> None:
        if not usable:
            raise ValueError(f"{self.name}: no frame can be used")


def _size_of(path: Path, wanted: Any) -> Size:
    """(H, W) of a frame: the wanted one if it fits the picture turned or as it is stored."""
    try:
        size = frame_size(path, wanted)
    except (ValueError, RecursionError):  # a file may state anything, lists in lists too
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
