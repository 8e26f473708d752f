import itertools

from simplevtr.modeling.matcher import PaperMatcher
from simplevtr.structures import ClipTargets

import pytest
import torch


def example(seed=0, layers=2, frames=3, slots=4, instances=2, classes=5):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(layers, frames, slots, classes + 1, generator=generator)
    boxes = torch.rand(layers, frames, slots, 4, generator=generator) * 0.4 + 0.2
    visible = torch.rand(instances, frames, generator=generator) > 0.4
    visible[:, 0] = True
    targets = ClipTargets(
        labels=torch.randint(0, classes, (instances,), generator=generator),
        boxes=(torch.rand(instances, frames, 4, generator=generator) * 0.4 + 0.2)
        * visible[..., None],
        masks=torch.zeros(instances, frames, 2, 2, dtype=torch.bool),
        visible=visible,
    )
    return logits, boxes, targets


def iou(a, b):
    def corners(box):
        cx, cy, w, h = box.tolist()
        return cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2

    ax0, ay0, ax1, ay1 = corners(a)
    bx0, by0, bx1, by1 = corners(b)
    inter = max(0, min(ax1, bx1) - max(ax0, bx0)) * max(0, min(ay1, by1) - max(ay0, by0))
    return inter / ((ax1 - ax0) * (ay1 - ay0) + (bx1 - bx0) * (by1 - by0) - inter)


def cost_of(logits, boxes, targets, slot, instance):
    """The definition: means over the frames in which the instance is visible."""
    frames = targets.visible[instance].nonzero()[:, 0].tolist()
    total = 0.0
    for t in frames:
        probability = logits[t, slot].softmax(-1)[targets.labels[instance]].item()
        box, wanted = boxes[t, slot], targets.boxes[instance, t]
        total += 5 * (box - wanted).abs().mean().item() - probability - 2 * iou(box, wanted)
    return total / len(frames)


def test_assignment_is_the_cheapest():
    matcher = PaperMatcher(cost_class=1.0, cost_l1=5.0, cost_iou=2.0)
    for seed in range(5):
        logits, boxes, targets = example(seed)
        for layer, (slots, instances) in enumerate(matcher(logits, boxes, targets)):
            assert instances.tolist() == [0, 1]
            cheapest = min(
                itertools.permutations(range(4), 2),
                key=lambda pair: sum(
                    cost_of(logits[layer], boxes[layer], targets, slot, g)
                    for g, slot in enumerate(pair)
                ),
            )
            assert tuple(slots.tolist()) == cheapest


def test_absent_frames_cost_nothing():
    matcher = PaperMatcher(cost_class=1.0, cost_l1=5.0, cost_iou=2.0)
    logits, boxes, targets = example(1)
    absent = ~targets.visible
    assert absent.any()
    changed = ClipTargets(
        targets.labels,
        torch.where(absent[..., None], torch.full((4,), 0.9), targets.boxes),
        targets.masks,
        targets.visible,
    )
    torch.testing.assert_close(
        matcher._cost(logits, boxes, targets), matcher._cost(logits, boxes, changed)
    )


def test_costs_over_all_frames_as_in_vistrs_code():
    matcher = PaperMatcher(cost_class=1.0, cost_l1=5.0, cost_iou=2.0, frames="all")
    logits, boxes, targets = example(1)
    cost = matcher._cost(logits, boxes, targets)
    for slot, instance in itertools.product(range(4), range(2)):
        total = 0.0
        for t, seen in enumerate(targets.visible[instance].tolist()):
            box, wanted = boxes[0, t, slot], targets.boxes[instance, t]
            label = targets.labels[instance] if seen else 0
            total -= logits[0, t, slot].softmax(-1)[label].item()
            total += 5 * (box - wanted).abs().mean().item() - 2 * (iou(box, wanted) if seen else 0)
        expected = total / targets.visible.shape[1]
        assert cost[0, slot, instance].item() == pytest.approx(expected, rel=1e-5)


def test_no_instances_and_not_a_number():
    matcher = PaperMatcher(cost_class=1.0, cost_l1=5.0, cost_iou=2.0)
    logits, boxes, targets = example(2)
    empty = targets.rows(torch.zeros(0, dtype=torch.int64))
    assert [len(slots) for slots, _ in matcher(logits, boxes, empty)] == [0, 0]
    # The loss reports NaN and names the clips; the matcher must not fail before.
    pairs = matcher(logits * float("nan"), boxes, targets)
    assert [len(slots) for slots, _ in pairs] == [2, 2]
