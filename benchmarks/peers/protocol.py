"""What the compared systems share: their command, the clock, the videos, the files.

    python -m benchmarks.peers.protocol mask2former train --data datasets/embedded/easy \\
        --folder output/peers/mask2former/seed_0 --seed 0 --budget 1100 --threads 1

``train`` leaves weights and train.json in FOLDER; ``predict`` val.json and long.json, the results,
and predict.json. It runs in either environment, so it imports neither simplevtr nor a peer.

A system's module has PACKAGES, whose versions are reported; ``train(args)``, which leaves weights
in ``args.folder`` and returns the CPU seconds of its loop; and ``load(args)``, which returns the
trained model and a function: the frames of a video, (H, W, 3) uint8 RGB -> its tracks.
"""

import argparse
import importlib
import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.memory import peak_resident_bytes

import numpy as np
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from torch import nn

Track = tuple[int, float, list[dict[str, Any] | None]]
"""Category id, the score by which AP orders tracks, and for each frame an RLE or None."""
Tracker = Callable[[list[np.ndarray]], Iterable[Track]]


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("system", choices=("ours", "mask2former", "yolo"))
    parser.add_argument("step", choices=("train", "predict"))
    kinds = {"data": Path, "folder": Path, "seed": int, "budget": float, "threads": int}
    for option, kind in kinds.items():
        parser.add_argument(f"--{option}", type=kind, required=True)
    parser.add_argument("--stages", nargs="*", help="configs of SimpleVTR")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    system = importlib.import_module(f"benchmarks.peers.{args.system}")
    if args.step == "train":
        seconds = system.train(args)
        figures = {"cpu_seconds": seconds, "budget": args.budget, "threads": args.threads}
        figures["dataset"] = json.loads((args.data / "embedded.json").read_text())
    else:
        figures = predict(args, *system.load(args))
    figures["peak_bytes"] = peak_resident_bytes()
    figures["versions"] = {name: version(name) for name in ("torch", *system.PACKAGES)}
    write_json(args.folder / f"{args.step}.json", figures)


def predict(args: argparse.Namespace, model: nn.Module, track: Tracker) -> dict[str, Any]:
    """Write the results of each split; return the model's size and CPU milliseconds a frame.

    The time is that of network, post-processing, linking and run-length encoding, not of reading.
    """
    keys, milliseconds = ("category_id", "score", "segmentations"), {}
    for split in ("val", "long"):
        seconds, count, results = 0.0, 0, []
        for video, frames, _ in videos(args.data, split):
            if not count:
                list(track(frames))  # warm-up
            start = time.process_time()
            tracks = list(track(frames))
            seconds += time.process_time() - start
            count += len(frames)
            entries = [dict(zip(keys, found, strict=True)) for found in tracks if any(found[-1])]
            results += [{"video_id": video["id"], **entry} for entry in entries]
        milliseconds[split] = 1000 * seconds / count
        write_json(args.folder / f"{split}.json", results)
    state = [value for value in model.state_dict().values() if value.is_floating_point()]
    return {
        "milliseconds": milliseconds,
        "parameters": sum(value.numel() for value in model.parameters()),
        "half_bytes": 2 * sum(value.numel() for value in state),
    }


def cpu_seconds() -> float:
    """CPU seconds of this process and of its children that have ended, all threads together."""
    return sum(os.times()[:4])


def videos(data: Path, split: str) -> Iterator[tuple[dict, list[np.ndarray], list[dict]]]:
    """Each video's entry, its frames, (H, W, 3) uint8 RGB, and the entries of its true tracks."""
    content = json.loads((data / f"{split}.json").read_text())
    tracks = defaultdict(list)
    for entry in content["annotations"]:
        tracks[entry["video_id"]].append(entry)
    for video in content["videos"]:
        paths = [data / split / "JPEGImages" / name for name in video["file_names"]]
        yield video, [np.array(Image.open(p).convert("RGB")) for p in paths], tracks[video["id"]]


def labelled_frames(data: Path) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Training frames with objects: (H, W, 3) uint8 RGB, (N, H, W) uint8 masks, (N,) labels."""
    for video, frames, tracks in videos(data, "train"):
        labels = np.array([entry["category_id"] - 1 for entry in tracks])
        for t, frame in enumerate(frames):
            shapes = [entry["segmentations"][t] for entry in tracks]
            seen = [shape is not None for shape in shapes]
            if any(seen):
                size = video["height"], video["width"]
                yield frame, np.stack([decoded(s, *size) for s in shapes if s]), labels[seen]


def decoded(shape: Any, height: int, width: int) -> np.ndarray:
    """The (H, W) uint8 mask of polygons or of an RLE, compressed or not."""
    if isinstance(shape, list) or isinstance(shape["counts"], list):
        shape = coco_mask.frPyObjects(shape, height, width)
    return coco_mask.decode(coco_mask.merge(shape) if isinstance(shape, list) else shape)


def encoded(mask: np.ndarray) -> dict[str, Any] | None:
    """The compressed RLE of a (H, W) bool mask; None if it is empty."""
    rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {**rle, "counts": rle["counts"].decode()} if mask.any() else None


def write_json(path: Path, content: Any) -> None:
    """Write a file that is either complete or not there."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content))
    os.replace(partial, path)


if __name__ == "__main__":
    main()
