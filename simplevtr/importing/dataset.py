"""What an importer makes of foreign files: videos and their tracks."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

# A compressed RLE as pycocotools takes it, {"size": [H, W], "counts": bytes}.
Rle = dict
Size = tuple[int, int]  # (H, W) in pixels

FRAMES = ("annotated", "all")  # of a video that are imported, where not all have annotations


@dataclass
class ImportedTrack:
    """One object of a video."""

    category: str
    masks: dict[int, Rle] = field(default_factory=dict)  # by 0-based frame, where it shows


@dataclass(frozen=True)
class ImportedVideo:
    """One video; no track is without a mask."""

    name: str  # what messages call it
    size: Size  # of all frames
    file_names: list[str]  # in order, relative to the image root, with "/" between folders
    tracks: list[ImportedTrack]


@dataclass(frozen=True)
class ImportedDataset:
    """What was found in foreign files, in the order of the output."""

    image_root: Path  # the folder that the file names of the frames start at
    videos: list[ImportedVideo]
    categories: list[tuple[int, str]]  # ids and names, both distinct
    notes: Counter[str]  # what was left out or changed, in words, with how often
    # What cannot be used: "frames" or "videos" -> a message for each that names the file and why.
    broken: dict[str, list[str]] = field(default_factory=dict)


def require_choice(name: str, value: str, allowed: Sequence[str]) -> None:
    """Raise ValueError unless the value of an option is one of those allowed."""
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; allowed: {', '.join(allowed)}")
