"""Videos that the benchmarks draw: noise for a network, moving squares for files and streams."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from simplevtr.video_io import open_sink

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.structures import BitMasks, Instances
from torch import Tensor

Clip = dict[str, Any]
COLOURS = np.array([[230, 60, 50], [60, 200, 70], [70, 90, 230], [230, 210, 60]], dtype=np.uint8)


def synthetic_clip(
    *, frames: int, size: tuple[int, int], instances: int, classes: int, rng: np.random.Generator
) -> Clip:
    """A clip of noise, ``size`` (H, W) pixels, as the dataset mapper makes clips.

    Each instance is of a random class and in every frame another random box.
    """
    labels = torch.from_numpy(rng.integers(classes, size=instances))
    masks = torch.zeros(frames, instances, *size, dtype=torch.bool)
    for mask in masks.flatten(0, 1):
        (top, bottom), (left, right) = (np.sort(rng.integers(n, size=2)) for n in size)
        mask[top : bottom + 1, left : right + 1] = True
    ids = torch.arange(1, instances + 1).repeat(frames, 1)
    images = torch.from_numpy(rng.integers(256, size=(frames, 3, *size), dtype=np.uint8))
    return clip_of(images, masks, labels, ids)


def clip_of(images: Tensor, masks: Tensor, labels: Tensor, ids: Tensor, *, video: int = 1) -> Clip:
    """A clip as the dataset mapper makes it, of the video with the id ``video``.

    ``images`` are (T, 3, H, W) uint8 and ``labels`` (N,) int64. Where an instance is absent,
    ``masks``, (T, N, H, W) bool, are empty and ``ids``, (T, N) int64, are -1.
    """
    frames, height, width = len(images), *images.shape[2:]
    clip = []
    for mask, own in zip(masks, ids, strict=True):
        frame = Instances((height, width), gt_masks=BitMasks(mask), gt_ids=own)
        frame.gt_boxes = frame.gt_masks.get_bounding_boxes()
        frame.gt_classes = labels.clone()
        clip.append(frame)
    names = [f"video_{video}/{t:05d}.jpg" for t in range(frames)]
    record = {"video_id": video, "height": height, "width": width, "length": frames}
    record |= {"file_names": names, "frame_idx": list(range(frames))}
    return record | {"image": list(images), "instances": clip}


def synthetic_batches(cfg: CfgNode, **shape: Any) -> Iterator[list[Clip]]:
    """The same batch without end; ``shape`` as for ``synthetic_clip``."""
    rng = np.random.default_rng(cfg.SEED if cfg.SEED >= 0 else None)
    shape["classes"] = cfg.MODEL.SIMPLEVTR.NUM_CLASSES
    clips = range(cfg.SOLVER.IMS_PER_BATCH)
    return itertools.repeat([synthetic_clip(**shape, rng=rng) for _ in clips])


def drifting_squares(frames: int, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Yield (H, W, 3) uint8 frames of coloured squares on grey noise, the same at every call."""
    height, width = size
    side = min(size) // 4
    draw = np.random.default_rng(0)
    background = draw.integers(90, 130, (*size, 3), dtype=np.uint8)
    for t in range(frames):
        frame = background.copy()
        for number, colour in enumerate(COLOURS):
            # Each square leaves the picture for a while in every round.
            x = (number * width // 3 + (number + 1) * t) % (2 * width) - side
            y = round((height - side) * (0.5 + 0.5 * np.sin(t / (17 + 5 * number) + number)))
            frame[y : y + side, max(0, x) : max(0, x + side)] = colour
        yield frame


def write_videos(folder: Path, count: int, frames: int, size: tuple[int, int]) -> None:
    """Write 0.mp4, 1.mp4, ... of ``drifting_squares``, 25 frames a second."""
    for index in range(count):
        with open_sink(folder / f"{index}.mp4", 25, size) as sink:
            for frame in drifting_squares(frames, size):
                sink.write(frame)
