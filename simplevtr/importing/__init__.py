"""Foreign annotations of videos to YouTube-VIS files.

A reader takes a source and the options of its kind, and in all kinds ``images``, the folder that
the frames' file names start at, and ``skip_broken``: whether frames, and videos where no single
frame is to blame, are left out and counted if they cannot be used. It returns an
``ImportedDataset`` with videos in natural order of their names or ids. A missing file or folder is
a ``FileNotFoundError``, one that cannot be used a ``ValueError`` that names it, where and why.
``write_ytvis`` makes a file of the dataset that the loader takes.
"""

from collections.abc import Callable

from simplevtr.importing.coco_tracks import read_coco_tracks
from simplevtr.importing.cvat import GAPS, read_cvat
from simplevtr.importing.davis import read_davis
from simplevtr.importing.labelme import UNGROUPED, read_labelme
from simplevtr.importing.mots import parse_classes, read_mots
from simplevtr.importing.output import (
    categories_of_file,
    parse_pairs,
    rename,
    summary_table,
    use_categories,
    write_ytvis,
)  # fmt: skip
from simplevtr.importing.reading import ImportedDataset, ImportedTrack, ImportedVideo
from simplevtr.importing.sources import FRAMES

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
    "read_davis", "read_labelme", "read_mots", "rename", "summary_table", "use_categories",
    "write_ytvis",
]  # fmt: skip
