"""YOLO11n-seg on frames and BoT-SORT, both of ultralytics (AGPL-3.0), with random weights.

A track's score is the mean confidence of its masks times the share of the frames that show it.
ultralytics trains for a given time by its own clock; here that clock counts CPU seconds.
"""

import argparse
import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

from benchmarks.peers import protocol

import cv2
import numpy as np
import ultralytics.data.utils
import ultralytics.engine.trainer
import ultralytics.utils.torch_utils
import yaml
from PIL import Image
from torch import nn
from ultralytics import YOLO
from ultralytics.data.converter import merge_multi_segment

PACKAGES = ("ultralytics",)
NAMES = ("disk", "square", "triangle", "star", "cross", "ring")
TRAINING = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
TRACKER = Path(__file__).with_name("botsort.yaml")
ENLARGED = 4  # outlines are traced at this scale, so that they follow the pixels' edges


def write_dataset(data: Path, folder: Path) -> Path:
    """Write the training frames as ultralytics reads them; the path of the file that lists them."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for index, (image, masks, labels) in enumerate(protocol.labelled_frames(data)):
        Image.fromarray(image).save(folder / f"images/{index:05d}.png")
        points = [" ".join(f"{value:.5f}" for value in outline(mask).ravel()) for mask in masks]
        lines = [f"{label} {line}" for label, line in zip(labels, points, strict=True)]
        (folder / f"labels/{index:05d}.txt").write_text("\n".join(lines))
    # Something must be named for the validation that ultralytics ends with.
    (folder / "val.txt").write_text("./images/00000.png\n")
    content = {"path": str(folder.resolve()), "train": "images", "val": "val.txt"}
    listed = folder / "data.yaml"
    listed.write_text(json.dumps({**content, "names": NAMES}))
    return listed


def outline(mask: np.ndarray) -> np.ndarray:
    """(P, 2) x and y in [0, 1] of one closed line round all parts and holes of a uint8 mask."""
    large = mask.repeat(ENLARGED, 0).repeat(ENLARGED, 1)
    found = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)[0]
    parts = [part.reshape(-1, 2) for part in found]
    if len(parts) > 1:
        parts = merge_multi_segment([part.ravel().tolist() for part in parts])
    return ((np.concatenate(parts) + 0.5) / large.shape[::-1]).clip(0, 1)


def train(args: argparse.Namespace) -> float:
    """Train with ultralytics' recipe; the weights that it leaves are its average's."""
    ultralytics.data.utils.check_font = lambda *_: None  # it would be downloaded
    ultralytics.utils.torch_utils.NUM_THREADS = args.threads
    ultralytics.engine.trainer.time = SimpleNamespace(time=protocol.cpu_seconds)
    marks: list[float] = []
    model = YOLO("yolo11n-seg.yaml")
    for event in ("on_train_start", "on_train_epoch_end"):
        model.add_callback(event, lambda _: marks.append(protocol.cpu_seconds()))
    listed = write_dataset(args.data, args.folder / "data")
    where = {"data": str(listed), "project": str(args.folder.resolve()), "name": "run"}
    model.train(time=args.budget / 3600, seed=args.seed, **where, **TRAINING)
    shutil.copyfile(args.folder / "run/weights/last.pt", args.folder / "model.pt")
    return marks[-1] - marks[0]


def load(args: argparse.Namespace) -> tuple[nn.Module, protocol.Tracker]:
    """The model, and ultralytics' tracking of all masks that it finds."""
    ultralytics.utils.torch_utils.NUM_THREADS = args.threads
    model = YOLO(args.folder / "model.pt")
    options = {"tracker": str(TRACKER), "persist": True, "conf": 0.05, "retina_masks": True}
    options |= {"imgsz": TRAINING["imgsz"], "device": "cpu", "verbose": False}

    def track(frames: list[np.ndarray]) -> Iterator[protocol.Track]:
        for state in getattr(model.predictor, "trackers", ()):
            state.reset()  # another video
        shapes: dict[float, list] = defaultdict(lambda: [None] * len(frames))
        scores: dict[float, Counter] = defaultdict(Counter)
        for t, frame in enumerate(frames):
            (found,) = model.track(np.ascontiguousarray(frame[:, :, ::-1]), **options)  # as BGR
            if found.boxes.id is None or found.masks is None:
                continue
            columns = (found.boxes.id, found.boxes.cls, found.boxes.conf, found.masks.data)
            for key, label, score, mask in zip(*(part.numpy() for part in columns), strict=True):
                shapes[key][t] = protocol.encoded(mask > 0.5)
                scores[key][int(label)] += float(score)
        for key, by_class in scores.items():
            score = by_class.total() / len(frames)
            yield max(by_class, key=by_class.get) + 1, score, shapes[key]

    return model.model, track
