"""Annotation files in YouTube-VIS format: reading with every check up front.

An annotation file lists videos, categories and annotations. An annotation is the track of one
object: lists with an item for each frame of its video, null where the object is not visible.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from simplevtr.formats import checks
from simplevtr.formats.files import read_json
from simplevtr.formats.film_strips import FilmStrip, join_frames, mean_area
from simplevtr.formats.paths import AnyPath, below, existing
from simplevtr.formats.rle import MalformedMaskError


@dataclass(frozen=True, slots=True)
class Category:
    """A category; ``name`` is not empty and in NFC."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Video:
    """A video of ``length`` frames, at least 1, of ``height`` x ``width`` pixels."""

    id: int
    height: int
    width: int
    length: int
    file_names: list[str] | None  # one for each frame, relative to the image root

    @property
    def name(self) -> str:
        """The folder of its first frame, by which people know it, or its id; not always unique."""
        folders = (self.file_names or [""])[0].replace("\\", "/").split("/")[:-1]
        return folders[-1] if folders else str(self.id)

    def require_names(self) -> list[str]:
        """``file_names``; ValueError if the file has none."""
        if self.file_names is None:
            raise ValueError(f"video {self.id} has no file_names")
        return self.file_names

    def stated_path(self, images: AnyPath, t: int) -> Path:
        """Where frame ``t`` is by its file name; ValueError if that is not below ``images``.

        ``images`` is the folder that the file names start at.
        """
        name = self.require_names()[t]
        try:
            return below(images, name)
        except ValueError as error:
            raise ValueError(f"video {self.id}, file_names[{t}]: {error}") from error

    def frame_path(self, images: AnyPath, t: int) -> Path:
        """``stated_path`` as the disk spells it."""
        return existing(self.stated_path(images, t))


@dataclass(frozen=True, slots=True)
class Annotation:
    """The track of one object as the file has it; masks are not decoded yet."""

    id: int  # not negative; ``video_id`` and ``category_id`` are ids of the file
    video_id: int
    category_id: int
    iscrowd: bool  # whether it is a group of objects, which is neither found nor missed
    segmentations: list[Any]  # for each frame polygons or an RLE, None where nothing is visible
    # For each frame x, y, width, height in pixels or None; None if the file has none.
    bboxes: list[Any] | None
    # For each frame pixels of 0 or more, or None; None if the file has none.
    areas: list[float | None] | None


@dataclass(frozen=True, slots=True)
class AnnotationFile:
    """What an annotation file holds, in its order; ``annotations`` is None if it has none."""

    source: str
    videos: list[Video]
    categories: list[Category]
    annotations: list[Annotation] | None


def read_annotations(path: AnyPath) -> AnnotationFile:
    """Read an annotation file (``.json`` or ``.json.gz``), as ``read_json`` does.

    ValueError also if it is not what the format asks for; the message names the file and the entry.
    """
    return parse_annotations(read_json(path), source=os.fspath(path))


def parse_annotations(content: Any, *, source: str = "annotation file") -> AnnotationFile:
    """Do what ``read_annotations`` does with content that is in memory; it is not changed."""
    checks.check_lists(content, source)
    videos = checks.entries(content["videos"], source, "videos", _video, unique=["id"])
    categories = parse_categories(content["categories"], source)
    annotations = None
    if content.get("annotations") is not None:
        lengths = {video.id: video.length for video in videos}
        names = {category.id for category in categories}
        parse = partial(_annotation, lengths=lengths, categories=names)
        tracks = content["annotations"]
        annotations = checks.entries(tracks, source, "annotations", parse, unique=["id"])
    return AnnotationFile(source, videos, categories, annotations)


def parse_categories(entries: Iterable[Any], source: str) -> list[Category]:
    """The categories of an annotation file, COCO's too; raises what ``read_annotations`` does."""

    def parse(entry: dict[str, Any]) -> Category:
        return Category(checks.integer(entry, "id"), checks.name(entry))

    # Names are unique too: datasets are matched and scores are given by them.
    return checks.entries(entries, source, "categories", parse, unique=["id", "name"])


def _video(entry: dict[str, Any]) -> Video:
    names = entry.get("file_names")
    if names is not None and "length" not in entry and isinstance(names, list):
        entry = {**entry, "length": len(names)}
    height, width, length = (
        checks.integer(entry, key, least=1) for key in ("height", "width", "length")
    )
    if names is not None:
        if not isinstance(names, list) or not all(isinstance(n, str) and n for n in names):
            raise ValueError("file_names must be a list of names, none of them empty")
        if len(names) != length:
            raise ValueError(f"length is {length}, but there are {len(names)} file_names")
    return Video(checks.integer(entry, "id"), height, width, length, names)


def _annotation(entry: dict[str, Any], lengths: dict[int, int], categories: set[int]) -> Annotation:
    length = lengths[checks.known(entry, "video_id", lengths)]
    boxes, areas = (
        None if entry.get(key) is None else checks.frame_list(entry, key, length)
        for key in ("bboxes", "areas")
    )
    for area in areas or ():
        if area is not None and not (checks.is_finite(area) and 0 <= area < 2**53):
            raise ValueError(f"areas must be numbers of 0 or more, or null, got {area!r:.80}")
    return Annotation(
        id=checks.integer(entry, "id"),
        video_id=entry["video_id"],
        category_id=checks.known(entry, "category_id", categories),
        iscrowd=checks.flag(entry, "iscrowd"),
        segmentations=[
            None if is_absent(mask) else mask
            for mask in checks.frame_list(entry, "segmentations", length)
        ],
        bboxes=boxes,
        areas=areas,
    )


