"""detectron2's per-frame ``Instances`` of a clip -> ``ClipTargets`` (legend in ``structures``)."""

from __future__ import annotations

import logging
from typing import Any

from simplevtr.structures import ClipBatch, ClipTargets

import torch
import torch.nn.functional as F
from detectron2.config import CfgNode, configurable
from torchvision.ops import box_convert

logger = logging.getLogger(__name__)


class TargetBuilder:
    """Build the ground truth of clips, keeping at most ``max_instances`` of each.

    ``class_offset`` leading class indices are used by no category (VisTR: 1).
    """

    @configurable
    def __init__(self, *, max_instances: int, class_offset: int = 0) -> None:
        self.max_instances = max_instances
        self.class_offset = class_offset
        self._warned = False

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        """Keep as many instances as there are slots."""
        node = cfg.MODEL.SIMPLEVTR
        return {"max_instances": node.NUM_QUERIES, "class_offset": node.CLASS_OFFSET}

    def __call__(self, clip: dict[str, Any], batch: ClipBatch) -> ClipTargets:
        """Stack the rows of a clip's frames.

        Args:
            clip: ``instances``, T ``Instances`` with the same N rows: ``gt_boxes`` xyxy pixels,
                ``gt_classes``, ``gt_ids`` (-1 where absent), ``gt_masks`` (``BitMasks``); and
                ``file_names``, for the warning.
            batch: what the clip became a part of.

        Returns:
            Targets of the batch's size and length, on its device; frames behind the clip's hold
            nothing. Of too many instances those with most visible pixels over the clip are kept
            (warned once), as no more can be matched.
        """
        frames, device = clip["instances"], batch.frames.device
        length, _, height, width = batch.frames.shape[1:]
        scale = torch.tensor([*frames[0].image_size[::-1]] * 2, dtype=torch.float32)
        masks = torch.stack([frame.gt_masks.tensor for frame in frames], dim=1).to(device)
        visible = torch.stack([frame.gt_ids >= 0 for frame in frames], dim=1)
        boxes = torch.stack([frame.gt_boxes.tensor for frame in frames], dim=1).float()
        boxes = box_convert(boxes / scale, "xyxy", "cxcywh") * visible[..., None]
        extra = length - len(frames)
        frame_padding = (0, width - masks.shape[-1], 0, height - masks.shape[-2], 0, extra)
        targets = ClipTargets(
            labels=(frames[0].gt_classes + self.class_offset).to(device),
            boxes=F.pad(boxes, (0, 0, 0, extra)).to(device),
            masks=F.pad(masks, frame_padding),
            visible=F.pad(visible, (0, extra)).to(device),
        )
        if len(targets) <= self.max_instances:
            return targets
        return self._largest(targets, clip["file_names"][0])

    def _largest(self, targets: ClipTargets, name: str) -> ClipTargets:
        if not self._warned:
            self._warned = True
            logger.warning(
                "video %s: %d instances in a clip, more than the model's %d slots "
                "(MODEL.SIMPLEVTR.NUM_QUERIES); the largest are kept, here and in further clips",
                name,
                len(targets),
                self.max_instances,
            )
        area = targets.masks.flatten(1).sum(1)
        kept = area.argsort(descending=True, stable=True)[: self.max_instances]
        return targets.rows(kept.sort().values)
