"""COCO files whose images are frames of videos and whose annotations have track ids.

The source is a JSON file; the file names in it start at its own folder by default. Annotations have
a ``track_id`` or ``instance_id``, which counts within a video; it may also be ``track_id`` in an
annotation's ``attributes``, where CVAT writes it.

An image belongs to the video of its ``video_id``; if no image has one, to that of its
``first_frame_image_id``, the image that a sequence starts with; if none has that either, to that of
the folder in its ``file_name``. A video's frames are in order of ``frame_index`` or ``frame_id``;
if its images have neither, of their file names. Sizes are read from the pictures and compared with
those of the file.

Crowds, annotations to ``ignore``, those without a segmentation and, where others have a track id,
those without one are left out. Masks that are boxes are kept and counted in the notes.
"""

import re
from collections import Counter
from functools import partial
from itertools import pairwise
from operator import attrgetter
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from simplevtr.formats import checks
from simplevtr.formats.paths import below, existing, natural_key
from simplevtr.formats.ytvis import parse_categories
from simplevtr.toolbox.importing.reading import ImportedDataset, ImportedVideo, VideoDraft, naming
from simplevtr.toolbox.importing.shapes import from_coco
from simplevtr.toolbox.importing.sources import identity, note_restarts, read_object, require_folder

_TRACK_KEYS = ("track_id", "instance_id")
_TRACK_NAMES = "track_id or instance_id, also track_id in attributes,"
_UNTRACKED = re.compile(r"\s*(-[0-9]+)?\s*")
_FRAME_KEYS = ("frame_index", "frame_id")
_VIDEO_KEYS = ("video_id", "first_frame_image_id")
_BOXES = "masks that are boxes"
_CROWDS = "crowds (iscrowd 1) left out"


class _Image(NamedTuple):
    """An image of the file: ``sides`` are H and W in pixels, None where the file gives none."""

    id: int
    video: int | str
    order: tuple
    name: str
    sides: tuple[int | None, int | None]


def read(
    dataset: ImportedDataset, source: Path, images: Path | None, *, crowds: bool = False
) -> None:
    """Read all videos of a file; ``crowds`` are objects too, or left out."""
    content = read_object(source)
    if "videos" in content and "images" not in content:
        raise ValueError(f"{source}: is a YouTube-VIS file, which training takes as it is")
    root = dataset.image_root = require_folder(images or source.parent, "the videos' frames")
    with naming(source):
        lists = {key: checks.items(content, key) for key in ("images", "annotations", "categories")}
    entries = parse_categories(lists["categories"], str(source))
    categories = {category.id: category.name for category in entries}
    videos = _videos(lists["images"], source)
    stated, by_folder = content.get("videos"), _video_key(lists["images"]) is None
    if isinstance(stated, list) and by_folder and len(videos) < len(stated):
        found = f"has {len(stated)} videos, but no image has a 'video_id'"
        raise ValueError(f"{source}: {found}, and their folders are those of {len(videos)}")
    known = {image.id for frames in videos.values() for image in frames}
    annotations = _by_image(lists["annotations"], source, known, crowds, dataset.notes)

    def video_of(video: int | str) -> ImportedVideo:
        images = videos[video]
        if by_folder:
            note_restarts(dataset, [PurePosixPath(image.name).stem for image in images])
        with naming(source):
            frames = {image.id: existing(below(root, image.name)) for image in images}
        stated = {image.id: image.sides for image in images}
        draft = VideoDraft(dataset, f"{source}, video {video!r}", frames, stated=stated)
        for image in images:
            with draft.frame(image.id, f"{source}, image {image.id}"):
                draft.check_stated(image.id)
                for entry in annotations.get(image.id, ()):
                    with naming(f"annotation {checks.shown(entry.get('id'))}"):
                        track = identity(_track(entry), _TRACK_NAMES)
                        category = categories[checks.known(entry, "category_id", categories)]
                        mask, is_box = from_coco(entry["segmentation"], draft.size)
                        draft.add(track, category, image.id, mask)
                        if is_box:
                            dataset.notes[_BOXES] += 1
        return draft.finished()

    in_order = sorted(videos, key=lambda video: natural_key(str(video)))
    dataset.videos = dataset.each_video(in_order, video_of)
    dataset.categories = sorted(categories.items())
    # A model trained on such a file learns boxes, which the count alone does not show.
    if dataset.notes[_BOXES] and dataset.notes[_BOXES] == sum(len(t.masks) for t in dataset.tracks):
        dataset.notes[f"{_BOXES}: all, the file has no outlines"] = dataset.notes.pop(_BOXES)


