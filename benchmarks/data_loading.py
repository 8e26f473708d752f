"""Time the making of training clips against a plain detectron2 mapper that does the same work.

    python benchmarks/data_loading.py [--config-file YAML] [--clips 8] [--json FILE]

The dataset is made in a temporary folder: JPEGs of smoothed noise, 720 x 1280 pixels and about 150
KB each, much like those of YouTube-VIS, and three instances as uncompressed RLE, as there. Both
mappers make clips of the config's length and size of it, by turns, on one thread: with the config's
augmentations, and without any. The plain mapper does what code on detectron2 commonly does: it
copies the record, reads every frame whole, applies detectron2's transforms one after another, and
decodes and transforms each mask of the sampled frames; its augmentations are VisTR's, as the config
names them, with the same distributions as the project's. Times are of the processor, so that other
programs disturb little; only the ratio means something on other machines.
"""

import argparse
import copy
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.command_line import COUNT, benchmark
from benchmarks.synthetic import outlines, polygon_rle
from simplevtr import setup_cfg
from simplevtr.data.augmentation import ClipAugmentation
from simplevtr.data.dataset_mapper import YTVISDatasetMapper
from simplevtr.data.frame_sampling import sample_frames
from simplevtr.data.transforms import PhotometricTransform
from simplevtr.data.ytvis import load_ytvis_json
from simplevtr.formats.rle import run_lengths
from simplevtr.terminal import markdown_table

import cv2
import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.data import detection_utils
from detectron2.data import transforms as T
from detectron2.structures import BoxMode, Instances
from PIL import Image
from pycocotools import mask as mask_util

CONFIG = Path(__file__).resolve().parents[1] / "configs/youtubevis_2021/simplevtr_R50.yaml"
VIDEOS, FRAMES, SIZE = 4, 20, (720, 1280)
COLOURS = ([90, 30, 60], [20, 90, 10], [10, 40, 99])  # of the tracks of a video

Record = dict[str, Any]


class PlainMapper:
    """The baseline."""

    def __init__(self, cfg: CfgNode) -> None:
        node = cfg.INPUT
        self.frames = node.SAMPLING_FRAME_NUM
        self.colours = ClipAugmentation.from_config(cfg, True).colours
        self.rng = np.random.default_rng(0)
        steps = []
        if "flip" in node.AUGMENTATIONS:
            steps.append(T.RandomFlip())
        if "crop" in node.AUGMENTATIONS:
            steps.append(T.ResizeShortestEdge(node.CROP_RESIZE, sample_style="choice"))
            steps.append(T.RandomCrop("absolute_range", tuple(node.CROP_RANGE)))
        last = T.ResizeShortestEdge(node.MIN_SIZE_TRAIN, node.MAX_SIZE_TRAIN, "choice")
        self.steps = T.AugmentationList([*steps, last])

    def __call__(self, record: Record) -> Record:
        """Make a clip with the entries of :class:`YTVISDatasetMapper`'s."""
        record = copy.deepcopy(record)
        numbers = sample_frames(record["length"], self.frames, self.rng, anchor=record["anchor"])
        annotations = [record["annotations"][t] for t in numbers]
        ids = sorted({entry["id"] for frame in annotations for entry in frame})
        colours = self.colours(len(numbers), self.rng)
        transforms = None
        record["frame_idx"], record["image"], record["instances"] = numbers, [], []
        for t, entries, colour in zip(numbers, annotations, colours, strict=True):
            image = detection_utils.read_image(record["file_names"][t], "RGB")
            detection_utils.check_image_size(record, image)
            if transforms is None:  # drawn with the first frame
                moved = T.AugInput(image)
                transforms, image = self.steps(moved), moved.image
            else:
                image = transforms.apply_image(image)
            image = plain_colours(image, colour)
            record["image"].append(torch.as_tensor(np.ascontiguousarray(image.transpose(2, 0, 1))))
            record["instances"].append(_instances(entries, ids, transforms, image.shape[:2]))
        return record


def plain_colours(image: np.ndarray, drawn: PhotometricTransform) -> np.ndarray:
    """The changes of colours one after the other, in floating point."""
    if drawn == PhotometricTransform():
        return image
    image = image.astype(np.float32) + drawn.brightness
    if drawn.contrast_first:
        image *= drawn.contrast
    if drawn.saturation != 1.0 or drawn.hue != 0.0:
        hsv = cv2.cvtColor(np.clip(image, 0, 255) / 255, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0] + drawn.hue) % 360
        hsv[..., 1] = np.clip(hsv[..., 1] * drawn.saturation, 0, 1)
        image = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255
    if not drawn.contrast_first:
        image *= drawn.contrast
    return np.clip(image[..., list(drawn.channels)] + 0.5, 0, 255).astype(np.uint8)


def _instances(
    entries: list[Record], ids: list[int], transforms: T.TransformList, size: tuple[int, int]
) -> Instances:
    """One frame's ``Instances``, one row per id; an absent one has an empty mask."""
    present = {}
    for entry in entries:
        if isinstance(entry["segmentation"], dict):  # pycocotools decodes compressed RLE only
            size_before = entry["segmentation"]["size"]
            entry["segmentation"] = mask_util.frPyObjects(entry["segmentation"], *size_before)
        present[entry["id"]] = detection_utils.transform_instance_annotations(
            entry, transforms, size
        )
    empty = {"bbox": [0, 0, 0, 0], "bbox_mode": BoxMode.XYXY_ABS, "category_id": 0}
    rows = [present.get(i, {**empty, "segmentation": np.zeros(size, dtype=np.uint8)}) for i in ids]
    instances = detection_utils.annotations_to_instances(rows, size, mask_format="bitmask")
    instances.gt_ids = torch.tensor([i if i in present else -1 for i in ids])
    if len(instances):
        instances.gt_boxes = instances.gt_masks.get_bounding_boxes()
    return instances


