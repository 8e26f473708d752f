"""A small dataset with results that make every part of a report appear."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from json_files import save_json
from PIL import Image
from track_samples import category_entries, rle, video_entry

HEIGHT, WIDTH, LENGTH = 48, 64, 5
HOSTILE = "</script><script>window.hacked = 1</script>"
CATEGORIES = ["cat", HOSTILE, "__proto__"]
GREY = 90  # of every frame, all over


def block(x: int, y: int, size: int = 20) -> dict:
    """The RLE of a square."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y : y + size, x : x + size] = True
    return rle(mask)


def moving(start: int, y: int) -> list[dict]:
    return [block(start + 2 * t, y) for t in range(LENGTH)]


def track(video: int, category: int, masks: list, **more) -> dict:
    return {"video_id": video, "category_id": category, "segmentations": masks, **more}


def make_report_folder(root: Path) -> list[str]:
    """Write a dataset and results; the tool's arguments but for ``--output``.

    Videos: 1 is right; 2 has a switch, a wrong category and a miss; 3 has no true track.
    """
    names = {1: "right", 2: "<b>wrong", 3: "empty"}
    videos = []
    for number, name in names.items():
        videos.append(video_entry(number, LENGTH, (HEIGHT, WIDTH), folder=name, ending="png"))
        for file in videos[-1]["file_names"]:
            path = root / "images" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (WIDTH, HEIGHT), (GREY, GREY, GREY)).save(path)
    upper, lower, right = moving(0, 0), moving(0, 26), moving(30, 10)
    annotations = [
        track(1, 1, upper),
        track(1, 2, lower),
        track(2, 1, upper),
        track(2, 2, lower),
        track(2, 3, right),
    ]
    annotations = [{"id": i, "iscrowd": 0, **a} for i, a in enumerate(annotations, start=1)]
    results = [
        track(1, 1, upper, score=0.9),
        track(1, 2, lower, score=0.8),
        track(2, 1, [*upper[:3], None, None], score=0.95),  # goes over to
        track(2, 1, [None, None, None, *upper[3:]], score=0.7),  # this one
        track(2, 1, lower, score=0.6),
        track(3, 3, upper, score=0.5),
        track(3, 3, right, score=0.1),
    ]
    categories = category_entries(CATEGORIES)
    gt = {"videos": videos, "categories": categories, "annotations": annotations}
    files = ["--gt", save_json(root / "gt.json", gt)]
    files += ["--results", save_json(root / "results.json", results)]
    return [*files, "--images", str(root / "images")]


def read_data(path: Path) -> dict:
    """What a script of a report hands over."""
    text = path.read_text(encoding="ascii")
    return json.loads(text[text.index("(") + 1 : text.rindex(")")])
