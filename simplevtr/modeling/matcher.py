"""One-to-one assignment of slots to ground-truth tracks, over the whole clip (VisTR §3.4)."""

from dataclasses import dataclass

from simplevtr.structures import ClipTargets

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torchvision.ops import box_convert, box_iou

# One clip's (slots, instances), both (G,) int64.
Match = tuple[Tensor, Tensor]


def assign(cost: Tensor, device: torch.device) -> Match:
    """The assignment of slots and instances with the least sum of a (Q, G) cost, G <= Q.

    Instances are ascending, and both are on ``device``.
    """
    # A NaN would make the assignment fail before the loss can say which clips it came from.
    finite = cost.nan_to_num(nan=1e6, posinf=1e6, neginf=-1e6).cpu()
    instances, slots = linear_sum_assignment(finite.T)
    return torch.as_tensor(slots, device=device), torch.as_tensor(instances, device=device)


@dataclass(frozen=True, kw_only=True)
class PaperMatcher:
    """Hungarian matching on class, box distance and box overlap.

    Every cost is a mean over the frames in which the instance is visible. VisTR's public code
    averages over all frames, where an absent one has an empty box and class 0 (``frames="all"``),
    and looks the visibility up by the position in the assignment instead of by the assigned target,
    a quirk that is not copied.
    """

    cost_class: float  # weight of minus the probability of the class
    cost_l1: float  # of the mean absolute difference of the boxes
    cost_iou: float  # of minus the IoU of the boxes
    frames: str = "visible"

    @torch.no_grad()
    def __call__(self, logits: Tensor, boxes: Tensor, targets: ClipTargets) -> list[Match]:
        """Match the slots of one clip, separately after each of L decoder layers.

        ``logits`` are (L, T, Q, K + 1), ``boxes`` (L, T, Q, 4), cxcywh in [0, 1], of the clip whose
        ``targets`` are G <= Q instances over T frames. The instances of each of the L matches are
        ascending, so that every layer lists the same ones in the same order.
        """
        cost = self._cost(logits.float(), boxes.float(), targets)
        # One transfer from a GPU for all layers.
        return [assign(layer_cost, logits.device) for layer_cost in cost.cpu()]

    def _cost(self, logits: Tensor, boxes: Tensor, targets: ClipTargets) -> Tensor:
        """Costs (L, Q, G)."""
        every_class = logits.softmax(-1)
        probability = every_class[..., targets.labels]  # (L, T, Q, G)
        counted = targets.visible.float()
        if self.frames == "all":
            visible = targets.visible.T[:, None]  # (T, 1, G)
            probability = probability.where(visible, every_class[..., :1])
            counted = torch.ones_like(counted)
        weight = counted / counted.sum(1, keepdim=True).clamp(min=1)  # (G, T)
        target_boxes = targets.boxes.transpose(0, 1)  # (T, G, 4)
        distance = (boxes[:, :, :, None] - target_boxes[:, None]).abs().mean(-1)
        xyxy, target_xyxy = (box_convert(x, "cxcywh", "xyxy") for x in (boxes, target_boxes))
        overlap = box_iou(xyxy, target_xyxy).nan_to_num(0.0)  # 0/0 if both boxes are empty
        cost = self.cost_l1 * distance - self.cost_class * probability - self.cost_iou * overlap
        return torch.einsum("ltqg,gt->lqg", cost, weight)
