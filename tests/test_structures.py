"""The types that several packages share."""

import json

from simplevtr.structures import FrameTracks, TrackMasks, encode_masks

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask


def test_encoded_masks_decode_to_themselves():
    masks = torch.rand(300, 5, 7, generator=torch.Generator().manual_seed(0)) < 0.05
    segmentations = encode_masks(masks)
    assert any(s is None for s in segmentations)
    assert json.loads(json.dumps(segmentations)) == segmentations
    for mask, segmentation in zip(masks, segmentations, strict=True):
        if segmentation is None:
            assert not mask.any()
        else:
            np.testing.assert_array_equal(coco_mask.decode(segmentation), mask.numpy())
    assert encode_masks(torch.zeros(2, 5, 7, dtype=torch.bool)) == [None, None]
    assert encode_masks(torch.zeros(0, 5, 7, dtype=torch.bool)) == []


@pytest.mark.parametrize("kind", [torch.float32, torch.uint8, torch.int64])
def test_masks_of_another_type_are_refused(kind):
    """Probabilities below 1 would be empty masks, and numbers of objects one mask."""
    with pytest.raises(ValueError, match=rf"masks are a Tensor of {kind}, not of torch\.bool"):
        encode_masks(torch.full((2, 5, 7), 0.9).to(kind))


def test_track_masks_read_like_a_tensor():
    masks = torch.rand(4, 5, 7, generator=torch.Generator().manual_seed(0)) < 0.4
    masks[2] = False
    track = TrackMasks(encode_masks(masks), (5, 7))
    assert track.shape == masks.shape
    assert len(track) == 4
    assert track.rles[2] is None
    assert torch.equal(track.dense(), masks)
    assert torch.equal(torch.stack(list(track)), masks)
    assert torch.equal(track[1:3], masks[1:3])
    assert torch.equal(track[3::-2], masks[[3, 1]])
    assert TrackMasks([], (5, 7)).dense().shape == (0, 5, 7)


def test_dense_masks_of_a_frame():
    masks = torch.rand(2, 5, 7, generator=torch.Generator().manual_seed(0)) < 0.4
    frame = FrameTracks(3, (5, 7), [1, 2], [0, 0], [0.5, 0.4], encode_masks(masks))
    np.testing.assert_array_equal(frame.dense_masks(), masks.numpy())
    assert FrameTracks(3, (5, 7), [], [], [], []).dense_masks().shape == (0, 5, 7)
