import math

from simplevtr.modeling import losses, mask_losses

import torch

ONE = torch.tensor(1.0)


def test_class_loss_weights_no_object_and_leaves_padding_out():
    logits = torch.tensor([[[[2.0, 0.0], [0.0, 0.0]]], [[[0.0, 0.0], [9.0, 0.0]]]])
    classes = torch.tensor([[[0, 1]], [[1, -100]]])
    # Class 0 with weight 1, "no object" (1) twice with weight 0.1 and probability 1/2.
    first = math.log(1 + math.exp(-2))
    expected = (first + 0.1 * math.log(2) + 0.1 * math.log(2)) / 1.2
    assert math.isclose(losses.class_loss(logits, classes, 0.1).item(), expected, rel_tol=1e-6)


def test_box_losses_by_hand():
    boxes = torch.tensor([[0.5, 0.5, 0.2, 0.2]])
    targets = torch.tensor([[0.7, 0.5, 0.2, 0.2]])
    l1 = losses.box_l1_loss(boxes, targets, torch.tensor(2.0))
    assert math.isclose(l1.item(), 0.1, rel_tol=1e-5)
    # They touch: IoU 0, the hull is filled by both, so the generalised IoU is 0.
    assert math.isclose(losses.box_giou_loss(boxes, targets, ONE).item(), 1.0, abs_tol=1e-5)
    assert abs(losses.box_giou_loss(targets, targets, ONE).item()) < 1e-5


def test_giou_eps_is_added_to_the_areas():
    boxes = torch.tensor([[0.5, 0.5, 0.1, 0.1]], dtype=torch.float64)
    loss = losses.box_giou_loss(boxes, boxes, ONE, eps=1e-3)
    assert math.isclose(loss.item(), 1 - 0.01 / 0.011, rel_tol=1e-6)


def test_mask_losses_by_hand():
    logits = torch.zeros(1, 1, 2)  # probability 1/2
    targets = torch.tensor([[[1.0, 0.0]]])
    inside = torch.ones(1, 1, 2)
    # Focal: alpha_t (1 - p_t)^2 ln 2 with p_t = 1/2, alpha 0.25 and 0.75; a mean over two pixels.
    focal = mask_losses.mask_focal_loss(logits, targets, inside)
    assert math.isclose(focal.item(), (0.25 + 0.75) / 2 * 0.25 * math.log(2), rel_tol=1e-5)
    dice = mask_losses.mask_dice_loss(logits, targets, inside)
    assert math.isclose(dice.item(), 1 - (2 * 0.5 + 1) / (1 + 1 + 1), rel_tol=1e-5)


def test_mask_losses_ignore_padding():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 5, generator=generator)
    targets = (torch.rand(2, 4, 5, generator=generator) > 0.5).float()
    inside = torch.zeros(2, 4, 5)
    inside[:, :3, :2] = 1
    targets = targets * inside
    cut = logits[:, :3, :2], targets[:, :3, :2]
    for loss in (mask_losses.mask_focal_loss, mask_losses.mask_dice_loss):
        for mask in (inside, inside.bool()):
            found = loss(logits, targets, mask)
            assert found.shape == (2,)
            torch.testing.assert_close(found, loss(*cut))
            torch.testing.assert_close(found, loss(*cut, torch.ones(2, 3, 2)))


def test_nothing_matched_is_a_zero_that_gradients_flow_through():
    boxes = torch.zeros(0, 4, requires_grad=True)
    total = losses.box_l1_loss(boxes, torch.zeros(0, 4), ONE)
    total = total + losses.box_giou_loss(boxes, torch.zeros(0, 4), ONE)
    assert total.item() == 0
    total.backward()
    assert boxes.grad.shape == (0, 4)
