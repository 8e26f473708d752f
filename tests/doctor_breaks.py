"""Ways to break a good dataset, one at a time."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from doctor_samples import (
    HEIGHT,
    WIDTH,
    appended,
    area,
    box,
    file_name,
    mask,
    repeated,
    rle,
    track,
    video,
    without,
)


@dataclass(frozen=True)
class Break:
    """One way to break a good file.

    Attributes:
        defect: what it shows.
        name: of the case.
        apply: changes the content.
        left: whether it cannot be repaired.
        videos: videos that are left after a repair.
        tracks: tracks that are left after a repair.
    """

    defect: str
    name: str
    apply: Callable[[dict[str, Any]], Any]
    left: bool = False
    videos: int = 3
    tracks: int = 6

    def __str__(self) -> str:
        return f"{self.defect}: {self.name}"


def _all(*changes: Callable[[dict], Any]) -> Callable[[dict], None]:
    def change(content: dict) -> None:
        for one in changes:
            one(content)

    return change


def _keep_first_frame(content: dict) -> None:
    content["videos"][0].update(length=1, file_names=content["videos"][0]["file_names"][:1])
    for annotation in content["annotations"][:2]:
        for key in ("segmentations", "bboxes", "areas"):
            annotation[key] = annotation[key][-1:]


def _cut(key: str, i: int, length: int) -> Callable[[dict], None]:
    def change(content: dict) -> None:
        values = content["annotations"][i][key]
        content["annotations"][i][key] = (values + [None] * length)[:length]

    return change


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


def _same_masks(**changes: Any) -> Callable[[dict], None]:
    def change(content: dict) -> None:
        copied = copy.deepcopy(content["annotations"][0])
        content["annotations"][1] = {**copied, "id": 2, **changes}

    return change


def _lengthen(frames: int) -> Callable[[dict], None]:
    def change(content: dict) -> None:
        content["videos"][0].update(
            height=60000, width=60000, length=frames,
            file_names=[f"video1/{t}.jpg" for t in range(frames)],
        )  # fmt: skip
        content["annotations"] = content["annotations"][2:]

    return change


def _two_spellings(content: dict) -> None:
    """Letters with accents as one character, and as a letter and an accent."""
    content["categories"][0]["name"] = "caf\u00e9"
    content["categories"].append({"id": 3, "name": "cafe\u0301"})
    content["annotations"][0]["category_id"] = 3


def _one_video_of_crowds(content: dict) -> None:
    for annotation in content["annotations"][:2]:
        annotation["iscrowd"] = 1


def _one_category_of_crowds(content: dict) -> None:
    for annotation in content["annotations"]:
        annotation["iscrowd"] = int(annotation["category_id"] == 1)


def _all_crowds(content: dict) -> None:
    for annotation in content["annotations"]:
        annotation["iscrowd"] = 1


_EMPTY = {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]}
_AREA = (WIDTH // 3) * (HEIGHT // 3)
_DROPPED = {"tracks": 5}
_FIRST = "video1/00000.jpg"
_GONE = {"videos": 2, "tracks": 4}

BREAKS = [
    # Values of the wrong kind.
    Break("wrong-type", "text for a height", video(height="48"), **_GONE),
    Break("wrong-type", "a float for a width", video(width=64.0), **_GONE),
    Break("wrong-type", "a fraction for a width", video(width=64.5), **_GONE),
    Break("wrong-type", "true for a height", video(height=True), **_GONE),
    Break("wrong-type", "null for a length", video(length=None)),
    Break("wrong-type", "text for file_names", video(file_names="a.jpg"), **_GONE),
    Break("wrong-type", "a number for a file name", file_name(7, 1)),
    Break("wrong-type", "an empty file name", file_name("", 1)),
    Break("wrong-type", "a list for a video", appended("videos", [1])),
    Break("wrong-type", "text for an annotation", appended("annotations", "track")),
    Break("wrong-type", "null for a category", appended("categories", None)),
    Break("wrong-type", "true for an annotation's id", track(id=True)),
    Break("wrong-type", "a list for an annotation's id", track(id=[[1]])),
    Break("wrong-type", "text for a video_id", track(video_id="1"), **_DROPPED),
    Break("wrong-type", "null for a video_id", track(video_id=None), **_DROPPED),
    Break("wrong-type", "a float for a category_id", track(category_id=1.0), **_DROPPED),
    Break("wrong-type", "a dict for a category_id", track(category_id={}), **_DROPPED),
    Break("wrong-type", "null for iscrowd", track(iscrowd=None)),
    Break("wrong-type", "text for iscrowd", track(iscrowd="yes")),
    Break("wrong-type", "a dict for segmentations", track(segmentations={}), **_DROPPED),
    Break("wrong-type", "a number for bboxes", track(bboxes=3)),
    Break("wrong-type", "text for areas", track(areas="big")),
    Break("wrong-type", "text for an area", area("320")),
    Break("wrong-type", "true for an area", area(True)),
    Break("wrong-type", "an empty name", lambda c: c["categories"][0].update(name="")),
    Break("wrong-type", "a number for a name", lambda c: c["categories"][0].update(name=4)),
    # Values that are not there.
    Break("missing-key", "a video without height", without("videos", "height"), **_GONE),
    Break("missing-key", "no file_names", without("videos", "file_names"), **_GONE),
    Break("missing-key", "an annotation without id", without("annotations", "id")),
    Break("missing-key", "no video_id", without("annotations", "video_id"), **_DROPPED),
    Break("missing-key", "no segmentations", without("annotations", "segmentations"), **_DROPPED),
    Break("missing-key", "a category without name", without("categories", "name")),
    Break("missing-key", "a category without id", appended("categories", {"name": "cow"})),
    # Numbers that are none.
    Break("non-finite", "in a box", box([1.0, float("nan"), 3, 4])),
    Break("non-finite", "an area", area(float("inf"))),
    Break("non-finite", "a height", video(height=float("nan")), **_GONE),
    Break("non-finite", "beyond the format", video(fps=[1, {"a": float("inf")}])),
    Break("non-finite", "beside the lists", lambda c: c.update(info={"version": float("nan")})),
    Break("non-finite", "an id of an annotation", track(id=float("inf"))),
    # Numbers out of range.
    Break("impossible-number", "a height of 0", video(height=0), **_GONE),
    Break("impossible-number", "a width of millions", video(width=10**7), **_GONE),
    Break("impossible-number", "a negative id", track(id=-1)),
    Break("impossible-number", "an id beyond int64", track(id=2**63)),
    Break("impossible-number", "a negative length", video(length=-4)),
    Break("impossible-number", "iscrowd of 2", track(iscrowd=2)),
    Break("impossible-number", "a negative area", area(-5)),
    Break("impossible-number", "an area of hundreds of digits", area(10**300)),
    Break("impossible-number", "a box of negative width", box([9, 9, -2, 4])),
    Break("impossible-number", "a box beyond the sky", box([0, 0, 10**400, 1])),
    # Categories.
    Break("duplicate-category", "an id", appended("categories", {"id": 1, "name": "cow"})),
    Break("duplicate-name", "a name", _all(
        appended("categories", {"id": 3, "name": "cat"}), track(category_id=3)
    )),
    Break("duplicate-name", "in two spellings of Unicode", _two_spellings),
    Break("unused-category", "none", appended("categories", {"id": 3, "name": "cow"}), left=True),
    # Videos.
    Break("duplicate-video", "an id", lambda c: c["videos"].append(
        {**c["videos"][0], "file_names": [f"other/{t}.jpg" for t in range(4)]}
    )),
    Break("length-mismatch", "all tracks have as many as the names", video(length=5)),
    Break("length-mismatch", "a huge length", video(length=10**15)),
    Break(
        "length-mismatch", "a name too many",
        lambda c: c["videos"][0]["file_names"].append("video1/9.jpg"), **_GONE,
    ),
    Break("empty-video", "no frames", _all(
        video(length=0, file_names=[]), lambda c: c["annotations"].__delitem__(slice(2))
    ), **_GONE),
    Break("single-frame", "one frame", _keep_first_frame, left=True),
    Break("too-large", "frames of 3.6 Gpixel", _lengthen(2), left=True, tracks=4),
    Break("shared-frame", "of two videos", file_name(_FIRST, 0, 1), left=True),
    Break("repeated-frame", "twice in a video", file_name(_FIRST, 1), left=True),
    Break("unsorted-frames", "two are swapped", _swap_names, left=True),
    Break("outside-root", "through its parent", file_name("../0.jpg")),
    Break("outside-root", "absolute", file_name("/data/0.jpg")),
    Break("outside-root", "on Windows", file_name("C:\\data\\0.jpg")),
    # Tracks.
    Break("duplicate-annotation", "a copy", repeated("annotations")),
    Break("duplicate-annotation", "another track", track(1, id=1)),
    Break("unknown-video", "an id", track(video_id=77), **_DROPPED),
    Break("unknown-category", "an id", track(category_id=77), **_DROPPED),
    Break("crowd", "one", track(iscrowd=1), left=True),
    Break("all-crowds", "of the file", _all_crowds, left=True),
    Break("all-crowds", "of a video", _one_video_of_crowds, left=True),
    Break("all-crowds", "of a category", _one_category_of_crowds, left=True),
    Break("list-length", "an area is missing", _cut("areas", 0, 3)),
    Break("list-length", "a box too many", _cut("bboxes", 0, 5)),
    Break("list-length", "a mask too many, but null", _cut("segmentations", 0, 5)),
    Break("list-length", "a mask is missing where there is no box", _hide_last),
    Break("list-length", "a mask is missing", _cut("segmentations", 0, 3), **_DROPPED),
    Break("list-length", "thousands of areas", _cut("areas", 0, 5000)),
    Break("never-visible", "all null", _hide, **_DROPPED),
    Break("repeated-track", "of one category", _same_masks(), **_DROPPED),
    Break("repeated-track", "of two categories", _same_masks(category_id=2), left=True),
    # Masks.
    Break("bad-mask", "text", mask("mask")),
    Break("bad-mask", "a number", mask(1)),
    Break("bad-mask", "an empty object", mask({})),
    Break("bad-mask", "counts that end too early", mask(rle([5, 6]))),
    Break("bad-mask", "counts beyond 64 bits", mask(rle([10**30, 1]))),
    Break("bad-mask", "negative counts", mask(rle([-1, HEIGHT * WIDTH + 1]))),
    Break("bad-mask", "true among counts", mask(rle([True, HEIGHT * WIDTH - 1]))),
    Break("bad-mask", "counts that are null", mask(rle(None))),
    Break("bad-mask", "no counts", mask({"size": [HEIGHT, WIDTH]})),
    Break("bad-mask", "text that is no RLE", mask(rle("hello world"))),
    Break("bad-mask", "text that ends inside a number", mask(rle("oooo"))),
    Break("bad-mask", "text that is not ASCII", mask(rle("ä1"))),
    Break("bad-mask", "text of a million runs", mask(rle("0" * 10**6))),
    Break("bad-mask", "a size that is no pair", mask(rle([3072], 48))),
    Break("bad-mask", "a polygon of two corners", mask([[1, 2, 3, 4]])),
    Break("bad-mask", "an odd polygon", mask([[1, 2, 3, 4, 5, 6, 7]])),
    Break("bad-mask", "a polygon of 1e300", mask([[0, 0, 1e300, 0, 0, 1e300]])),
    Break("bad-mask", "a polygon with NaN", mask([[0, 0, float("nan"), 0, 9, 9]])),
    Break("bad-mask", "a polygon with true", mask([[0, 0, 20, True, 20, 20]])),
    Break("bad-mask", "a polygon without end", mask([[0, 0, 9e4, 9e4] * 5000])),
    Break("mask-size", "turned", mask(rle([WIDTH * HEIGHT], (WIDTH, HEIGHT)))),
    Break("empty-mask", "no pixel", _all(
        mask(_EMPTY), box([0, 0, 0, 0]), area(0)
    )),
    Break("bad-box", "three numbers", box([1, 2, 3])),
    Break("bad-box", "text in it", box([1, 2, "3", 4])),
    Break("bad-box", "an object", box({"x": 1})),
    Break("box-mask", "elsewhere", box([30, 20, 5, 5])),
    Break("wrong-area", "too small", area(_AREA // 2)),
    Break("wrong-area", "0", area(0)),
    Break("box-without-mask", "a box", box([1, 2, 3, 4], 0, 1)),
    Break("box-without-mask", "an area", area(12, 0, 1)),
    Break("mask-without-box", "a box", box(None)),
    Break("mask-without-box", "an area", area(None)),
]  # fmt: skip
