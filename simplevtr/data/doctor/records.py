"""Videos and tracks whose structure has been examined: what the later examinations work on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from simplevtr.data.doctor.findings import Place


@dataclass(eq=False)
class Video:
    """A video with an id, a size and file names.

    Attributes:
        id: its id.
        values: values of its entry that the format does not know.
        names: a file name for each frame, None where it is none.
        height: in pixels.
        width: in pixels.
        stated_length: the length that the file gives, None if it gives none.
        tracks: its tracks.
        lost: numbers of frames that cannot be used.
        dropped: whether a repair leaves the video out.
    """

    id: int
    values: dict[str, Any]
    names: list[str | None]
    height: int
    width: int
    stated_length: int | None
    tracks: list[Track] = field(default_factory=list)
    lost: set[int] = field(default_factory=set)
    dropped: bool = False

    @property
    def place(self) -> Place:
        """Where it is, for findings."""
        return Place(video=self.id)

    def file_names(self) -> list[str]:
        """The file names of the frames that have one."""
        return [name for name in self.names if name is not None]


@dataclass(eq=False)
class Track:
    """An annotation of a video that can be used, with a known category.

    Attributes:
        index: in the file's list.
        id: its id; a new one if the file's cannot be used.
        video: its video.
        place: where it is, for findings.
        category_id: the id of its category.
        iscrowd: 0 or 1, None if the file does not say.
        values: values of its entry that the format does not know; they and the lists are there
            while its video is examined.
        segmentations: a segmentation for each frame, as in the file, or None.
        bboxes: a box for each frame, as in the file, or None; None if there are none.
        areas: an area for each frame, as in the file, or None; None if there are none.
        computed: which of "bboxes" and "areas" have to be computed from the masks, all of them.
        may_be_invisible: whether a repair keeps the track though it has no mask.
        dropped: whether a repair leaves the track out.
    """

    index: int
    id: int | None
    video: Video
    place: Place
    category_id: int
    iscrowd: int | None
    values: dict[str, Any] = field(default_factory=dict)
    segmentations: list[Any] = field(default_factory=list)
    bboxes: list[Any] | None = None
    areas: list[Any] | None = None
    computed: set[str] = field(default_factory=set)
    may_be_invisible: bool = False
    dropped: bool = False


def is_absent(segmentation: Any) -> bool:
    """Whether a segmentation says that the instance is not visible: null, or no polygons."""
    return segmentation is None or (type(segmentation) is list and not segmentation)
