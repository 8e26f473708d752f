"""Ground truth in YouTube-VIS format: reading with every check up front."""

from __future__ import annotations

import os

from simplevtr.formats.files import read_json
from simplevtr.formats.film_strips import FilmStrip, mean_area
from simplevtr.formats.results import (
    check_frames,
    check_results,
    is_finite,
    strips_of_video,
)


def load_ground_truth(path: str | os.PathLike) -> dict:
    """Read a YouTube-VIS annotation file (``.json`` or ``.json.gz``) and check it.

    Returns:
        The file's content. Every video has a ``length``. ``annotations`` is None if the file has
        none (null or missing, as in the public validation and test sets); otherwise each
        annotation also has ``film_strip``, its masks as a ``FilmStrip``; ``area``, the mean in
        pixels of the file's ``areas`` over the frames with one, or of the masks' own areas if the
        file gives none; and ``iscrowd``, 0 or 1.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: something is wrong; the message names the file and the entry's index.
    """
    return check_ground_truth(read_json(path), source=str(path))


def check_ground_truth(content: dict, *, source: str = "ground truth") -> dict:
    """Do what ``load_ground_truth`` does with content that is in memory; it is not changed."""
    if not isinstance(content, dict):
        raise ValueError(f"{source}: must be an object, got {type(content).__name__}")
    videos = [
        _entry(_checked_video, video, f"{source}: videos[{i}]")
        for i, video in enumerate(_list(content, "videos", source))
    ]
    categories = _list(content, "categories", source)
    for i, category in enumerate(categories):
        _entry(_check_category, category, f"{source}: categories[{i}]")
    _refuse_duplicates(videos, "id", f"{source}: videos")
    _refuse_duplicates(categories, "id", f"{source}: categories")
    _refuse_duplicates(categories, "name", f"{source}: categories")  # scores are given by name
    checked = {**content, "videos": videos, "categories": categories, "annotations": None}
    if content.get("annotations") is not None:
        annotations = _list(content, "annotations", source)
        checked["annotations"] = _checked_annotations(annotations, videos, categories, source)
    return checked


def checked(gt: dict, results: list[dict]) -> tuple[dict, list[dict]]:
    """Both as ``load_ground_truth`` and ``load_results`` give them.

    Args:
        gt: what ``load_ground_truth`` gave, which is taken as it is, or the content of such a file.
        results: likewise of ``load_results``.

    Raises:
        ValueError: something is wrong in content that had not been checked.
    """
    if not gt.get("annotations") or not _have_film_strips(gt["annotations"]):
        gt = check_ground_truth(gt)
    if not _have_film_strips(results):
        results = check_results(results, gt)
    return gt, results


def _have_film_strips(tracks: object) -> bool:
    return isinstance(tracks, list) and all(
        isinstance(track, dict) and isinstance(track.get("film_strip"), FilmStrip)
        for track in tracks
    )


def has_ground_truth(gt: dict) -> bool:
    """Whether there is any annotation to score predictions against."""
    return bool(gt.get("annotations"))


def require_annotations(gt: dict) -> None:
    """Raise ValueError if there are no annotations at all; an empty list is some."""
    if gt.get("annotations") is None:
        raise ValueError("the ground truth has no annotations to compare with")


def _list(content: dict, key: str, source: str) -> list:
    value = content.get(key)
    if not isinstance(value, list):
        raise ValueError(f"{source}: {key!r} must be a list, got {type(value).__name__}")
    return value


def _entry(check, entry, name: str, *arguments):
    """``check(entry, *arguments)``, with errors that begin with the entry's name."""
    try:
        if not isinstance(entry, dict):
            raise ValueError(f"must be an object, got {type(entry).__name__}")
        return check(entry, *arguments)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _integer(entry: dict, key: str, *, least: int | None = None) -> int:
    value = entry.get(key)
    if type(value) is not int or (least is not None and value < least):
        bound = "" if least is None else f" of {least} or more"
        raise ValueError(f"{key} must be an integer{bound}, got {value!r:.80}")
    return value


def _checked_video(video: dict) -> dict:
    _integer(video, "id")
    _integer(video, "height", least=1)
    _integer(video, "width", least=1)
    names = video.get("file_names")
    if "length" not in video and isinstance(names, list):
        video = {**video, "length": len(names)}
    _integer(video, "length", least=0)
    if names is not None:
        check_frames(names, video, "file_names")
    return video


def _check_category(category: dict) -> None:
    _integer(category, "id")
    if not isinstance(category.get("name"), str):
        raise ValueError(f"name must be text, got {category.get('name')!r:.80}")


def _refuse_duplicates(entries: list[dict], key: str, name: str) -> None:
    first: dict = {}
    for index, entry in enumerate(entries):
        if entry[key] in first:
            raise ValueError(
                f"{name}[{index}]: {key} {entry[key]!r:.80} is used already by "
                f"[{first[entry[key]]}]"
            )
        first[entry[key]] = index


def _checked_annotations(
    annotations: list[dict], videos: list[dict], categories: list[dict], source: str
) -> list[dict]:
    names = [f"{source}: annotations[{i}]" for i in range(len(annotations))]
    video_of = {video["id"]: video for video in videos}
    category_ids = {category["id"] for category in categories}
    checked = [
        _entry(_checked_annotation, annotation, name, video_of, category_ids)
        for annotation, name in zip(annotations, names, strict=True)
    ]
    _refuse_duplicates(checked, "id", f"{source}: annotations")
    by_video: dict[int, list[int]] = {}
    for index, annotation in enumerate(checked):
        by_video.setdefault(annotation["video_id"], []).append(index)
    for video_id, indices in by_video.items():
        strips = strips_of_video(
            # Some files write [] for an instance that is not visible.
            [[mask or None for mask in checked[i]["segmentations"]] for i in indices],
            video_of[video_id],
            names=[names[i] for i in indices],
            allow_polygons=True,
        )
        for i, strip in zip(indices, strips, strict=True):
            checked[i]["film_strip"] = strip
            checked[i].setdefault("area", strip.area)
    return checked


def _checked_annotation(annotation: dict, videos: dict[int, dict], category_ids: set[int]) -> dict:
    _integer(annotation, "id")
    video_id, category_id = _integer(annotation, "video_id"), _integer(annotation, "category_id")
    if video_id not in videos:
        raise ValueError(f"unknown video_id {video_id}; there are {len(videos)} videos")
    if category_id not in category_ids:
        raise ValueError(f"unknown category_id {category_id}; there are {sorted(category_ids)}")
    crowd = annotation.get("iscrowd", 0)
    if crowd not in (0, 1):
        raise ValueError(f"iscrowd must be 0 or 1, got {crowd!r:.80}")
    video = videos[video_id]
    check_frames(annotation.get("segmentations"), video, "segmentations")
    checked = {key: value for key, value in annotation.items() if key != "area"}
    checked["iscrowd"] = int(crowd)
    if annotation.get("bboxes") is not None:
        check_frames(annotation["bboxes"], video, "bboxes")
    areas = annotation.get("areas")
    if areas is not None:
        check_frames(areas, video, "areas")
        if not all(area is None or (is_finite(area) and area >= 0) for area in areas):
            raise ValueError("areas must be numbers of 0 or more, or null")
        checked["area"] = mean_area(areas)
    return checked