def is_absent(segmentation: Any) -> bool:
    """Whether a segmentation says that the object is not visible: null, or no polygons."""
    return segmentation is None or segmentation == []


@dataclass(frozen=True, slots=True)
class TrueTrack:
    """An ``Annotation`` with decoded masks, as evaluation needs it."""

    id: int
    video_id: int
    category_id: int
    iscrowd: bool
    strip: FilmStrip
    # Mean of the file's ``areas``, in pixels, over the frames with one, or of the masks' own areas
    # if the file has none.
    area: float


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """An annotation file with decoded masks; ``tracks`` is None if it has no annotations."""

    source: str
    videos: list[Video]
    categories: list[Category]
    tracks: list[TrueTrack] | None

    def categories_in_use(self, results: Iterable[Any]) -> list[int]:
        """The ids of the categories of true tracks and of predicted ones, in ascending order."""
        return sorted({track.category_id for track in (*(self.tracks or ()), *results)})


def load_ground_truth(path: AnyPath) -> GroundTruth:
    """``read_annotations``, with masks decoded; ValueError also if one cannot be."""
    return check_ground_truth(read_json(path), source=os.fspath(path))


def load_annotated(path: AnyPath) -> GroundTruth:
    """``load_ground_truth`` for scoring: also ValueError if there is nothing to compare with."""
    truth = load_ground_truth(path)
    require_annotations(truth)
    require_objects(truth.source, truth.tracks)
    if not truth.tracks:
        raise ValueError(f"{truth.source} has an empty list of annotations; nothing can be scored")
    return truth


def check_ground_truth(content: Any, *, source: str = "ground truth") -> GroundTruth:
    """Do what ``load_ground_truth`` does with content that is in memory; it is not changed."""
    file = parse_annotations(content, source=source)
    tracks = []
    for a, strip in zip(file.annotations or (), decode_masks(file), strict=True):
        area = strip.area if a.areas is None else mean_area(a.areas)
        tracks.append(TrueTrack(a.id, a.video_id, a.category_id, a.iscrowd, strip, area))
    known = None if file.annotations is None else tracks
    return GroundTruth(file.source, file.videos, file.categories, known)


def decode_masks(
    file: AnnotationFile, decode: Callable[..., Sequence[FilmStrip | None]] = join_frames
) -> list[FilmStrip | Any]:
    """``strips_by_video`` of an annotation file, whose masks may be polygons."""
    tracks = [(a.video_id, a.segmentations) for a in file.annotations or ()]
    at = file.source, "annotations"
    return strips_by_video(tracks, file.videos, *at, allow_polygons=True, decode=decode)


def strips_by_video(
    tracks: Sequence[tuple[int | None, list[Any]]],
    videos: Sequence[Video],
    source: str,
    key: str,
    *,
    allow_polygons: bool = False,
    decode: Callable[..., Sequence[FilmStrip | None]] = join_frames,
) -> list[FilmStrip | Any]:
    """Decode the masks, one for each frame or None, of tracks with the ids of their videos.

    ``decode`` is ``join_frames`` or ``check_frames``. A track of none of the ``videos`` has None.
    ValueError if a mask cannot be decoded; the message begins with ``source: key[index]``.
    """
    indices: dict[int | None, list[int]] = {}
    for index, (video_id, _) in enumerate(tracks):
        indices.setdefault(video_id, []).append(index)
    strips: list[FilmStrip | Any] = [None] * len(tracks)
    for video in videos:
        own = indices.get(video.id, [])
        size = {"height": video.height, "width": video.width}
        try:
            joined = decode([tracks[i][1] for i in own], allow_polygons=allow_polygons, **size)
        except MalformedMaskError as error:
            track, frame = divmod(error.index, video.length)
            raise ValueError(f"{source}: {key}[{own[track]}]: frame {frame}: {error}") from error
        except ValueError as error:
            raise ValueError(f"{source}: {key}[{own[0]}]: {error}") from error
        for i, strip in zip(own, joined, strict=True):
            strips[i] = strip
    return strips


def require_annotations(truth: GroundTruth) -> None:
    """Raise ValueError if the file has no annotations; an empty list counts as some."""
    if truth.tracks is None:
        raise ValueError(f"{truth.source} has no annotations to compare with")


def require_objects(source: str, tracks: Sequence[Annotation | TrueTrack] | None) -> None:
    """Raise ValueError if all tracks of a file are crowds: nothing would be counted or scored."""
    if tracks and all(track.iscrowd for track in tracks):
        raise ValueError(
            f"{source}: all {len(tracks)} annotations are crowds (iscrowd 1), which are neither "
            "trained on nor scored nor drawn; YouTube-VIS has no crowds. If a converter wrote "
            "iscrowd 1 for every mask that is an RLE, simplevtr doctor FILE --fix OUT --crowds "
            "makes it 0, or import again with tools/import_dataset.py coco-tracks --crowds"
        )
