"""Ways to break a good dataset, one at a time."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from doctor_samples import HEIGHT, WIDTH
from json_files import all_crowds, change

Change = Callable[[dict[str, Any]], Any]  # of a file's content


@dataclass(frozen=True)
class Break:
    """One way to break a good file."""

    defect: str  # what it shows
    name: str  # of the case
    apply: Change
    left: bool = False  # whether it cannot be repaired
    videos: int = 3  # that are left after a repair
    tracks: int = 6

    def __str__(self) -> str:
        return f"{self.defect}: {self.name}"


def entry(key: str, frame: int, value: Any, i: int = 0) -> Change:
    """Put a value into one of the lists of a track."""
    return change(("annotations", i, key, frame), value)


def mask(value: Any) -> Change:
    """Put something in the place of a mask."""
    return entry("segmentations", 1, value)


def box(value: Any, frame: int = 1, i: int = 0) -> Change:
    return entry("bboxes", frame, value, i)


def area(value: Any, frame: int = 1, i: int = 0) -> Change:
    return entry("areas", frame, value, i)


def file_name(value: Any, frame: int = 0, i: int = 0) -> Change:
    return change(("videos", i, "file_names", frame), value)


def video(i: int = 0, **values: Any) -> Change:
    return lambda content: content["videos"][i].update(values)


def track(i: int = 0, **values: Any) -> Change:
    return lambda content: content["annotations"][i].update(values)


def without(kind: str, key: str, i: int = 0) -> Change:
    return lambda content: content[kind][i].pop(key)


def appended(kind: str, value: Any) -> Change:
    return lambda content: content[kind].append(value)


def copied(kind: str, **changes: Any) -> Change:
    """Append a copy of the first entry."""
    return lambda content: content[kind].append({**content[kind][0], **changes})


def crowds(is_crowd: Callable[[dict], bool]) -> Change:
    def apply(content: dict) -> None:
        for annotation in content["annotations"]:
            annotation["iscrowd"] = int(is_crowd(annotation))

    return apply


def rle(counts: Any, size: tuple[int, int] = (HEIGHT, WIDTH)) -> dict[str, Any]:
    return {"size": [*size], "counts": counts}


def both(*changes: Change) -> Change:
    return lambda content: [change(content) for change in changes]


def _keep_first_frame(content: dict) -> None:
    content["videos"][0].update(length=1, file_names=content["videos"][0]["file_names"][:1])
    for annotation in content["annotations"][:2]:
        for key in ("segmentations", "bboxes", "areas"):
            annotation[key] = annotation[key][-1:]


def _cut(key: str, i: int, length: int) -> Change:
    def apply(content: dict) -> None:
        values = content["annotations"][i][key]
        content["annotations"][i][key] = (values + [None] * length)[:length]

    return apply


def _hide_last(content: dict) -> None:
    """A track that is absent in its last frame, whose list of masks ends before it."""
    annotation = content["annotations"][0]
    annotation["segmentations"].pop()
    annotation["bboxes"][-1] = annotation["areas"][-1] = None


def _hide(content: dict) -> None:
    annotation = content["annotations"][0]
    for key in ("segmentations", "bboxes", "areas"):
        annotation[key] = [None] * len(annotation[key])


def _swap_names(content: dict) -> None:
    names = content["videos"][0]["file_names"]
    names[1], names[2] = names[2], names[1]


def _same_masks(**changes: Any) -> Change:
    def apply(content: dict) -> None:
        copied = copy.deepcopy(content["annotations"][0])
        content["annotations"][1] = {**copied, "id": 2, **changes}

    return apply


def _lengthen(frames: int) -> Change:
    def apply(content: dict) -> None:
        content["videos"][0].update(
            height=60000, width=60000, length=frames,
            file_names=[f"video1/{t}.jpg" for t in range(frames)],
        )  # fmt: skip
        content["annotations"] = content["annotations"][2:]

    return apply


def _two_spellings(content: dict) -> None:
    """Letters with accents as one character, and as a letter and an accent."""
    content["categories"][0]["name"] = "caf\u00e9"
    content["categories"].append({"id": 3, "name": "cafe\u0301"})
    content["annotations"][0]["category_id"] = 3


_EMPTY = {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]}
_AREA = (WIDTH // 3) * (HEIGHT // 3)
_DROPPED = {"tracks": 5}
_FIRST = "video1/00000.jpg"
_GONE = {"videos": 2, "tracks": 4}

BREAKS = [
    # Values of the wrong kind.
    Break("wrong-type", "text for a height", video(height="48"), **_GONE),
    Break("wrong-type", "null for a length", video(length=None)),
    Break("wrong-type", "text for file_names", video(file_names="a.jpg"), **_GONE),
    Break("wrong-type", "a number for a file name", file_name(7, 1)),
    Break("wrong-type", "an empty file name", file_name("", 1)),
    Break("wrong-type", "text for an annotation", appended("annotations", "track")),
    Break("wrong-type", "true for an annotation's id", track(id=True)),
    Break("wrong-type", "text for a video_id", track(video_id="1"), **_DROPPED),
    Break("wrong-type", "a float for a category_id", track(category_id=1.5), **_DROPPED),
    Break("wrong-type", "text for iscrowd", track(iscrowd="yes")),
    Break("wrong-type", "a dict for segmentations", track(segmentations={}), **_DROPPED),
    Break("wrong-type", "a number for bboxes", track(bboxes=3)),
    Break("wrong-type", "text for an area", area("320")),
    Break("wrong-type", "true for an area", area(True)),
    Break("wrong-type", "an empty name", change(("categories", 0, "name"), "")),
    # Values that are not there.
    Break("missing-key", "a video without height", without("videos", "height"), **_GONE),
    Break("missing-key", "an annotation without id", without("annotations", "id")),
    Break("missing-key", "no segmentations", without("annotations", "segmentations"), **_DROPPED),
    Break("missing-key", "a category without name", without("categories", "name")),
    Break("missing-key", "a category without id", appended("categories", {"name": "cow"})),
    # Numbers that are none.
    Break("non-finite", "in a box", box([1.0, float("nan"), 3, 4])),
    Break("non-finite", "an area", area(float("inf"))),
    Break("non-finite", "a height", video(height=float("nan")), **_GONE),
    Break("non-finite", "beyond the format", video(fps=[1, {"a": float("inf")}])),
    Break("non-finite", "beside the lists", lambda c: c.update(info={"version": float("nan")})),
    # Numbers out of range.
    Break("impossible-number", "a height of 0", video(height=0), **_GONE),
    Break("impossible-number", "a width of millions", video(width=10**7), **_GONE),
    Break("impossible-number", "a negative id", track(id=-1)),
    Break("impossible-number", "iscrowd of 2", track(iscrowd=2)),
    Break("impossible-number", "a box of negative width", box([9, 9, -2, 4])),
    Break("impossible-number", "a box beyond the sky", box([0, 0, 10**400, 1])),
    # Categories.
    Break("duplicate-category", "a copy", copied("categories")),
    Break("duplicate-category", "an id of two names", both(
        appended("categories", {"id": 3, "name": "cow"}),
        appended("categories", {"id": 3, "name": "hen"}),
        track(category_id=3),
    ), tracks=5),
    Break("duplicate-name", "in two spellings of Unicode", _two_spellings),
    Break("unused-category", "none", appended("categories", {"id": 3, "name": "cow"}), left=True),
    # Videos.
    Break("duplicate-video", "a copy", copied("videos")),
    Break(
        "duplicate-video", "an id of two videos",
        copied("videos", file_names=["0.jpg", "1.jpg"], length=2), **_GONE,
    ),
    Break("length-mismatch", "all tracks have as many as the names", video(length=5)),
    Break(
        "length-mismatch", "a name too many",
        lambda c: c["videos"][0]["file_names"].append("video1/9.jpg"), **_GONE,
    ),
    Break("empty-video", "no frames", both(
        video(length=0, file_names=[]), lambda c: c["annotations"].__delitem__(slice(2))
    ), **_GONE),
    Break("single-frame", "one frame", _keep_first_frame, left=True),
    Break("too-large", "frames of 3.6 Gpixel", _lengthen(2), left=True, tracks=4),
    Break("shared-frame", "of two videos", file_name(_FIRST, 0, 1), left=True),
    Break("repeated-frame", "twice in a video", file_name(_FIRST, 1), left=True),
    Break("unsorted-frames", "two are swapped", _swap_names, left=True),
    Break("outside-root", "through its parent", file_name("../0.jpg")),
    Break("outside-root", "absolute", file_name("/data/0.jpg")),
    # Tracks.
    Break("duplicate-annotation", "a copy", copied("annotations")),
    Break("duplicate-annotation", "another track", track(1, id=1)),
    Break("unknown-video", "an id", track(video_id=77), **_DROPPED),
    Break("unknown-category", "an id", track(category_id=77), **_DROPPED),
    Break("crowd", "one", track(iscrowd=1), left=True),
    Break("all-crowds", "of the file", all_crowds, left=True),
    Break("all-crowds", "of a video", crowds(lambda a: a["video_id"] == 1), left=True),
    Break("all-crowds", "of a category", crowds(lambda a: a["category_id"] == 1), left=True),
    Break("list-length", "an area is missing", _cut("areas", 0, 3)),
    Break("list-length", "a box too many", _cut("bboxes", 0, 5)),
    Break("list-length", "a mask too many, but null", _cut("segmentations", 0, 5)),
    Break("list-length", "a mask is missing where there is no box", _hide_last),
    Break("list-length", "a mask is missing", _cut("segmentations", 0, 3), **_DROPPED),
    Break("never-visible", "all null", _hide, **_DROPPED),
    Break("repeated-track", "of one category", _same_masks(), **_DROPPED),
    Break("repeated-track", "of two categories", _same_masks(category_id=2), left=True),
    # Masks.
    Break("bad-mask", "text", mask("mask")),
    Break("bad-mask", "counts that end too early", mask(rle([5, 6]))),
    Break("bad-mask", "text that is no RLE", mask(rle("hello world"))),
    Break("bad-mask", "text of a million runs", mask(rle("0" * 10**6))),
    Break("mask-size", "turned", mask(rle([WIDTH * HEIGHT], (WIDTH, HEIGHT)))),
    Break("empty-mask", "no pixel", both(
        mask(_EMPTY), box([0, 0, 0, 0]), area(0)
    )),
    Break("bad-box", "three numbers", box([1, 2, 3])),
    Break("bad-box", "text in it", box([1, 2, "3", 4])),
    Break("box-mask", "elsewhere", box([30, 20, 5, 5])),
    Break("wrong-area", "too small", area(_AREA // 2)),
    Break("box-without-mask", "a box", box([1, 2, 3, 4], 0, 1)),
    Break("box-without-mask", "an area", area(12, 0, 1)),
    Break("mask-without-box", "a box", box(None)),
    Break("mask-without-box", "an area", area(None)),
]  # fmt: skip