def make_dataset(root: Path) -> list[Record]:
    """Write the videos and their annotation file, and return the records."""
    rng = np.random.default_rng(0)
    height, width = SIZE
    videos, annotations, sizes = [], [], []
    for video in range(1, VIDEOS + 1):
        names = [f"{video}/{t:05d}.jpg" for t in range(FRAMES)]
        (root / str(video)).mkdir()
        scene = _texture(rng)
        starts = [rng.uniform((250, 230), (width - 350, height - 230)) for _ in COLOURS]
        steps = np.arange(FRAMES)[:, None] * (5, 0)
        tracks = [outlines(start + steps, np.array([170, 170]), rng) for start in starts]
        for t, name in enumerate(names):
            frame = scene[t : t + height, 4 * t : 4 * t + width].copy()  # a camera that pans
            for colour, track in zip(COLOURS, tracks, strict=True):
                cv2.fillPoly(frame, [track[t].astype(np.int32)], colour)
            Image.fromarray(frame).save(root / name, quality=80)
            sizes.append((root / name).stat().st_size)
        shape = {"height": height, "width": width, "length": FRAMES}
        videos.append({"id": video, **shape, "file_names": names})
        for track in tracks:
            rles = [polygon_rle(outline, SIZE) for outline in track]
            entry = {"id": len(annotations) + 1, "video_id": video, "category_id": 1}
            entry["segmentations"] = [rle | {"counts": run_lengths(rle)} for rle in rles]
            annotations.append(entry | {"bboxes": mask_util.toBbox(rles).tolist()})
    categories = [{"id": 1, "name": "blob"}]
    content = {"videos": videos, "categories": categories, "annotations": annotations}
    (root / "train.json").write_text(json.dumps(content))
    print(f"{len(sizes)} frames of {height} x {width}, {np.mean(sizes) / 1e3:.0f} KB each")
    return load_ytvis_json(root / "train.json", root)


def _texture(rng: np.random.Generator) -> np.ndarray:
    """Smoothed noise of several scales, a little larger than a frame."""
    height, width = SIZE[0] + FRAMES, SIZE[1] + 4 * FRAMES
    total = np.full((height, width, 3), 120, dtype=np.float32)
    for scale, strength in ((64, 60), (16, 30), (4, 14), (2, 7)):
        shape = (height // scale + 2, width // scale + 2, 3)
        noise = rng.standard_normal(shape, dtype=np.float32)
        total += strength * cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(total, 0, 255).astype(np.uint8)


def measure(cfg: CfgNode, records: list[Record], clips: int) -> dict[str, Any]:
    """Make clips with both mappers by turns, after a first one each.

    Returns for "plain" and "simplevtr" ``frames_per_second`` of processor time and ``pixels`` (mean
    of an output frame); and ``ratio``, the median over pairs of clips.
    """
    mappers = {"plain": PlainMapper(cfg), "simplevtr": YTVISDatasetMapper(cfg, True)}
    for warm in mappers.values():
        warm(records[0] | {"anchor": 0})
    found: dict[str, list[tuple[float, int]]] = {name: [] for name in mappers}
    np.random.seed(0)  # where detectron2's augmentations draw from
    anchors = np.random.default_rng(1)
    for number in range(clips):
        record = records[number % len(records)] | {"anchor": int(anchors.integers(FRAMES))}
        for name, mapper in mappers.items():
            start = time.process_time()
            clip = mapper(record)
            found[name].append((time.process_time() - start, clip["image"][0][0].numel()))
    report: dict[str, Any] = {}
    for name, own in found.items():
        seconds, pixels = zip(*own, strict=True)
        speed = cfg.INPUT.SAMPLING_FRAME_NUM * clips / sum(seconds)
        report[name] = {"frames_per_second": speed, "pixels": statistics.mean(pixels)}
    pairs = zip(*found.values(), strict=True)
    return report | {"ratio": statistics.median(plain / ours for (plain, _), (ours, _) in pairs)}


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config-file", default=str(CONFIG), metavar="YAML")
    parser.add_argument("--clips", type=COUNT, default=8, help="timed clips per mapper (default 8)")
    parser.add_argument("opts", nargs="*", metavar="KEY VALUE", help="config keys and values")


@benchmark(_add_options)
def main(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Make the dataset and measure with augmentation and without; figures and table."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    cfg = setup_cfg(args.config_file, args.opts)
    without = cfg.clone()
    without.INPUT.AUGMENTATIONS = []
    reports, rows = {}, []
    with tempfile.TemporaryDirectory() as folder:
        records = make_dataset(Path(folder))
        for setting, config in (("on", cfg), ("off", without)):
            report = reports[setting] = measure(config, records, args.clips)
            for name, ratio in (("plain", 1), ("simplevtr", f"{report['ratio']:.2f}")):
                speed, pixels = report[name].values()
                cells = (f"{speed:.1f}", ratio, f"{pixels / 1e3:.0f}")
                rows.append([f"augmentation {setting}", name, *cells])
    title = f"{args.config_file}: T = {cfg.INPUT.SAMPLING_FRAME_NUM}, one thread"
    heads = ["", "mapper", "frames/s", "ratio", "kpixels out"]
    return reports, f"{title}\n\n{markdown_table(heads, rows, left=2)}"


if __name__ == "__main__":
    sys.exit(main())
