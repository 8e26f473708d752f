import math
from types import SimpleNamespace

from simplevtr.modeling.criterion import LossSettings, PaperCriterion
from simplevtr.modeling.losses import class_coverage
from simplevtr.modeling.matcher import PaperMatcher
from simplevtr.structures import ClipBatch, ClipPredictions, ClipTargets

import torch
import torch.nn.functional as F

FRAMES = torch.zeros(1, 2, 3, 4, 4)
MATCHER = PaperMatcher(cost_class=1.0, cost_l1=5.0, cost_iou=2.0)


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


def losses(settings, predictions, targets, mask_logits=None, padding=None):
    criterion = PaperCriterion(matcher=MATCHER, settings=settings)
    assert criterion.match(predictions, [targets])[0][0][0].tolist() == [2]
    return criterion(*predicted(predictions, mask_logits), [targets], ClipBatch(FRAMES, padding))


def predicted(predictions, mask_logits=None, cell_logits=None):
    """A network that predicts these masks of any slot, or none, and its state."""
    head = None if mask_logits is None else True
    network = SimpleNamespace(mask_head=head, masks=lambda *_: mask_logits)
    return network, SimpleNamespace(predictions=predictions, cell_logits=cell_logits)


def test_weights_are_applied_once_to_every_layer():
    predictions, targets = batch()
    logits = torch.randn(1, 2, 2, 2)
    factors = {"ce": 3, "bbox": 5, "giou": 7, "mask": 11, "dice": 13}

    def weighted(*weights):
        keys = ("class_weight", "l1_weight", "giou_weight", "mask_weight", "dice_weight")
        settings = LossSettings(**dict(zip(keys, weights, strict=True)))
        return losses(settings, predictions, targets, logits)

    plain, heavy = weighted(*[1] * 5), weighted(*factors.values())
    assert plain.keys() == {f"loss_{name}" for name in (*factors, "ce_0", "bbox_0", "giou_0")}
    for name, value in plain.items():
        factor = factors[name.split("_")[1]]
        assert math.isclose(heavy[name], factor * value, rel_tol=1e-5, abs_tol=1e-6)


def test_class_of_a_frame_in_which_the_instance_is_absent():
    predictions, targets = batch()
    predictions.logits[0, :, 2] = torch.tensor([0.0, 9.0, 0.0])  # sure of class 1 in both frames
    predictions.logits[0, :, :2] = torch.tensor([0.0, 0.0, 9.0])
    as_vistr = losses(LossSettings(absent_class="no_object"), predictions, targets)["loss_ce"]
    as_label = losses(LossSettings(absent_class="label"), predictions, targets)["loss_ce"]
    assert as_label < 0.01
    assert as_vistr > 0.4  # wrong in one of the frames, which weighs 0.1 of a total of 1.5


def test_mask_of_a_frame_in_which_the_instance_is_absent():
    predictions, targets = batch()
    # Right in the first frame, full in the second.
    logits = torch.where(targets.masks, 20.0, -20.0)
    logits[0, 1] = 20.0
    ignored = losses(LossSettings(absent_mask="ignore"), predictions, targets, logits)
    empty = losses(LossSettings(absent_mask="empty"), predictions, targets, logits)
    assert ignored["loss_dice"] < 1e-3
    assert math.isclose(empty["loss_dice"].item(), 1 - 1 / 17, rel_tol=1e-3)


def test_normaliser_counts_visible_frames_or_all():
    predictions, targets = batch()
    predictions.boxes[0, :, 2] += 0.1
    logits = torch.randn(1, 2, 2, 2)
    visible, everything = (
        losses(LossSettings(count_absent=absent), predictions, targets, logits)
        for absent in (False, True)
    )
    for name in ("loss_bbox", "loss_mask", "loss_dice"):
        assert math.isclose(visible[name], 2 * everything[name], rel_tol=1e-5)


def test_masks_are_compared_at_the_targets_size():
    predictions, targets = batch()
    coarse = torch.randn(1, 2, 2, 2)
    fine = F.interpolate(coarse, size=(4, 4), mode="bilinear")
    one = losses(LossSettings(), predictions, targets, coarse)
    two = losses(LossSettings(), predictions, targets, fine)
    assert math.isclose(one["loss_mask"], two["loss_mask"], rel_tol=1e-5)
    assert math.isclose(one["loss_dice"], two["loss_dice"], rel_tol=1e-5)


def test_without_deep_supervision_only_the_last_layer_counts():
    predictions, targets = batch()
    names = set(losses(LossSettings(deep_supervision=False), predictions, targets))
    assert names == {"loss_ce", "loss_bbox", "loss_giou"}


def test_class_coverage_of_cells():
    _, targets = batch()
    coverage = class_coverage(targets, 2, (2, 2))
    assert coverage.shape == (2, 2, 2, 2)
    # The 2 x 2 square in the middle of 4 x 4 pixels covers a quarter of each of the four cells.
    assert coverage[0, :, :, 1].flatten().tolist() == [0.25] * 4
    assert coverage[1].sum() == coverage[..., 0].sum() == 0


def test_no_padding_is_like_padding_of_nothing():
    predictions, targets = batch()
    padding, logits = torch.zeros(1, 2, 4, 4).bool(), torch.randn(1, 2, 2, 2)
    without = losses(LossSettings(), predictions, targets, logits)
    for name, value in losses(LossSettings(), predictions, targets, logits, padding).items():
        torch.testing.assert_close(without[name], value)
    padding[:, :, :, 2:] = True
    padded = losses(LossSettings(), predictions, targets, logits, padding)
    assert not torch.isclose(padded["loss_mask"], without["loss_mask"])


def test_cells_of_padding_do_not_count():
    predictions, targets = batch()
    criterion = PaperCriterion(matcher=MATCHER, settings=LossSettings(dense_weight=3.0))
    cells = torch.randn(1, 2, 2, 2, 2)

    def dense(padding, cell_logits):
        network = predicted(predictions, cell_logits=cell_logits)
        return criterion(*network, [targets], ClipBatch(FRAMES, padding))["loss_dense"]

    padding = torch.zeros(1, 2, 4, 4).bool()
    assert dense(padding, cells) == dense(None, cells)
    coverage = class_coverage(targets, 2, (2, 2))[None]
    expected = F.binary_cross_entropy_with_logits(cells, coverage, reduction="none").sum(-1)
    torch.testing.assert_close(dense(None, cells), 3 * expected.mean())
    padding[:, 1] = True  # a frame that is all padding
    torch.testing.assert_close(dense(padding, cells), 3 * expected[:, 0].mean())
