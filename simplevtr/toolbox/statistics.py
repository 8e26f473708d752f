"""What an annotation file in YTVIS format holds: videos, instances, frames (SimpleVTR, appendix).

Pure functions on the content of the file; masks are not decoded.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import NamedTuple

from simplevtr.formats.paths import with_slashes
from simplevtr.formats.rle import is_background
from simplevtr.formats.ytvis import Annotation, AnnotationFile, require_objects

Bin = tuple[str, Collection[int]]  # one row of a table: its title and the numbers that it takes


@dataclass(frozen=True)
class VideoSummary:
    """One video of ``length`` frames."""

    # The folder of its frames; where that is empty or several videos share it, the file name
    # of its first frame. No two videos of a file have the same name.
    name: str
    length: int
    categories: frozenset[int] = frozenset()  # ids of the categories that its instances have
    instances: int = 0  # annotated instances (tracks)
    most_in_frame: int = 0  # the most instances that one of its frames shows


def summarize_videos(file: AnnotationFile) -> list[VideoSummary]:
    """The videos of an annotation file, in its order.

    Raises:
        ValueError: a video has no file names, two start with the same frame, or all annotations
            are crowds.
    """
    require_objects(file.source, file.annotations)
    tracks: dict[int, list[Annotation]] = {}
    for track in file.annotations or ():
        if not track.iscrowd:  # crowds are neither learned nor scored
            tracks.setdefault(track.video_id, []).append(track)
    videos = []
    for video, name in zip(file.videos, _video_names(file), strict=True):
        own = tracks.get(video.id, [])
        in_frames = (
            sum(not is_background(mask, video.height, video.width) for mask in masks)
            for masks in zip(*(track.segmentations for track in own), strict=True)
        )
        most, categories = max(in_frames, default=0), frozenset(t.category_id for t in own)
        videos.append(VideoSummary(name, video.length, categories, len(own), most))
    return videos


def _video_names(file: AnnotationFile) -> list[str]:
    try:
        firsts = [with_slashes(video.require_names()[0]) for video in file.videos]
    except ValueError as error:
        raise ValueError(f"{file.source}: {error}") from error
    folders = [first.rpartition("/")[0] for first in firsts]
    shared = Counter(folders)
    names = [
        folder if folder and shared[folder] == 1 else first
        for folder, first in zip(folders, firsts, strict=True)
    ]
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise ValueError(f"{file.source}: {count} videos start with the same frame, {name}")
    return names


def count_table(numbers: Sequence[int], bins: Sequence[Bin]) -> list[tuple[str | float, ...]]:
    """How many videos have how many units (instances or frames), as in Tables 3 to 5 of the paper.

    ``bins`` are the rows, from top to bottom; each number belongs to one of them. A row is its
    title, the videos in it, their percentage of all, the videos in it and those above and their
    percentage; then the same four of the units. Percentages of nothing are 0.
    """
    counts = Counter(numbers)
    videos = [sum(n for number, n in counts.items() if number in taken) for _, taken in bins]
    units = [sum(i * n for i, n in counts.items() if i in taken) for _, taken in bins]
    assert (sum(videos), sum(units)) == (len(numbers), sum(numbers)), "a number without a row"
    columns: list[Sequence[float]] = []
    for column in (videos, units):
        for part in (column, [*accumulate(column)]):
            columns += [part, [_percent(number, sum(column)) for number in part]]
    return [(title, *cells) for (title, _), *cells in zip(bins, *columns, strict=True)]


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0


def bins_up_to(bounds: Iterable[int], numbers: Collection[int]) -> list[Bin]:
    """Rows such as "1", "2", "3~4", "5~9", from the least of the numbers to the greatest.

    ``bounds`` are the last numbers of the rows, rising; those outside of ``numbers`` are left out,
    so that no row is empty at either end.

    Raises:
        ValueError: if the bounds do not rise.
    """
    bounds = list(bounds)
    if any(a >= b for a, b in pairwise(bounds)):
        raise ValueError(f"the ends of rows must rise; got {' '.join(map(str, bounds))}")
    first, last = min(numbers), max(numbers)
    bins: list[tuple[str, Collection[int]]] = []
    for bound in [*(b for b in bounds if first <= b < last), last]:
        title = str(bound) if bound == first else f"{first}~{bound}"
        bins.append((title, range(first, bound + 1)))
        first = bound + 1
    return bins


def doubling_bounds(singles: int, greatest: int) -> list[int]:
    """0, 1, 2, ..., ``singles``, and then twice as much each time, up to ``greatest``."""
    bounds = list(range(singles + 1))
    while bounds[-1] < greatest:
        bounds.append(max(1, 2 * bounds[-1]))
    return bounds


# What the paper trains and infers with (section 4.2), after counts as these. Videos of hundreds of
# frames are no reason for more: memory grows with it, and windows are linked.
PAPER_CLIP, PAPER_WINDOW = 16, 64


class Suggestion(NamedTuple):
    """Sizes of a model that a dataset asks for. "Covered" is the share of videos asked for."""

    slots: int  # least number that the instances of a covered video do not exceed (NUM_QUERIES)
    # Greatest number of different frames, up to the paper's, that a covered video can give
    # (INPUT.SAMPLING_FRAME_NUM); in training, shorter videos repeat frames.
    clip_frames: int
    # Least number that the frames of a covered video do not exceed, or the paper's (TEST.WINDOW);
    # longer videos are read in several windows.
    window: int


def suggest_sizes(videos: Sequence[VideoSummary], coverage: Fraction) -> Suggestion:
    """Sizes that fit the given share of the videos, in (0, 1]; for the paper, 0.98.

    The share is exact, so that 0.98 of 50 videos are 49.
    """
    covered = math.ceil(coverage * len(videos))
    lengths = sorted(video.length for video in videos)
    slots = max(1, sorted(video.instances for video in videos)[covered - 1])
    clip_frames, window = lengths[len(videos) - covered], lengths[covered - 1]
    return Suggestion(slots, min(clip_frames, PAPER_CLIP), min(window, PAPER_WINDOW))


def share_within(numbers: Sequence[int], most: int) -> tuple[float, float]:
    """Per cent of the videos that have at most so many units, and of all units those they hold."""
    within = [number for number in numbers if number <= most]
    return _percent(len(within), len(numbers)), _percent(sum(within), sum(numbers))
