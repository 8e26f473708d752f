"""The shape legend and the few types that cross module borders.

One letter has one meaning everywhere in this package:

    B  videos (clips) in a batch      T  frames of a clip, always an explicit axis
    Q  instance slots (queries)       G  ground-truth instances (tracks) of one clip
    K  classes, without "no object"   C  hidden channels
    H x W  pixels of a (padded) input frame
    h x w  cells of a feature map or of the predicted masks
    M  slots selected for mask prediction, over the whole batch
    L  decoder layers

Boxes are "cxcywh in [0, 1]" (centre and size relative to the unpadded frame) inside the model and
"xyxy pixels" in detectron2's ``Instances``; each docstring says which.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class ClipTargets:
    """Ground truth of one clip, a row an instance.

    Attributes:
        labels: (G,) int64 in [0, K).
        boxes: (G, T, 4) float32, cxcywh in [0, 1]; zeros where the instance is absent.
        masks: (G, T, H, W) bool in padded pixels; False where the instance is absent.
        visible: (G, T) bool, True where the instance can be seen in the frame.
    """

    labels: Tensor
    boxes: Tensor
    masks: Tensor
    visible: Tensor

    def __len__(self) -> int:
        return self.labels.shape[0]

    def rows(self, index: Tensor) -> ClipTargets:
        """The instances at ``index`` (int64), in that order."""
        return ClipTargets(
            self.labels[index], self.boxes[index], self.masks[index], self.visible[index]
        )


@dataclass(frozen=True)
class ClipPredictions:
    """What the model says about a batch of clips, with the frame axis explicit.

    A decoupled model (queries without a frame axis) computes classes and boxes once a slot; here
    they are expanded views over T, so both kinds of model are read alike.

    Attributes:
        logits: (B, T, Q, K + 1) class logits; the last index is "no object".
        boxes: (B, T, Q, 4), cxcywh in [0, 1].
        masks: (B, T, Q, h, w) mask logits at the mask head's stride, or None if masks are off.
        auxiliary: (logits, boxes) of every decoder layer but the last, first layer first.
    """

    logits: Tensor
    boxes: Tensor
    masks: Tensor | None = None
    auxiliary: tuple[tuple[Tensor, Tensor], ...] = ()
