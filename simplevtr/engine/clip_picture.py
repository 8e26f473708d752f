"""Predicted above true tracks of one training clip, as a picture for TensorBoard."""

from typing import Any

from simplevtr.structures import FrameTracks, encode_masks
from simplevtr.visualization import clip_sheet

import numpy as np
import torch
from torch import nn

MIN_SCORE = 0.1


def clip_picture(
    model: nn.Module, clip: dict[str, Any], *, class_names: list[str], rgb: bool = True
) -> torch.Tensor:
    """Draw a clip with the model's tracks above the true ones.

    Args:
        model: in evaluation mode.
        clip: a training clip of the dataset mapper.
        class_names: of the contiguous class indices.
        rgb: whether the clip's frames are RGB and not BGR.

    Returns:
        (3, H', W') uint8 RGB.
    """
    frames = torch.stack(clip["image"]).permute(0, 2, 3, 1).cpu().numpy()
    frames = frames if rgb else frames[..., ::-1]
    height, width = frames.shape[1:3]
    result = model([{**clip, "height": height, "width": width}])
    columns = (result[name] for name in ("pred_labels", "pred_scores", "pred_masks"))
    predicted = [
        (number, label, score, masks.rles)
        for number, (label, score, masks) in enumerate(zip(*columns, strict=True), start=1)
        if score >= MIN_SCORE
    ]
    masks = torch.stack([frame.gt_masks.tensor for frame in clip["instances"]], dim=1)
    labels = clip["instances"][0].gt_classes.tolist()
    true = [
        (number, label, None, encode_masks(own))
        for number, (label, own) in enumerate(zip(labels, masks, strict=True), start=1)
    ]
    rows = {
        name: list(FrameTracks.of_video(tracks, (height, width), len(frames)))
        for name, tracks in (("predicted", predicted), ("ground truth", true))
    }
    sheet = clip_sheet(np.ascontiguousarray(frames), rows, thing_classes=class_names)
    return torch.from_numpy(sheet).permute(2, 0, 1)
