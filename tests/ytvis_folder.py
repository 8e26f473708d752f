"""Tiny datasets in YTVIS format for tests: JPEG frames of moving rectangles and their JSON."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from simplevtr import setup_cfg

import numpy as np
from json_files import save_json
from PIL import Image
from track_samples import category_entries, rle, runs_of, video_entry

COLOURS = [(230, 40, 40), (40, 200, 60), (50, 80, 230), (230, 210, 40), (200, 60, 200)]
SMALL_MASK = {"size": [4, 4], "counts": [0, 16]}


class YtvisFolder(NamedTuple):
    json_file: str
    image_root: str


def make_ytvis_folder(
    root: Path,
    *,
    videos: int = 3,
    frames: int | list[int] = 4,
    size: tuple[int, int] | list[tuple[int, int]] = (48, 64),
    tracks: int = 2,
    categories: tuple[str, ...] = ("cat", "dog"),
    absent: tuple[tuple[int, int], ...] = ((1, 0),),
    annotations: bool = True,
    segmentation: str = "uncompressed",
    split: str = "train",
    images: bool = True,
) -> YtvisFolder:
    """Write ``root/<split>.json`` and ``root/<split>/JPEGImages/<video>/00000.jpg ...``.

    Videos, tracks and categories count from 1 in the JSON. Track k of a video (0-based), of
    category ``k % len(categories) + 1``, is a rectangle of about a third of the frame, one colour
    per category, that moves 2 pixels a frame. ``frames`` and ``size`` are of all videos or one a
    video; ``absent`` has (track, frame) pairs; ``annotations`` False writes null, as in the
    official validation sets; ``segmentation`` is "uncompressed", "compressed" or "polygon".
    """
    image_root = Path(root) / split / "JPEGImages"
    image_root.mkdir(parents=True, exist_ok=True)
    lengths = frames if isinstance(frames, list) else [frames] * videos
    sizes = size if isinstance(size, list) else [size] * videos
    entries, found = [], []
    for v in range(videos):
        video = video_entry(v + 1, lengths[v], sizes[v], folder=f"video{v + 1}")
        boxes = {
            (k, t): _box(v, k, t, *sizes[v])
            for k in range(tracks)
            for t in range(lengths[v])
            if (k, t) not in absent
        }
        if images:
            _write_frames(image_root, video, boxes, len(categories))
        for k in range(tracks):
            track = {"id": len(found) + 1, "video_id": v + 1, "iscrowd": 0}
            track["category_id"] = k % len(categories) + 1
            found.append(track | _track(boxes, k, lengths[v], *sizes[v], segmentation))
        entries.append(video)
    content = {"videos": entries, "categories": category_entries(categories)}
    content["annotations"] = found if annotations else None
    return YtvisFolder(save_json(Path(root) / f"{split}.json", content), str(image_root))


def make_content(instances: list[int], lengths: list[int]) -> dict:
    """The content of an annotation file with so many instances and frames in each video.

    Track k of a video is a cat (k even) or a dog, seen from frame k on; ids start at 1.
    """
    videos, annotations = [], []
    for index, (count, length) in enumerate(zip(instances, lengths, strict=True), start=1):
        videos.append(video_entry(index, length, (4, 4), folder=f"clip{index}"))
        for k in range(count):
            own = {"id": len(annotations) + 1, "video_id": index, "category_id": 1 + k % 2}
            own["segmentations"] = [SMALL_MASK if frame >= k else None for frame in range(length)]
            annotations.append(own)
    categories = category_entries(["cat", "a|dog"])
    return {"videos": videos, "categories": categories, "annotations": annotations}


def loader_cfg(*datasets, **keys):
    """A config to load small clips of these training datasets in this process."""
    cfg = setup_cfg()
    cfg.DATASETS.TRAIN, cfg.DATASETS.TEST = datasets, ()
    cfg.DATALOADER.NUM_WORKERS = 0
    cfg.SEED = 5
    cfg.INPUT.SAMPLING_FRAME_NUM = 2
    cfg.INPUT.MIN_SIZE_TRAIN, cfg.INPUT.MAX_SIZE_TRAIN = (32,), 64
    cfg.INPUT.MIN_SIZE_TEST = 24
    cfg.SOLVER.IMS_PER_BATCH = 2
    cfg.merge_from_list([part for pair in keys.items() for part in pair])
    return cfg


def _box(video: int, track: int, frame: int, height: int, width: int) -> tuple[int, int, int, int]:
    """(x, y, w, h) of a rectangle that stays inside the frame."""
    w, h = max(2, width // 3), max(2, height // 3)
    x = (track * width // 2 + 2 * frame + 3 * video) % (width - w + 1)
    y = (track * height // 2 + 2 * frame) % (height - h + 1)
    return x, y, w, h


def _write_frames(image_root: Path, video: dict, boxes: dict, num_categories: int) -> None:
    for t, name in enumerate(video["file_names"]):
        image = np.full((video["height"], video["width"], 3), 90, dtype=np.uint8)
        for (k, frame), (x, y, w, h) in boxes.items():
            if frame == t:
                image[y : y + h, x : x + w] = COLOURS[k % num_categories % len(COLOURS)]
        path = image_root / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path, quality=95)


def _track(boxes: dict, track: int, length: int, height: int, width: int, kind: str) -> dict:
    """The three lists of one annotation, one entry a frame."""
    own = [boxes.get((track, t)) for t in range(length)]
    return {
        "segmentations": [box and _segmentation(box, height, width, kind) for box in own],
        "bboxes": [box and list(box) for box in own],
        "areas": [box and box[2] * box[3] for box in own],
    }


def _segmentation(box: tuple[int, int, int, int], height: int, width: int, kind: str):
    x, y, w, h = box
    if kind == "polygon":
        return [[x, y, x + w, y, x + w, y + h, x, y + h]]
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[y : y + h, x : x + w] = 1
    if kind == "compressed":
        return rle(mask)
    assert kind == "uncompressed", kind
    return {"size": [height, width], "counts": runs_of(mask.T)}
