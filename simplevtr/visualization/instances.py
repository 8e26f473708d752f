"""A frame's tracks as detectron2's ``Instances``, which its ``Visualizer`` draws."""

from simplevtr.structures import FrameTracks

import torch
from detectron2.structures import BitMasks, Instances


def frame_instances(tracks: FrameTracks) -> Instances:
    """What detectron2's tools for single images take of one frame.

        visualizer = Visualizer(frame, MetadataCatalog.get("ytvis_2021_val"))
        picture = visualizer.draw_instance_predictions(frame_instances(tracks)).get_image()

    Returns:
        N rows: ``scores`` (N,) float32, ``pred_classes`` and ``track_ids`` (N,) int64,
        ``pred_masks`` (N, H, W) bool, ``pred_boxes`` around the masks in xyxy pixels.
    """
    masks = torch.from_numpy(tracks.dense_masks())
    return Instances(
        tracks.size,
        scores=torch.tensor(tracks.scores, dtype=torch.float32),
        pred_classes=torch.tensor(tracks.labels, dtype=torch.int64),
        track_ids=torch.tensor(tracks.track_ids, dtype=torch.int64),
        pred_masks=masks,
        pred_boxes=BitMasks(masks).get_bounding_boxes(),
    )
