"""What an importer makes of foreign files: videos, their tracks, and what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from simplevtr.data.category_match import match_categories

from pycocotools import mask as coco_mask

# A compressed RLE as pycocotools takes it, {"size": [H, W], "counts": bytes}.
FRAMES = ("annotated", "all")  # of a video that are imported, where not all have annotations
Rle = dict


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
    size: tuple[int, int]
    file_names: list[str]
    tracks: list[ImportedTrack]


@dataclass(frozen=True)
class ImportedDataset:
    """What was found in foreign files.

    Attributes:
        image_root: the folder that the file names of the frames start at.
        videos: in the order in which they are numbered.
        categories: (id, name) pairs; ids are 0 or more, names are distinct.
        notes: what was left out or changed, in words, with how often.
    """

    image_root: Path
    videos: list[ImportedVideo]
    categories: list[tuple[int, str]]
    notes: Counter[str]


def require_choice(name: str, value: str, allowed: Sequence[str]) -> None:
    """Raise ValueError unless the value of an option is one of those allowed."""
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; allowed: {', '.join(allowed)}")


class TrackTable:
    """Collects the masks of one video's tracks."""

    def __init__(self, notes: Counter[str], *, unite: bool = False) -> None:
        """Start an empty table.

        Args:
            notes: where empty masks are counted.
            unite: whether several masks of a track in one frame become one; otherwise they are
                refused.
        """
        self._notes = notes
        self._unite = unite
        self._tracks: dict[Hashable, ImportedTrack] = {}

    def add(self, key: Hashable, category: str, frame: int, mask: Rle | None) -> None:
        """Add the mask of track ``key`` in ``frame``; an empty one, or None, is only counted.

        Raises:
            ValueError: the track has another category already, or a mask in this frame.
        """
        if mask is None or not coco_mask.area(mask):
            self._notes["empty masks left out"] += 1
            return
        track = self._tracks.setdefault(key, ImportedTrack(category))
        if track.category != category:
            raise ValueError(
                f"track {key!r} has category {category!r} here and {track.category!r} before; "
                "a track has one category"
            )
        if frame in track.masks:
            if not self._unite:
                raise ValueError(f"track {key!r} has a second mask in the same frame")
            mask = coco_mask.merge([track.masks[frame], mask])
        track.masks[frame] = mask

    def tracks(self) -> list[ImportedTrack]:
        """All tracks, in the order in which they were first seen."""
        return list(self._tracks.values())


@contextmanager
def naming(where: object) -> Iterator[None]:
    """Put ``where`` (a file, and a place in it) before the message of a ValueError."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def numbered_categories(names: list[str]) -> list[tuple[int, str]]:
    """(id, name) pairs with ids from 1, in the order given."""
    return list(enumerate(dict.fromkeys(names), start=1))


def with_categories(dataset: ImportedDataset, categories: list[tuple[int, str]]) -> ImportedDataset:
    """The same videos with the tracks of these categories, found by name.

    Args:
        dataset: what was imported.
        categories: (id, name) pairs that take the place of the dataset's own.

    Returns:
        A dataset in which tracks of other categories are left out and counted in ``notes``.

    Raises:
        ValueError: not one of the dataset's categories is among them.
    """
    targets = [name for _, name in categories]
    own = [name for _, name in dataset.categories]
    found = match_categories(dict.fromkeys(own), targets)
    if all(index is None for index in found.values()):
        raise ValueError(f"none of the categories {', '.join(own)} is among {', '.join(targets)}")
    notes = dataset.notes.copy()
    videos = []
    for video in dataset.videos:
        kept = []
        for track in video.tracks:
            index = found[track.category]
            if index is None:
                notes[f"tracks of category {track.category!r} left out"] += 1
            else:
                kept.append(ImportedTrack(targets[index], track.masks))
        videos.append(replace(video, tracks=kept))
    return replace(dataset, videos=videos, categories=list(categories), notes=notes)
