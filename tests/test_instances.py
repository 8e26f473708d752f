"""A frame's tracks in the form that detectron2's own tools take."""

from simplevtr.structures import FrameTracks, encode_masks
from simplevtr.visualization import frame_instances

import numpy as np
import torch
from detectron2.data import Metadata
from detectron2.utils.visualizer import Visualizer


def test_detectron2s_visualizer_draws_a_frame():
    masks = torch.zeros(2, 60, 90, dtype=torch.bool)
    masks[0, 10:30, 10:40] = True
    masks[1, 35:55, 50:80] = True
    tracks = FrameTracks(4, (60, 90), [3, 7], [1, 0], [0.9, 0.5], encode_masks(masks))
    instances = frame_instances(tracks)
    assert torch.equal(instances.pred_masks, masks)
    assert instances.pred_boxes.tensor.tolist() == [[10, 10, 40, 30], [50, 35, 80, 55]]
    assert instances.track_ids.tolist() == [3, 7]
    frame = np.full((60, 90, 3), 128, dtype=np.uint8)
    metadata = Metadata().set(thing_classes=["car", "person"])
    np.random.seed(0)  # it draws colours at random, and some are much like the frame
    drawn = Visualizer(frame, metadata).draw_instance_predictions(instances).get_image()
    changed = np.abs(drawn.astype(int) - 128).max(-1) > 20
    for mask in masks.numpy():
        assert changed[mask].mean() > 0.9
    assert not changed[:8, 45:].any()


def test_a_frame_without_tracks():
    assert len(frame_instances(FrameTracks(0, (60, 90), [], [], [], []))) == 0
