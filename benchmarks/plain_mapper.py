"""A video record to a clip in the ways of detectron2's own mapper: what the project's is timed by.

It copies the record, reads every frame whole, applies detectron2's transforms to it one after
another, and decodes and transforms each mask of the sampled frames. Its augmentations are VisTR's,
as the config names them, with the same distributions as the project's.
"""

from __future__ import annotations

import copy
from typing import Any

from benchmarks.measure import Stages
from simplevtr.data import ClipAugmentation, sample_frames
from simplevtr.data.transforms import PhotometricTransform

import cv2
import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.data import detection_utils
from detectron2.data import transforms as T
from detectron2.structures import BoxMode, Instances
from pycocotools import mask as mask_util

Record = dict[str, Any]
STAGES = ("record", "decode", "geometry", "colours", "masks", "rest")


class PlainMapper:
    """The baseline.

    Attributes:
        stages: the time that clips took.
    """

    def __init__(self, cfg: CfgNode) -> None:
        node = cfg.INPUT
        self.stages = Stages(STAGES)
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
        time = self.stages.time
        with time("record"):
            record = copy.deepcopy(record)
        numbers = sample_frames(record["length"], self.frames, self.rng, anchor=record["anchor"])
        annotations = [record["annotations"][t] for t in numbers]
        ids = sorted({entry["id"] for frame in annotations for entry in frame})
        colours = self.colours(len(numbers), self.rng)
        transforms = None
        record["frame_idx"], record["image"], record["instances"] = numbers, [], []
        for t, entries, colour in zip(numbers, annotations, colours, strict=True):
            with time("decode"):
                image = detection_utils.read_image(record["file_names"][t], "RGB")
            detection_utils.check_image_size(record, image)
            with time("geometry"):
                if transforms is None:  # drawn with the first frame
                    moved = T.AugInput(image)
                    transforms, image = self.steps(moved), moved.image
                else:
                    image = transforms.apply_image(image)
            with time("colours"):
                image = _changed(image, colour)
            planes = torch.as_tensor(np.ascontiguousarray(image.transpose(2, 0, 1)))
            record["image"].append(planes)
            with time("masks"):
                instances = _instances(entries, ids, transforms, image.shape[:2])
            record["instances"].append(instances)
        return record


def _changed(image: np.ndarray, drawn: T.Transform) -> np.ndarray:
    """The drawn change, computed in floating point step by step."""
    if not isinstance(drawn, PhotometricTransform):
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
    """One frame's ``Instances``, a row an id; an absent one has an empty mask."""
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
