"""The catalogue of what can be wrong with an annotation file."""

from __future__ import annotations

from dataclasses import dataclass

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True)
class Defect:
    """A kind of defect.

    Attributes:
        name: what the table and the report call it.
        severity: ``ERROR``, something that is refused or gives wrong training or wrong scores, or
            ``WARNING``, something that may be meant.
        meaning: a sentence without its full stop.
        repair: what ``--fix`` does about it; "" if nothing.
        ignorable: whether a file with it can be used as it is, so that it may be ignored.
    """

    name: str
    severity: str
    meaning: str
    repair: str = ""
    ignorable: bool = False


_FILE = (
    Defect(
        "misnamed-file",
        ERROR,
        "The file is called instances.json, as downloads are, and not what configs look for",
        ignorable=True,
    ),
    Defect("nothing-left", ERROR, "The file has no video or no category that can be used"),
    Defect(
        "foreign-categories",
        ERROR,
        "The categories are not those of the public data set that is registered under the name",
        ignorable=True,
    ),
)
_VALUES = (
    Defect(
        "wrong-type",
        ERROR,
        "A value has the wrong type, such as text for a number or true for an id",
        "whole numbers written as text or with a point become integers, names become text, ids "
        "of annotations are given anew; what cannot be repaired is dropped",
    ),
    Defect(
        "missing-key",
        ERROR,
        "A value that the format asks for is missing",
        "ids of annotations are given, lengths counted, categories named after their id; "
        "otherwise the entry is dropped",
    ),
    Defect(
        "non-finite",
        ERROR,
        "A number is NaN or infinite, which JSON does not know",
        "boxes and areas are computed from the masks, values beyond the format become null; "
        "otherwise the entry is dropped",
    ),
    Defect(
        "impossible-number",
        ERROR,
        "A number lies outside its range, such as a negative id or a height of 0",
        "boxes and areas are computed from the masks; otherwise the entry is dropped",
    ),
)
_CATEGORIES = (
    Defect(
        "duplicate-category",
        ERROR,
        "Two categories have the same id",
        "the later one is dropped",
    ),
    Defect(
        "duplicate-name",
        ERROR,
        "Two categories have the same name",
        "the later one becomes one with the first",
    ),
    Defect(
        "unused-category",
        WARNING,
        "No annotation has this category",
        ignorable=True,
    ),
)
_VIDEOS = (
    Defect(
        "duplicate-video",
        ERROR,
        "Two videos have the same id",
        "the later one is dropped; annotations stay with the first",
    ),
    Defect(
        "length-mismatch",
        ERROR,
        "The length of a video is not the number of its file names",
        "the length is corrected if all its tracks have as many frames as there are file names; "
        "otherwise the video is dropped",
    ),
    Defect("empty-video", ERROR, "A video has no frames", "the video is dropped"),
    Defect("single-frame", WARNING, "A video has one frame only", ignorable=True),
    Defect("too-large", WARNING, "A video is too large to be evaluated", ignorable=True),
    Defect("shared-frame", WARNING, "A file is a frame of two videos", ignorable=True),
    Defect("repeated-frame", WARNING, "A file is a frame of its video twice", ignorable=True),
    Defect(
        "unsorted-frames",
        WARNING,
        "The file names of a video are not in the order of the numbers in them",
        ignorable=True,
    ),
    Defect(
        "outside-root",
        WARNING,
        "A file name is absolute or leads out of the image root",
        ignorable=True,
    ),
)
_TRACKS = (
    Defect(
        "duplicate-annotation",
        ERROR,
        "Two annotations have the same id",
        "a copy is dropped, another track gets a new id",
    ),
    Defect(
        "unknown-video",
        ERROR,
        "An annotation is of a video that the file does not have",
        "the annotation is dropped",
    ),
    Defect(
        "unknown-category",
        ERROR,
        "An annotation has a category that the file does not have",
        "the annotation is dropped",
    ),
    Defect(
        "list-length",
        ERROR,
        "A track's segmentations, bboxes or areas are not as many as its video has frames",
        "boxes and areas are computed from the masks; masks are cut if the surplus is null, and "
        "filled up with null if boxes or areas say so; otherwise the annotation is dropped",
    ),
    Defect(
        "never-visible",
        ERROR,
        "A track has no mask in any frame",
        "the annotation is dropped",
        ignorable=True,
    ),
    Defect(
        "repeated-track",
        WARNING,
        "Two tracks of a video have the same masks",
        "the later one is dropped if it has the same category",
        ignorable=True,
    ),
)
_MASKS = (
    Defect(
        "bad-mask",
        ERROR,
        "A segmentation is neither null nor a valid RLE nor valid polygons",
        "it becomes null",
    ),
    Defect(
        "mask-size",
        ERROR,
        "An RLE has another size than its video",
        "it becomes null",
    ),
    Defect(
        "empty-mask",
        WARNING,
        "A mask has no pixel; null stands for an absent instance",
        "it becomes null",
        ignorable=True,
    ),
    Defect(
        "bad-box",
        ERROR,
        "A box is not four numbers x, y, width, height",
        "boxes are computed from the masks",
    ),
    Defect(
        "box-mask",
        ERROR,
        "A box is not the box around its mask",
        "boxes are computed from the masks",
        ignorable=True,
    ),
    Defect(
        "wrong-area",
        ERROR,
        "An area is not the number of its mask's pixels",
        "areas are computed from the masks",
        ignorable=True,
    ),
    Defect(
        "box-without-mask",
        ERROR,
        "A box or an area is given where the mask is null",
        "it becomes null",
        ignorable=True,
    ),
    Defect(
        "mask-without-box",
        ERROR,
        "A box or an area is null where there is a mask",
        "boxes and areas are computed from the masks",
        ignorable=True,
    ),
)
_FRAMES = (
    Defect(
        "missing-frame",
        ERROR,
        "A frame's file does not exist",
        "the frame is taken out of its video and its tracks",
    ),
    Defect(
        "unreadable-frame",
        ERROR,
        "A frame's file cannot be read as an image",
        "the frame is taken out of its video and its tracks",
    ),
    Defect(
        "frame-size",
        ERROR,
        "A frame's file has another size than its video",
        "the video takes the size if all its frames and masks have it, which polygons do not "
        "tell; otherwise the frame is taken out of its video and its tracks",
    ),
)
_SPLITS = (
    Defect(
        "leaked-frame",
        ERROR,
        "The first frame of a video is that of a video in another split",
        "the video is dropped",
        ignorable=True,
    ),
    Defect(
        "leaked-file",
        WARNING,
        "A video has file names of a video in another split (images tell whether it is the same)",
        ignorable=True,
    ),
    Defect(
        "leaked-name",
        WARNING,
        "A video's folder has the name of one in another split (images tell whether it is the "
        "same)",
        ignorable=True,
    ),
)

DEFECTS: dict[str, Defect] = {
    defect.name: defect
    for group in (_FILE, _VALUES, _CATEGORIES, _VIDEOS, _TRACKS, _MASKS, _FRAMES, _SPLITS)
    for defect in group
}
