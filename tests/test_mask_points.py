"""Mask losses at drawn pixels: where they are drawn, and what they are on average."""

from dataclasses import replace
from functools import partial

from simplevtr.modeling import mask_losses
from simplevtr.modeling.mask_losses import (
    TargetMaps,
    draw_pixels,
    full_mask_losses,
    map_logits_at,
    point_mask_losses,
)

import pytest
import torch
from conftest import build, make_clip

SIZE = (10, 14)
INSIDE = (6, 9)


def losses(logits, maps, points):
    logits_at = partial(map_logits_at, logits, maps)
    return point_mask_losses(logits_at, maps, points, mask_losses.mask_focal_loss)


def case(*, padded):
    generator = torch.Generator().manual_seed(5)
    masks = torch.rand(2, 2, *SIZE, generator=generator) > 0.5
    padding = None
    if padded:
        padding = torch.ones(2, *SIZE, dtype=torch.bool)
        padding[:, : INSIDE[0], : INSIDE[1]] = False
        masks &= ~padding
    instances, frames = torch.tensor([0, 1, 1]), torch.tensor([1, 0, 1])
    logits = 2 * torch.randn(3, 4, 5, generator=generator)
    return logits.requires_grad_(), TargetMaps(masks, padding, instances, frames)


@pytest.mark.parametrize("padded", [False, True], ids=["whole", "padded"])
def test_uniform_points_have_the_full_loss_as_their_mean(padded, monkeypatch):
    monkeypatch.setattr(mask_losses, "IMPORTANCE_RATIO", 0.0)
    logits, maps = case(padded=padded)
    torch.manual_seed(0)
    # The focal loss is a mean over the points, so many points are as good as many draws.
    draws = torch.stack([losses(logits, maps, 20_000)[0].detach() for _ in range(5)])
    full = full_mask_losses(logits, maps)[0]
    error = draws.std(0) / 5**0.5
    assert (error < 0.01 * full).all()
    assert ((draws.mean(0) - full).abs() < 5 * error).all()


@pytest.mark.parametrize("importance", [0.0, 0.75])
def test_points_lie_inside_the_frame_and_reach_all_of_it(importance, monkeypatch):
    monkeypatch.setattr(mask_losses, "IMPORTANCE_RATIO", importance)
    for padded, (height, width) in ((False, SIZE), (True, INSIDE)):
        logits, maps = case(padded=padded)
        torch.manual_seed(0)
        pixels = draw_pixels(partial(map_logits_at, logits, maps), maps, 4000)
        assert pixels.shape == (3, 4000, 2)
        assert (pixels.amin((0, 1)) == 0).all()
        assert pixels.amax((0, 1)).tolist() == [width - 1, height - 1]


@pytest.mark.parametrize("padded", [False, True], ids=["whole", "padded"])
def test_most_points_lie_where_the_mask_is_uncertain(padded, monkeypatch):
    _, maps = case(padded=padded)
    # Uncertain in the middle one of 5 columns of cells, whose centre is x = 7 of 14.
    logits = torch.full((3, 4, 5), 9.0)
    logits[..., 2] = 0.0

    def share(importance):
        monkeypatch.setattr(mask_losses, "IMPORTANCE_RATIO", importance)
        x = draw_pixels(partial(map_logits_at, logits, maps), maps, 400)[..., 0]
        return ((x >= 5) & (x <= 8)).float().mean(1)

    torch.manual_seed(0)
    # These columns hold enough candidates, so 3 / 4 of the points and some of the other 1 / 4.
    assert (share(0.75) > 0.75).all()
    assert (share(0.0) < 0.6).all()  # 4 / 14, or 4 / 9 of the unpadded columns


def test_every_pixel_once_gives_the_full_loss_and_gradient(monkeypatch):
    logits, maps = case(padded=False)
    y, x = torch.meshgrid(*map(torch.arange, SIZE), indexing="ij")
    everywhere = torch.stack([x, y], -1).view(1, -1, 2).expand(3, -1, -1)
    name = "simplevtr.modeling.mask_losses.draw_pixels"
    monkeypatch.setattr(name, lambda *_: everywhere)
    for dtype in (torch.float32, torch.float64):
        found = losses(logits.to(dtype), maps, 1)
        for ours, wanted in zip(found, full_mask_losses(logits.to(dtype), maps), strict=True):
            assert ours.dtype == dtype
            torch.testing.assert_close(ours, wanted)
            gradients = [
                torch.autograd.grad(loss.sum(), logits, retain_graph=True)[0]
                for loss in (ours, wanted)
            ]
            torch.testing.assert_close(*gradients)


def test_half_precision_and_float64_are_drawn_for_too():
    logits, maps = case(padded=True)
    for dtype, expected in ((torch.bfloat16, torch.float32), (torch.float64, torch.float64)):
        focal, dice = losses(logits.to(dtype), maps, 7)
        assert focal.dtype == dice.dtype == expected


@pytest.mark.parametrize("padded", [False, True], ids=["whole", "padded"])
def test_no_maps_give_losses_that_gradients_flow_through(padded):
    _, maps = case(padded=padded)
    nothing = torch.zeros(0, dtype=torch.int64)
    logits = torch.zeros(0, 4, 5, requires_grad=True)
    maps = TargetMaps(maps.masks, maps.padding, nothing, nothing)
    focal, dice = losses(logits, maps, 7)
    (focal.sum() + dice.sum()).backward()
    assert focal.shape == dice.shape == (0,)
    assert logits.grad.shape == (0, 4, 5)


def test_a_model_looks_at_the_points_of_its_config(tiny_cfg):
    tiny_cfg.MODEL.SIMPLEVTR.LOSS.MASK_POINTS = 50
    model = build(tiny_cfg).train()
    clips = [make_clip(frames=2, size=(32, 48)), make_clip(frames=3, size=(40, 36), seed=1)]
    # Dropout draws random numbers too: the same ones, before the points.
    torch.manual_seed(0)
    some = model(clips)
    model.criterion.settings = replace(model.criterion.settings, mask_points=0)
    torch.manual_seed(0)
    full = model(clips)
    assert some["loss_bbox"] == full["loss_bbox"]
    assert some["loss_mask"] != full["loss_mask"]
