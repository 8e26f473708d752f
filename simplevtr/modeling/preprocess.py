"""Clip dicts of the dataset mapper -> a normalised, padded batch, and the targets of its clips."""

import logging
from dataclasses import dataclass, field
from typing import Any, Self

from simplevtr.structures import ClipBatch, ClipTargets

import torch
import torch.nn.functional as F
from detectron2.config import CfgNode, configurable
from torch import Tensor, nn
from torchvision.ops import box_convert

logger = logging.getLogger(__name__)


class ClipBatcher(nn.Module):
    """Normalise the frames of clips and pad them to the largest size and length of the batch.

    A single clip is never padded, nor are clips of one shape.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    @configurable
    def __init__(self, *, pixel_mean: list[float], pixel_std: list[float]) -> None:
        super().__init__()
        for name, values in (("pixel_mean", pixel_mean), ("pixel_std", pixel_std)):
            buffer = torch.tensor(values, dtype=torch.float32).view(-1, 1, 1)
            self.register_buffer(name, buffer, persistent=False)

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        """Read the statistics of pixels."""
        return {"pixel_mean": cfg.MODEL.PIXEL_MEAN, "pixel_std": cfg.MODEL.PIXEL_STD}

    def normalised(self, frames: Tensor) -> Tensor:
        """uint8 (T, 3, H, W) frames as the network takes them, float32."""
        return (frames - self.pixel_mean) / self.pixel_std

    def forward(self, clips: list[dict[str, Any]]) -> ClipBatch:
        """Batch clips whose ``image`` is T_b uint8 (3, H_b, W_b) tensors; ValueError for others."""
        for own in (frame for clip in clips for frame in clip["image"]):
            if not isinstance(own, Tensor) or (own.dtype, *own.shape[:-2]) != (torch.uint8, 3):
                kind, shape = getattr(own, "dtype", type(own)), [*getattr(own, "shape", ())]
                found = f"image has to be a list of uint8 (3, H, W) tensors, not of {kind} {shape}"
                raise ValueError(f"{found}; VideoPredictor takes pictures")
        device = self.pixel_mean.device
        stacks = [torch.stack(clip["image"]).to(device, non_blocking=True) for clip in clips]
        normalised = [self.normalised(stack) for stack in stacks]
        shapes = [stack.shape for stack in normalised]
        if len(set(shapes)) == 1:
            return ClipBatch(torch.stack(normalised))
        length, channels, height, width = (max(sizes) for sizes in zip(*shapes, strict=True))
        frames = normalised[0].new_zeros(len(clips), length, channels, height, width)
        padding = torch.ones(len(clips), length, height, width, dtype=torch.bool, device=device)
        for b, (stack, (t, _, h, w)) in enumerate(zip(normalised, shapes, strict=True)):
            frames[b, :t, :, :h, :w] = stack
            padding[b, :t, :h, :w] = False
        return ClipBatch(frames, padding)


@dataclass(eq=False, kw_only=True)
class TargetBuilder:
    """Build the ground truth of clips, keeping at most ``max_instances`` of each."""

    max_instances: int
    num_classes: int  # of categories, whose labels are from 0 on
    class_offset: int = 0  # leading class indices that no category uses (VisTR: 1)
    _warned: bool = field(default=False, init=False)

    @classmethod
    def from_config(cls, cfg: CfgNode) -> Self:
        """Keep as many instances as there are slots."""
        node = cfg.MODEL.SIMPLEVTR
        sizes = {"max_instances": node.NUM_QUERIES, "num_classes": node.NUM_CLASSES}
        return cls(**sizes, class_offset=node.CLASS_OFFSET)

    def __call__(self, clip: dict[str, Any], batch: ClipBatch) -> ClipTargets:
        """Targets of the size and length of the ``batch`` that a clip became a part of.

        The clip has ``instances``, T ``Instances`` with the same N rows: ``gt_boxes`` xyxy pixels,
        ``gt_classes``, ``gt_ids`` (-1 where absent), ``gt_masks`` (``BitMasks``); and
        ``file_names``, for messages. Frames after the clip's own are empty. Of too many
        instances those with most visible pixels over the clip are kept (warned once), as no more
        can be matched. ValueError for a class that the model does not have.
        """
        frames, device = clip["instances"], batch.frames.device
        labels, allowed = frames[0].gt_classes, range(self.num_classes)
        if strange := {*labels.tolist()} - {*allowed}:
            found = f"the clip that begins with {clip['file_names'][0]} has the classes {strange}"
            raise ValueError(f"{found}; MODEL.SIMPLEVTR.NUM_CLASSES allows 0 to {allowed[-1]}")
        length, _, height, width = batch.frames.shape[1:]
        scale = torch.tensor([*frames[0].image_size[::-1]] * 2, dtype=torch.float32)
        masks = torch.stack([frame.gt_masks.tensor for frame in frames], dim=1).to(device)
        visible = torch.stack([frame.gt_ids >= 0 for frame in frames], dim=1)
        boxes = torch.stack([frame.gt_boxes.tensor for frame in frames], dim=1).float()
        boxes = box_convert(boxes / scale, "xyxy", "cxcywh") * visible[..., None]
        extra = length - len(frames)
        frame_padding = (0, width - masks.shape[-1], 0, height - masks.shape[-2], 0, extra)
        targets = ClipTargets(
            labels=(labels + self.class_offset).to(device),
            boxes=F.pad(boxes, (0, 0, 0, extra)).to(device),
            masks=F.pad(masks, frame_padding),
            visible=F.pad(visible, (0, extra)).to(device),
        )
        if len(targets) <= self.max_instances:
            return targets
        if not self._warned:
            self._warned = True
            logger.warning(
                "the clip that begins with %s has %d instances, more than the model's %d slots "
                "(MODEL.SIMPLEVTR.NUM_QUERIES); the largest are kept, here and in further clips",
                *(clip["file_names"][0], len(targets), self.max_instances),
            )
        area = targets.masks.flatten(1).sum(1)
        kept = area.argsort(descending=True, stable=True)[: self.max_instances]
        return targets.rows(kept.sort().values)
