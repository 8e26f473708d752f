"""Collecting the tracks of one video frame by frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from simplevtr.formats.images import frame_size
from simplevtr.importing.dataset import (
    BrokenVideoError,
    ImportedTrack,
    ImportedVideo,
    ImportLog,
    Rle,
    Size,
)

from pycocotools import mask as coco_mask

_MOST_PIXELS = 2**26  # of a frame, twice those of 8K


class VideoDraft:
    """A video whose masks are added frame by frame; frames that cannot be used drop out.

    Attributes:
        name: what messages call the video.
        frames: the image files in order, by what an importer calls them: number, name or id.
        size: (H, W) in pixels that most frames have, and all that are kept.
    """

    def __init__(
        self,
        log: ImportLog,
        name: str,
        frames: Mapping[Hashable, Path],
        *,
        stated: Mapping[Hashable, Size | None] | None = None,
        unite: bool = False,
    ) -> None:
        """Start with no track; only the frames' headers are read.

        Args:
            log: where broken frames and empty masks are counted.
            name: what messages call the video.
            frames: the image files in order, by any keys.
            stated: by some of the keys, (H, W) that the annotations were made at. Where it fits
                the stored pixels only, these are meant and not the picture as EXIF turns it.
            unite: whether several masks of a track in one frame become one; otherwise they are
                refused.
        """
        self._log = log
        self.name = name
        self.frames = frames
        self._unite = unite
        self._lost: set[Hashable] = set()
        self._tracks: dict[Hashable, ImportedTrack] = {}
        self.size = self._agreed_size(stated or {})

    @contextmanager
    def frame(self, key: Hashable, where: object = None) -> Iterator[None]:
        """Read something of a frame, which drops out of the video if that is broken."""
        whole = False
        with self._log.part("frames", where):
            yield
            whole = True
        if not whole:
            self._lost.add(key)

    def add(self, key: Hashable, category: str, frame: Hashable, mask: Rle | None) -> None:
        """Add the mask of track ``key`` in ``frame``; an empty one, or None, is only counted."""
        if mask is None or not coco_mask.area(mask):
            self._log.notes["empty masks left out"] += 1
            return
        track = self._tracks.setdefault(key, ImportedTrack(category))
        if track.category != category:
            raise BrokenVideoError(
                f"track {key!r} has category {category!r} here and {track.category!r} before; "
                "a track has one category"
            )
        if frame in track.masks:
            if not self._unite:
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
            for track in self._tracks.values()
            if (shown := [t for t in track.masks if t in places])
        ]
        files = [self.frames[t].relative_to(root).as_posix() for t in kept]
        return ImportedVideo(self.name, self.size, files, tracks)

    def _agreed_size(self, stated: Mapping[Hashable, Size | None]) -> Size:
        """The size of most frames; those of another one drop out."""
        sizes: dict[Hashable, Size] = {}
        for t, path in self.frames.items():
            with self.frame(t):
                sizes[t] = _size_of(path, stated.get(t))
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
    size = None
    if wanted is not None:
        with suppress(ValueError):
            size = frame_size(path, wanted)
    size = size or frame_size(path)
    if size[0] * size[1] > _MOST_PIXELS:
        raise ValueError(f"{path}: {size[0]} x {size[1]} pixels; at most {_MOST_PIXELS}")
    return size
