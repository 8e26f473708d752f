"""Small ground truth and predictions in YouTube-VIS format for the tests of evaluation."""

import functools
import gzip
import json
from pathlib import Path

from simplevtr.formats.results import check_results
from simplevtr.formats.ytvis import check_ground_truth
from simplevtr.structures import FrameTracks

import numpy as np
from pycocotools import mask as coco_mask

DATA = Path(__file__).parent / "data"
EXPECTED = json.loads((DATA / "ytviseval_expected.json").read_text())["cases"]
HEIGHT, WIDTH, LENGTH = 6, 8, 3


def data_file(case, kind):
    """Path of the ground truth ("gt") or predictions ("dt") of a stored case."""
    return DATA / f"ytviseval_case{case}_{kind}.json.gz"


def read(path):
    with gzip.open(path) as file:
        return json.load(file)


def rle(mask):
    """Compressed RLE with text counts of an (H, W) mask."""
    encoded = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return {"size": encoded["size"], "counts": encoded["counts"].decode()}


def runs_of(mask):
    """The lengths of the runs of a mask along its rows, background first."""
    edges = np.flatnonzero(np.diff(mask.ravel().astype(np.int8), prepend=0))
    return np.diff([0, *edges, mask.size]).tolist()


def tracks_of_frame(index, *found, size):
    """The tracks of a frame, each as (id, label, score, (H, W) mask)."""
    ids, labels, scores, masks = ([t[i] for t in found] for i in range(4))
    return FrameTracks(index, size, ids, labels, scores, [*map(rle, masks)])


def draw(painter, frame, masks, labels=None, scores=None, ids=None):
    """Draw tracks given as (H, W) masks, by default true ones of class 0 with ids from 1 on."""
    count = len(masks)
    ids = range(1, count + 1) if ids is None else ids
    found = zip(ids, labels or [0] * count, scores or [None] * count, masks, strict=True)
    return painter.draw_frame(frame, tracks_of_frame(0, *found, size=frame.shape[:2]))


def box(x0, y0, x1, y1):
    """(H, W) mask that is True for x0 <= x < x1, y0 <= y < y1."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y0:y1, x0:x1] = True
    return mask


def annotation(number, masks, *, video_id=1, category_id=1, **more):
    """Ground truth of one track; an item of ``masks`` may be None."""
    return {
        "id": number,
        "video_id": video_id,
        "category_id": category_id,
        "iscrowd": 0,
        "segmentations": [None if mask is None else rle(mask) for mask in masks],
        "areas": [None if mask is None else int(mask.sum()) for mask in masks],
        "bboxes": [None] * len(masks),
        **more,
    }


def result(masks, *, score=0.5, video_id=1, category_id=1):
    return {
        "video_id": video_id,
        "category_id": category_id,
        "score": score,
        "segmentations": [None if mask is None else rle(mask) for mask in masks],
    }


def video_entry(number, length=LENGTH, size=(HEIGHT, WIDTH), *, folder=None, ending="jpg"):
    """A video of an annotation file; ``size`` is (height, width)."""
    files = [f"{folder or number}/{frame:05d}.{ending}" for frame in range(length)]
    entry = {"id": number, "height": size[0], "width": size[1], "length": length}
    return entry | {"file_names": files}


def category_entries(names):
    """The categories of an annotation file, with ids from 1."""
    return [{"id": i, "name": name} for i, name in enumerate(names, start=1)]


def ground_truth(annotations, *, videos=(1, 2), categories=("cat", "dog")):
    return {
        "videos": [video_entry(video) for video in videos],
        "categories": category_entries(categories),
        "annotations": annotations,
    }


def on_plain(score):
    """The same function of the plain content of an annotation and of a result file."""

    @functools.wraps(score)
    def scored(gt, results, **options):
        truth = check_ground_truth(gt)
        return score(truth, check_results(results, truth), **options)

    return scored
