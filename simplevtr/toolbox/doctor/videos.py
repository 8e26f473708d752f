"""Examines the lists of categories and videos."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

from simplevtr.data.categories import DATASET_CATEGORIES, first_difference
from simplevtr.formats import checks
from simplevtr.formats.film_strips import MAX_PIXELS
from simplevtr.formats.paths import leads_out, natural_key, relative, with_slashes
from simplevtr.toolbox.doctor.findings import Findings

# For each id that annotations may have, in the order of the file, the category that it means,
# {"id", "name", ...}; None where that is not known.
Categories = dict[int, dict[str, Any] | None]
_side = partial(checks.integer, least=1, most=65535)  # height and width that a JPEG can have


@dataclass(eq=False)
class Track:
    """An annotation of a video that can be used, with a known category."""

    raw: dict[str, Any]  # its entry in the file
    # What a repair makes of it; without lists and other values until its video is examined.
    # "bboxes" and "areas" are there if the file has them.
    entry: dict[str, Any]
    video: "Video"
    found: Findings  # at its place


@dataclass(eq=False)
class Video:
    """A video with an id, a size and file names."""

    id: int
    size: tuple[int, int]  # height and width in pixels
    names: list[str | None]  # of the frames, None for those that cannot be used
    stated_length: int | None  # None if the file gives none
    values: dict[str, Any]  # of its entry that the format does not define
    found: Findings  # at its place
    tracks: list[Track] = field(default_factory=list)  # that a repair keeps
    dropped: bool = False  # whether a repair leaves it out

    def file_names(self) -> list[str]:
        """The file names of the frames that have one."""
        return [name for name in self.names if name is not None]


def objects(
    values: Sequence[Any], key: str, findings: Findings
) -> Iterator[tuple[dict[str, Any], Findings]]:
    """The entries of a list that are objects, and the findings at their places."""
    for index, entry in enumerate(values):
        found = findings.at(entry=f"{key}[{index}]")
        if isinstance(entry, dict):
            yield entry, found
        else:
            repair = f"{key} that cannot be used were dropped"
            found.add("wrong-type", f"{checks.shown(entry)} is not an object", repair)


def _identified(
    values: list[Any], key: str, kind: str, findings: Findings
) -> Iterator[tuple[int, dict[str, Any] | None, Findings]]:
    """Each id, the first entry that has it, and the findings at its place.

    The entry is None if the id has several meanings: which one annotations mean is not known.
    """
    if not values:
        findings.add("nothing-left", f"the list of {key} is empty")
    by_id: dict[int, list[tuple[dict[str, Any], Findings]]] = {}
    for entry, found in objects(values, key, findings):
        repair = f"{key} that cannot be used were dropped"
        own_id = found.read(checks.integer, entry, "id", repair)
        if own_id is not None:
            by_id.setdefault(own_id, []).append((entry, found.at(**{kind: own_id})))
    for own_id, same in by_id.items():
        (first, found), *others = same
        meanings = [entry.get("name") if kind == "category" else entry for entry, _ in same]
        is_clear = all(meaning == meanings[0] for meaning in meanings)
        repair = f"{key} with the id of another one were dropped"
        for entry, there in others:
            name = entry.get("name" if kind == "category" else "file_names")
            name = name[0] if isinstance(name, list) and name else name
            detail = f"id {own_id} of {checks.shown(name)} is that of another {kind}"
            there.add(f"duplicate-{kind}", detail, repair)
        found.repaired(repair, not is_clear)
        yield own_id, first if is_clear else None, found


def examine_categories(values: list[Any], dataset_name: str, findings: Findings) -> Categories:
    """Count what is wrong with a file's categories, or differs from the public dataset's.

    Those of one name are one.
    """
    categories: Categories = {}
    by_name: dict[str, dict[str, Any]] = {}
    for own_id, entry, found in _identified(values, "categories", "category", findings):
        if entry is None:
            categories[own_id] = None
            continue
        others = found.other_values(entry, ("id", "name"))
        repair = "categories without a name were named after their id"
        name = found.read(checks.name, entry, "name", repair) or f"category {own_id}"
        if name in by_name:
            categories[own_id] = by_name[name]
            detail = f"name {checks.shown(name)} is that of category {by_name[name]['id']}"
            repair = "categories with the name of another one were merged into it"
            found.add("duplicate-name", detail, repair)
        else:
            categories[own_id] = by_name[name] = {"id": own_id, "name": name, **others}
    if dataset_name in DATASET_CATEGORIES:
        pairs = tuple(sorted((entry["id"], name) for name, entry in by_name.items()))
        if difference := first_difference(pairs, DATASET_CATEGORIES[dataset_name]):
            detail = f"compared with {dataset_name}, the category list {difference}"
            findings.add("foreign-categories", detail)
    return categories


def kept_categories(categories: Categories) -> list[dict[str, Any]]:
    """Those that a repair keeps, of what ``examine_categories`` returns."""
    return [entry for own_id, entry in categories.items() if entry and entry["id"] == own_id]


def examine_use(categories: Categories, used: set[int], findings: Findings) -> None:
    """Count the categories without an annotation as one case: open vocabularies have thousands."""
    kept = kept_categories(categories)
    unused = [entry for entry in kept if entry["id"] not in used]
    if len(unused) == 1:
        found = findings.at(category=unused[0]["id"])
        found.add("unused-category", f"{checks.shown(unused[0]['name'])} has no annotation")
    elif unused:
        names = checks.listed([entry["name"] for entry in unused])
        detail = f"{len(unused):,} of {len(kept):,} categories have no annotation: {names}"
        findings.add("unused-category", detail)


def examine_videos(values: list[Any], findings: Findings) -> dict[int, Video | None]:
    """Count what is wrong with the videos of a file; None for those that cannot be used, by id."""
    videos: dict[int, Video | None] = {}
    owners: dict[str, int] = {}  # of a file: the first video of which it is a frame
    for own_id, entry, found in _identified(values, "videos", "video", findings):
        videos[own_id] = video = None if entry is None else _video(own_id, entry, found)
        if video is not None:
            _examine_frames(video, owners)
        elif entry is not None:
            found.repaired("videos that cannot be used were dropped")
    return videos


def _video(video_id: int, entry: dict[str, Any], found: Findings) -> Video | None:
    others = found.other_values(entry, ("id", "height", "width", "length", "file_names"))
    height, width = (found.read(_side, entry, key) for key in ("height", "width"))
    length = None
    if "length" in entry:  # all readers count the file names where there is none
        length = found.read(checks.integer, entry, "length", "lengths of videos were counted")
    names = found.read(checks.items, entry, "file_names")
    if height is None or width is None or names is None:
        return None
    if not names:
        found.add("empty-video", "file_names is empty")
        return None
    names = [*names]
    for frame, name in enumerate(names):
        try:
            relative(name, "the image root")
        except ValueError as error:
            defect = "outside-root" if isinstance(name, str) and leads_out(name) else "wrong-type"
            repair = "frames without a usable file name were taken out"
            found.at(frame=frame).add(defect, str(error), repair)
            names[frame] = None
    return Video(video_id, (height, width), names, length, others, found)


def _examine_frames(video: Video, owners: dict[str, int]) -> None:
    """The number of frames, the order of their names, and files that are frames several times."""
    length, names, found = len(video.names), video.file_names(), video.found
    if video.stated_length not in (None, length):
        detail = f"length is {checks.shown(video.stated_length)}, but there are {length} file_names"
        found.add("length-mismatch", detail)
    if length == 1:
        found.add("single-frame", "there is one frame")
    pixels = video.size[0] * video.size[1] * length
    if pixels > MAX_PIXELS:
        detail = f"its frames have {pixels} pixels; a track can have {MAX_PIXELS}"
        found.add("too-large", detail)
    for (before, first), (key, name) in pairwise((natural_key(n)[0], n) for n in names):
        if key < before:
            found.at(file=name).add("unsorted-frames", f"comes after {checks.shown(first)}")
            break
    known = {video.id}
    uses = Counter(map(with_slashes, names))
    for name in uses:
        owner = owners.setdefault(name, video.id)
        if owner not in known:  # one case for each pair of videos
            known.add(owner)
            found.at(file=name).add("shared-frame", f"is also a frame of video {owner}")
    repeated = next((name for name, count in uses.items() if count > 1), None)
    if repeated is not None:
        found.at(file=repeated).add("repeated-frame", "is a frame of its video more than once")
