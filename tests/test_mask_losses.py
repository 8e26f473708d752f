"""The chunked mask losses against the same losses over all full-size maps at once."""

from benchmarks.measure import saved_tensor_bytes
from simplevtr.modeling import mask_losses
from simplevtr.modeling.mask_losses import TargetMaps, full_mask_losses

import pytest
import torch
import torch.nn.functional as F
from conftest import LargestTensor
from torchvision.ops import sigmoid_focal_loss

COUNT = 5


def case(*, padded=False, size=(12, 18), dtype=torch.float32):
    """Logits of 5 maps of a clip with 2 instances and 3 frames, and the maps."""
    generator = torch.Generator().manual_seed(3)
    masks = torch.rand(2, 3, *size, generator=generator) > 0.6
    padding = None
    if padded:
        padding = torch.zeros(3, *size, dtype=torch.bool)
        padding[:, 9:] = True
        padding[:, :, 14:] = True
        masks &= ~padding
    instances, frames = torch.tensor([0, 0, 1, 1, 1]), torch.tensor([0, 2, 0, 1, 2])
    logits = 2 * torch.randn(COUNT, 3, 4, generator=generator, dtype=torch.float64)
    return logits.to(dtype).requires_grad_(), TargetMaps(masks, padding, instances, frames)


def reference(logits, maps):
    """Everything at full size at once."""
    dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
    wanted = maps.masks[maps.instances, maps.frames].to(dtype)
    inside = torch.ones_like(wanted)
    if maps.padding is not None:
        inside = (~maps.padding)[maps.frames].to(dtype)
    fine = F.interpolate(logits.to(dtype)[:, None], size=wanted.shape[-2:], mode="bilinear")[:, 0]
    focal = (sigmoid_focal_loss(fine, wanted, alpha=0.25, gamma=2.0) * inside).sum((1, 2))
    probability = fine.sigmoid() * inside
    overlap, total = (probability * wanted).sum((1, 2)), (probability + wanted).sum((1, 2))
    return focal / inside.sum((1, 2)), 1 - (2 * overlap + 1) / (total + 1)


def values_and_gradient(function, logits, maps):
    losses = function(logits, maps)
    # Other weights for every map and loss, so that none can stand for another.
    weights = torch.arange(1.0, 2 * COUNT + 1).view(2, COUNT)
    (torch.stack(losses) * weights).sum().backward()
    gradient, logits.grad = logits.grad, None
    return (*losses, gradient)


@pytest.mark.parametrize("padded", [False, True], ids=["whole", "padded"])
@pytest.mark.parametrize("maps_a_chunk", [1, 2, 5, 100])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_losses_and_gradients_are_those_without_chunks(monkeypatch, padded, maps_a_chunk, dtype):
    logits, maps = case(padded=padded, dtype=dtype)
    itemsize = 8 if dtype == torch.float64 else 4
    limit = maps_a_chunk * mask_losses.TENSORS_A_CHUNK * itemsize * 12 * 18
    monkeypatch.setattr(mask_losses, "LOSS_CHUNK_BYTES", limit)
    found = values_and_gradient(full_mask_losses, logits, maps)
    expected = values_and_gradient(reference, logits, maps)
    for ours, wanted in zip(found, expected, strict=True):
        assert ours.dtype == wanted.dtype
        torch.testing.assert_close(ours, wanted)


@pytest.mark.parametrize("padded", [False, True], ids=["whole", "padded"])
def test_gradients_are_the_difference_quotients(monkeypatch, padded):
    monkeypatch.setattr(mask_losses, "LOSS_CHUNK_BYTES", 1)
    logits, maps = case(padded=padded, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: full_mask_losses(x, maps), logits, fast_mode=True)


def test_under_autocast_the_losses_are_those_of_float32():
    logits, maps = case()
    expected = values_and_gradient(full_mask_losses, logits, maps)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = full_mask_losses(logits, maps)
    assert [loss.dtype for loss in losses] == [torch.float32] * 2
    for ours, wanted in zip(losses, expected[:2], strict=True):
        torch.testing.assert_close(ours, wanted)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = values_and_gradient(full_mask_losses, logits, maps)
    torch.testing.assert_close(found[2], expected[2])


def test_what_autograd_saves_does_not_grow_with_the_targets_size():
    def saved(function, size):
        logits, maps = case(size=size)
        return saved_tensor_bytes(lambda: function(logits, maps), [maps.masks])

    assert saved(full_mask_losses, (48, 72)) == saved(full_mask_losses, (12, 18)) < 1000
    assert saved(reference, (48, 72)) > 10 * saved(reference, (12, 18))


def test_no_more_maps_than_a_chunk_has_are_full_size_at_once(monkeypatch):
    monkeypatch.setattr(mask_losses, "LOSS_CHUNK_BYTES", 1)
    for padded in (False, True):
        logits, maps = case(padded=padded)
        with LargestTensor() as largest:
            values_and_gradient(full_mask_losses, logits, maps)
        assert largest.bytes == 4 * 12 * 18


def test_no_maps_give_losses_that_gradients_flow_through():
    _, maps = case()
    nothing = torch.zeros(0, dtype=torch.int64)
    logits = torch.zeros(0, 3, 4, requires_grad=True)
    focal, dice = full_mask_losses(logits, TargetMaps(maps.masks, None, nothing, nothing))
    assert focal.shape == dice.shape == (0,)
    (focal.sum() + dice.sum()).backward()
    assert logits.grad.shape == (0, 3, 4)
