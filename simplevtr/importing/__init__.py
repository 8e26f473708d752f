"""Foreign annotations of videos to YouTube-VIS files.

Every reader returns an ``ImportedDataset``; ``write_ytvis`` makes a file of it that the loader
takes.
"""

from collections.abc import Callable

from simplevtr.importing.categories import (
    categories_of_file,
    parse_pairs,
    renamed,
    with_categories,
)
from simplevtr.importing.coco_tracks import read_coco_tracks
from simplevtr.importing.cvat import GAPS, read_cvat
from simplevtr.importing.dataset import FRAMES, ImportedDataset, ImportedTrack, ImportedVideo
from simplevtr.importing.davis import read_davis
from simplevtr.importing.labelme import UNGROUPED, read_labelme
from simplevtr.importing.mots import parse_classes, read_mots
from simplevtr.importing.output import summary_table, write_ytvis

# kind -> reader of (source, *, images, skip_broken, and options of its own)
READERS: dict[str, Callable[..., ImportedDataset]] = {
    "davis": read_davis,
    "mots": read_mots,
    "coco-tracks": read_coco_tracks,
    "cvat": read_cvat,
    "labelme": read_labelme,
}

__all__ = [
    "FRAMES", "GAPS", "READERS", "UNGROUPED", "ImportedDataset", "ImportedTrack", "ImportedVideo",
    "categories_of_file", "parse_classes", "parse_pairs", "read_coco_tracks", "read_cvat",
    "read_davis", "read_labelme", "read_mots", "renamed", "summary_table", "with_categories",
    "write_ytvis",
]  # fmt: skip