def _track(entry: dict[str, Any]) -> Any:
    """The track id of an annotation as the file has it, None if it has none.

    Texts without a character, and numbers below 0, stand for objects that nobody has tracked.
    """
    attributes = entry.get("attributes")
    nested = attributes.get("track_id") if isinstance(attributes, dict) else None
    found = (*(entry.get(key) for key in _TRACK_KEYS), nested)
    return next((x for x in found if x is not None and not _UNTRACKED.fullmatch(str(x))), None)


def _video_key(entries: list[Any]) -> str | None:
    """The key that separates the videos; None: the images' folders do."""
    objects = [entry for entry in entries if isinstance(entry, dict)]
    return next((k for k in _VIDEO_KEYS if any(e.get(k) is not None for e in objects)), None)


def _videos(entries: list[Any], source: Path) -> dict[int | str, list[_Image]]:
    """The images of each video in order."""
    key = _video_key(entries)
    videos: dict[int | str, list[_Image]] = {}
    parse = partial(_image, video_key=key)
    for image in checks.entries(entries, str(source), "images", parse, unique=["id"]):
        videos.setdefault(image.video, []).append(image)
    for video, images in videos.items():
        images.sort(key=attrgetter("order", "id"))
        with naming(source):
            _check_order(images, video)
    return videos


def _image(entry: dict[str, Any], *, video_key: str | None) -> _Image:
    name = checks.text(entry, "file_name")
    folder = PurePosixPath(name.replace("\\", "/")).parent.as_posix()
    video = folder if video_key is None else identity(entry.get(video_key), repr(video_key))
    place = next((key for key in _FRAME_KEYS if entry.get(key) is not None), None)
    order = (1, natural_key(name)) if place is None else (0, checks.integer(entry, place))
    height, width = (
        None if entry.get(side) is None else checks.integer(entry, side, least=1)
        for side in ("height", "width")
    )
    return _Image(checks.integer(entry, "id"), video, order, name, (height, width))


def _check_order(images: list[_Image], video: int | str) -> None:
    """Raise ValueError unless the sorted images of a video have one order."""
    if images[0].order[0] != images[-1].order[0]:
        some = f"some images of video {video!r} have a frame index"
        raise ValueError(f"{some} and others, such as {images[-1].name!r}, have none")
    for one, other in pairwise(images):
        if one.order == other.order:
            raise ValueError(
                f"images {one.id} and {other.id} of video {video!r} are the same frame; two videos "
                "differ in 'video_id', else 'first_frame_image_id', else the folder in 'file_name'"
            )


def _by_image(
    entries: list[Any], source: Path, images: set[int], crowds: bool, notes: Counter[str]
) -> dict[int, list[dict[str, Any]]]:
    """The annotations of each image; those that are left out are counted."""
    some_tracked = any(isinstance(e, dict) and _track(e) is not None for e in entries)

    found: dict[int, list[dict[str, Any]]] = {}

    def sort(entry: dict[str, Any]) -> None:
        entry = {key: value for key, value in entry.items() if value is not None}
        image = checks.integer(entry, "image_id")
        if image not in images:
            raise ValueError(f"there is no image {image}")
        reasons = {
            _CROWDS: checks.flag(entry, "iscrowd") and not crowds,
            "annotations to ignore left out": checks.flag(entry, "ignore"),
            "annotations without a segmentation left out": not entry.get("segmentation"),
            "annotations without a track id left out": some_tracked and _track(entry) is None,
        }
        if reason := next((reason for reason, holds in reasons.items() if holds), None):
            notes[reason] += 1
        else:
            found.setdefault(image, []).append(entry)

    checks.entries(entries, source, "annotations", sort)
    if notes[_CROWDS]:
        # Converters write iscrowd 1 for every mask that is an RLE.
        every = ", which all annotations are" if notes[_CROWDS] == len(entries) else ""
        notes[f"{_CROWDS}{every} (--crowds imports them as objects)"] = notes.pop(_CROWDS)
    return found
