import math

from simplevtr.modeling.criterion import ClipCriterion, LossWeights
from simplevtr.modeling.dense_targets import class_coverage
from simplevtr.modeling.matcher import ClipMatcher
from simplevtr.structures import ClipPredictions, ClipTargets

import pytest
import torch
import torch.nn.functional as F

MATCHER = ClipMatcher(cost_class=1.0, cost_l1=5.0, cost_iou=2.0)


def batch(frames=2, slots=3, classes=2):
    """One clip with one instance that is absent in the second frame."""
    targets = ClipTargets(
        labels=torch.tensor([1]),
        boxes=torch.tensor([[[0.5, 0.5, 0.4, 0.4], [0.0, 0.0, 0.0, 0.0]]]),
        masks=torch.zeros(1, frames, 4, 4, dtype=torch.bool),
        visible=torch.tensor([[True, False]]),
    )
    targets.masks[0, 0, 1:3, 1:3] = True
    logits = torch.zeros(1, frames, slots, classes + 1)
    boxes = torch.full((1, frames, slots, 4), 0.1)
    boxes[:, :, 2] = torch.tensor([0.5, 0.5, 0.4, 0.4])  # slot 2 is right
    return ClipPredictions(logits, boxes, auxiliary=((logits, boxes),)), targets


def losses(weights, predictions, targets, mask_logits=None):
    criterion = ClipCriterion(matcher=MATCHER, weights=weights)
    matches = criterion.match(predictions, [targets])
    assert matches[0][0][0].tolist() == [2]
    return criterion(
        predictions,
        [targets],
        matches,
        mask_logits,
        torch.zeros(1, 2, dtype=torch.bool),
        torch.zeros(1, 2, 4, 4, dtype=torch.bool),
    )


def test_weights_are_applied_once_to_every_layer():
    predictions, targets = batch()
    plain = losses(LossWeights(classes=1, l1=1, giou=1), predictions, targets)
    heavy = losses(LossWeights(classes=3, l1=5, giou=7), predictions, targets)
    for name, factor in (("loss_ce", 3), ("loss_bbox", 5), ("loss_giou", 7)):
        for suffix in ("", "_0"):
            assert math.isclose(heavy[name + suffix], factor * plain[name + suffix], abs_tol=1e-6)


def test_class_of_a_frame_in_which_the_instance_is_absent():
    predictions, targets = batch()
    predictions.logits[0, :, 2] = torch.tensor([0.0, 9.0, 0.0])  # sure of class 1 in both frames
    predictions.logits[0, :, :2] = torch.tensor([0.0, 0.0, 9.0])
    as_vistr = losses(LossWeights(absent_class="no_object"), predictions, targets)["loss_ce"]
    as_label = losses(LossWeights(absent_class="label"), predictions, targets)["loss_ce"]
    assert as_label < 0.01
    assert as_vistr > 0.4  # wrong in one of the frames, which weighs 0.1 of a total of 1.5


def test_mask_of_a_frame_in_which_the_instance_is_absent():
    predictions, targets = batch()
    # Right in the first frame, full in the second.
    logits = torch.where(targets.masks, 20.0, -20.0)
    logits[0, 1] = 20.0
    ignored = losses(LossWeights(absent_mask="ignore"), predictions, targets, logits)
    empty = losses(LossWeights(absent_mask="empty"), predictions, targets, logits)
    assert ignored["loss_dice"] < 1e-3
    assert math.isclose(empty["loss_dice"].item(), 1 - 1 / 17, rel_tol=1e-3)


def test_normaliser_counts_visible_frames_or_all():
    predictions, targets = batch()
    predictions.boxes[0, :, 2] += 0.1
    visible = losses(LossWeights(count_absent=False), predictions, targets)["loss_bbox"]
    everything = losses(LossWeights(count_absent=True), predictions, targets)["loss_bbox"]
    assert math.isclose(visible, 2 * everything, rel_tol=1e-5)


def test_masks_are_compared_at_the_targets_size():
    predictions, targets = batch()
    coarse = torch.randn(1, 2, 2, 2)
    fine = F.interpolate(coarse, size=(4, 4), mode="bilinear")
    one = losses(LossWeights(), predictions, targets, coarse)
    two = losses(LossWeights(), predictions, targets, fine)
    assert math.isclose(one["loss_mask"], two["loss_mask"], rel_tol=1e-5)
    assert math.isclose(one["loss_dice"], two["loss_dice"], rel_tol=1e-5)


def test_without_deep_supervision_only_the_last_layer_counts():
    predictions, targets = batch()
    names = set(losses(LossWeights(deep_supervision=False), predictions, targets))
    assert names == {"loss_ce", "loss_bbox", "loss_giou"}


def test_unknown_choices_are_refused():
    with pytest.raises(ValueError, match="ABSENT_CLASS is 'none'"):
        LossWeights(absent_class="none")


def test_class_coverage_of_cells():
    _, targets = batch()
    coverage = class_coverage(targets, 2, (2, 2))
    assert coverage.shape == (2, 2, 2, 2)
    # The 2 x 2 square in the middle of 4 x 4 pixels covers a quarter of each of the four cells.
    assert coverage[0, :, :, 1].flatten().tolist() == [0.25] * 4
    assert coverage[1].sum() == coverage[..., 0].sum() == 0


def test_no_padding_is_like_padding_of_nothing():
    predictions, targets = batch()
    criterion = ClipCriterion(matcher=MATCHER, weights=LossWeights())
    matches = criterion.match(predictions, [targets])
    frames, pixels = torch.zeros(1, 2).bool(), torch.zeros(1, 2, 4, 4).bool()
    logits = torch.randn(1, 2, 2, 2)
    with_mask, without = (
        criterion(predictions, [targets], matches, logits, frames, padding)
        for padding in (pixels, None)
    )
    for name, value in with_mask.items():
        torch.testing.assert_close(without[name], value)
    pixels[:, :, :, 2:] = True
    padded = criterion(predictions, [targets], matches, logits, frames, pixels)
    assert not torch.isclose(padded["loss_mask"], without["loss_mask"])


def test_mask_weights_and_normaliser_are_applied_once():
    predictions, targets = batch()
    logits = torch.randn(1, 2, 2, 2)
    plain = losses(LossWeights(), predictions, targets, logits)
    heavy = losses(LossWeights(mask=3, dice=7), predictions, targets, logits)
    halved = losses(LossWeights(count_absent=True), predictions, targets, logits)
    for name, factor in (("loss_mask", 3), ("loss_dice", 7)):
        assert math.isclose(heavy[name], factor * plain[name], rel_tol=1e-5)
        assert math.isclose(plain[name], 2 * halved[name], rel_tol=1e-5)
