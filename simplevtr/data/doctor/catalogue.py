"""The catalogue of what can be wrong with an annotation file, as ``--list`` prints it."""

import re
from typing import NamedTuple

ERROR, WARNING = "error", "warning"

# An error is refused or gives wrong training or wrong scores; a warning may be meant. What can be
# ignored leaves a file that can be used as it is. What has no line --fix is not repaired.
CATALOGUE = """\
nothing-left (error): The file has no video or no category that can be used.
foreign-categories (error, can be ignored): They are not those of the public dataset of this name.
wrong-type (error): A value has the wrong type, such as text for a number or true for an id.
    --fix: ids of annotations are given anew, lengths are counted, boxes and areas are computed from
    the masks, categories named after their id; what cannot be repaired is dropped.
missing-key (error): A value that the format asks for is missing.
    --fix: ids of annotations are given, categories named after their id; otherwise the entry is
    dropped.
non-finite (error): A number is NaN or infinite, which JSON does not know.
    --fix: boxes and areas are computed from the masks, values beyond the format become null;
    otherwise the entry is dropped.
impossible-number (error): A number lies outside its range, such as a negative id or a height of 0.
    --fix: boxes and areas are computed from the masks; otherwise the entry is dropped.
duplicate-category (error): Two categories have the same id.
    --fix: the later one is dropped.
duplicate-name (error): Two categories have the same name.
    --fix: the later one becomes one with the first.
unused-category (warning, can be ignored): No annotation has this category.
duplicate-video (error): Two videos have the same id.
    --fix: the later one is dropped; annotations stay with the first.
length-mismatch (error): The length of a video is not the number of its file names.
    --fix: the length is corrected if all its tracks have as many frames as there are file names;
    otherwise the video is dropped.
empty-video (error): A video has no frames.
    --fix: the video is dropped.
single-frame (warning, can be ignored): A video has one frame only.
too-large (warning, can be ignored): A video is too large to be evaluated.
shared-frame (warning, can be ignored): A file is a frame of two videos.
repeated-frame (warning, can be ignored): A file is a frame of its video twice.
unsorted-frames (warning, can be ignored): File names are not in the order of the numbers in them.
outside-root (error): A file name is absolute or leads out of the image root.
    --fix: the frame is taken out of its video and its tracks.
duplicate-annotation (error): Two annotations have the same id.
    --fix: a copy is dropped, another track gets a new id.
unknown-video (error): An annotation is of a video that the file does not have.
    --fix: the annotation is dropped.
unknown-category (error): An annotation has a category that the file does not have.
    --fix: the annotation is dropped.
all-crowds (error, can be ignored): All annotations of the file, of a category or of a video are
    crowds (iscrowd 1), so that nothing of it is trained on or scored. Some converters write iscrowd
    1 for every RLE. With --fix OUT --crowds it becomes 0.
crowd (warning, can be ignored): An annotation is a crowd (iscrowd 1). YouTube-VIS and OVIS have
    none. With --fix OUT --crowds it becomes 0.
list-length (error): A track's segmentations, bboxes or areas are not one for each frame.
    --fix: boxes and areas are computed from the masks; masks are cut if the surplus is null, and
    filled up with null if boxes or areas say so; otherwise the annotation is dropped.
never-visible (error, can be ignored): A track has no mask in any frame.
    --fix: the annotation is dropped.
repeated-track (warning, can be ignored): Two tracks of a video have the same masks.
    --fix: the later one is dropped if it has the same category.
bad-mask (error): A segmentation is neither null nor a valid RLE nor valid polygons.
    --fix: it becomes null.
mask-size (error): An RLE has another size than its video.
    --fix: it becomes null.
empty-mask (warning, can be ignored): A mask has no pixel; null stands for an absent instance.
    --fix: it becomes null.
bad-box (error): A box is not four numbers x, y, width, height.
    --fix: boxes are computed from the masks.
box-mask (error, can be ignored): A box is not the box around its mask.
    --fix: boxes are computed from the masks.
wrong-area (error, can be ignored): An area is not the number of its mask's pixels.
    --fix: areas are computed from the masks.
box-without-mask (error, can be ignored): A box or an area is given where the mask is null.
    --fix: it becomes null.
mask-without-box (error, can be ignored): A box or an area is null where there is a mask.
    --fix: boxes and areas are computed from the masks.
missing-frame (error): A frame's file does not exist.
    --fix: the frame is taken out of its video and its tracks.
unreadable-frame (error): A frame's file cannot be read as an image, or was downloaded in part.
    --fix: the frame is taken out of its video and its tracks.
frame-size (error): A frame's file has another size than its video, also as EXIF turns it.
    --fix: the video takes the size if all its frames and masks have it, which polygons do not tell;
    otherwise the frame is taken out of its video and its tracks.
leaked-frame (error, can be ignored): A video's first frame is that of one in another split.
    --fix: the video is dropped.
leaked-file (warning, can be ignored): File names are in another split too (compare images).
leaked-name (warning, can be ignored): A folder of that name is in another split too (as before).
"""


class Defect(NamedTuple):
    """A kind of defect."""

    name: str
    severity: str  # ERROR or WARNING
    ignorable: bool
    meaning: str
    repair: str  # what --fix does about it; "" if nothing


DEFECTS: dict[str, Defect] = {}
_ENTRY = r"(\S+) \((error|warning)(, can be ignored)?\): (.*\n(?: .*\n)*)"
for _name, _severity, _ignorable, _text in re.findall(_ENTRY, CATALOGUE):
    _meaning, _, _repair = " ".join(_text.split()).partition(" --fix: ")
    DEFECTS[_name] = Defect(_name, _severity, bool(_ignorable), _meaning, _repair)
