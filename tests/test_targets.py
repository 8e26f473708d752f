import logging

from simplevtr.modeling.preprocess import TargetBuilder
from simplevtr.structures import ClipBatch

import pytest
import torch
from conftest import make_clip


def build(clip, *, length=None, size=None, limit=10):
    builder = TargetBuilder(max_instances=limit, num_classes=5)
    return builder(clip, batch_of(clip, length=length, size=size))


def batch_of(clip, *, length=None, size=None):
    size = size or (clip["height"], clip["width"])
    return ClipBatch(torch.zeros(1, length or len(clip["image"]), 3, *size))


def test_rows_boxes_and_visibility():
    clip = make_clip(frames=3, size=(32, 48), labels=(4, 1), absent=[(1, 0)])
    targets = build(clip)
    assert targets.labels.tolist() == [4, 1]  # also of the row that is absent in a frame
    assert targets.visible.tolist() == [[True, False, True], [True, True, True]]
    assert targets.boxes[0, 1].tolist() == [0, 0, 0, 0]
    # Row 0, frame 2: rows 4..12, columns 8..18 of 32 x 48.
    expected = torch.tensor([13 / 48, 8 / 32, 10 / 48, 8 / 32])
    torch.testing.assert_close(targets.boxes[0, 2], expected)
    assert targets.masks[0].flatten(1).sum(1).tolist() == [80, 0, 80]


def test_padding_of_time_and_size():
    targets = build(make_clip(frames=2, size=(32, 48)), length=4, size=(40, 64))
    alone = build(make_clip(frames=2, size=(32, 48)))
    assert targets.masks.shape == (2, 4, 40, 64)
    assert torch.equal(targets.masks[:, :2, :32, :48], alone.masks)
    assert targets.masks.sum() == alone.masks.sum()
    assert torch.equal(targets.boxes[:, :2], alone.boxes)  # relative to the unpadded frame
    assert not targets.visible[:, 2:].any()


def test_more_instances_than_slots_keeps_the_largest_and_warns_once(caplog):
    clip = make_clip(
        frames=2, size=(64, 48), labels=(0, 1, 2, 3), video=7
    )  # rows grow with their number
    builder = TargetBuilder(max_instances=2, num_classes=5)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            targets = builder(clip, batch_of(clip))
    assert targets.labels.tolist() == [2, 3]
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 1
    assert "video_7/00000.jpg has 4 instances" in messages[0]
    assert "2 slots" in messages[0]


def test_no_instances():
    targets = build(make_clip(labels=()))
    assert len(targets) == 0
    assert targets.masks.shape == (0, 3, 32, 48)


@pytest.mark.parametrize("label", [5, -1])
def test_a_class_that_the_model_lacks_is_refused(label):
    """5 would be "no object" to the class loss."""
    message = rf"video_1/00000.jpg has the classes \{{{label}\}}; .*NUM_CLASSES allows 0 to 4"
    with pytest.raises(ValueError, match=message):
        build(make_clip(labels=(4, label)))
