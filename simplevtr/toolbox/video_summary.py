"""What splitting and counting need to know of each video of an annotation file, and no more."""

from collections import Counter
from dataclasses import dataclass

from simplevtr.formats.ytvis import AnnotationFile, require_objects


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
    categories: dict[int, set[int]] = {video.id: set() for video in file.videos}
    shown = {video.id: [0] * video.length for video in file.videos}
    instances: Counter[int] = Counter()
    for track in file.annotations or ():
        if track.iscrowd:  # neither learned nor scored
            continue
        categories[track.video_id].add(track.category_id)
        instances[track.video_id] += 1
        for frame, mask in enumerate(track.segmentations):
            shown[track.video_id][frame] += mask is not None
    return [
        VideoSummary(name, v.length, frozenset(categories[v.id]), instances[v.id], max(shown[v.id]))
        for v, name in zip(file.videos, _video_names(file), strict=True)
    ]


def _video_names(file: AnnotationFile) -> list[str]:
    try:
        firsts = [video.require_names()[0].replace("\\", "/") for video in file.videos]
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
