"""Foreign annotations of videos to YouTube-VIS files.

Every reader gives an ``ImportedDataset``; the writer makes a file of it that the loader takes.
"""

from collections.abc import Callable

from simplevtr.importing.coco_tracks import read_coco_tracks
from simplevtr.importing.cvat import GAPS, read_cvat
from simplevtr.importing.dataset import (
    FRAMES,
    ImportedDataset,
    ImportedTrack,
    ImportedVideo,
    with_categories,
)
from simplevtr.importing.davis import read_davis
from simplevtr.importing.labelme import UNGROUPED, read_labelme
from simplevtr.importing.mots import parse_classes, read_mots
from simplevtr.importing.summary import summary_table
from simplevtr.importing.ytvis_writer import write_ytvis

# kind -> reader of (source, *, images, and options of its own)
READERS: dict[str, Callable[..., ImportedDataset]] = {
    "davis": read_davis,
    "mots": read_mots,
    "coco-tracks": read_coco_tracks,
    "cvat": read_cvat,
    "labelme": read_labelme,
}

__all__ = [
    "FRAMES",
    "GAPS",
    "READERS",
    "UNGROUPED",
    "ImportedDataset",
    "ImportedTrack",
    "ImportedVideo",
    "parse_classes",
    "read_coco_tracks",
    "read_cvat",
    "read_davis",
    "read_labelme",
    "read_mots",
    "summary_table",
    "with_categories",
    "write_ytvis",
]
