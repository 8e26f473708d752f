"""The light formulation gives what the plain one gives: outputs, losses, gradients, tracks."""

import copy
from functools import partial

from benchmarks.measure import saved_tensor_bytes

import pytest
import torch
import torch.nn.functional as F
from conftest import build, make_clip
from detectron2.layers import FrozenBatchNorm2d
from plain_network import PlainNetwork

VARIANTS = {
    "simplevtr": {},
    "vistr": {"QUERY_FRAMES": 3, "MASK_HEAD.CONV": "dcnv1", "MASK_HEAD.CONV3D": True},
    "plain convolutions": {"MASK_HEAD.CONV": "plain", "MASK_HEAD.NUM_DEFORM": 1},
    "subpixel": {"MASK_HEAD.UPSAMPLE": "subpixel"},
    "recomputed": {"RECOMPUTE": ["backbone", "encoder", "mask_head"]},
}


@pytest.fixture(params=VARIANTS)
def pair(request, tiny_cfg):
    """The light and the plain model with the same weights."""
    return both(tiny_cfg, VARIANTS[request.param])


def both(cfg, changes):
    cfg.MODEL.RESNETS.NORM = "FrozenBN"
    cfg.TEST.MASK_SCORING = False
    cfg.merge_from_list(
        [word for key, value in changes.items() for word in (f"MODEL.SIMPLEVTR.{key}", value)]
    )
    light = build(cfg)
    plain = build(cfg, seed=1)
    plain.network = PlainNetwork(cfg).eval()
    plain.load_state_dict(light.state_dict())
    for model in (light, plain):
        assert any(isinstance(m, FrozenBatchNorm2d) for m in model.modules())
    return light, plain


def clips():
    return [make_clip(seed=0), make_clip(seed=1, labels=(5,), absent=[(1, 0)])]


def test_outputs_of_every_slot(pair):
    frames = torch.randn(2, 3, 3, 32, 48)
    padding = torch.zeros(2, 3, 32, 48, dtype=torch.bool)
    padding[1, :, 24:] = True
    with torch.no_grad():
        light, plain = (model.predict_clip(frames, padding) for model in pair)
    for field in ("logits", "boxes", "masks"):
        torch.testing.assert_close(
            getattr(light, field), getattr(plain, field), rtol=1e-4, atol=1e-4
        )


def test_losses_and_gradients(pair):
    results = []
    for model in pair:
        model.double().train()
        losses = model(copy.deepcopy(clips()))
        sum(losses.values()).backward()
        gradients = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
        results.append((losses, gradients))
    (light, light_grads), (plain, plain_grads) = results
    for name, loss in light.items():
        torch.testing.assert_close(loss, plain[name], rtol=1e-7, atol=1e-9, msg=name)
    for name, gradient in light_grads.items():
        scale = plain_grads[name].abs().max()
        assert (gradient - plain_grads[name]).abs().max() <= 1e-6 * scale + 1e-9, name


def test_tracks(pair):
    """Inference chooses slots and takes a few at a time; here are all masks at the video's size."""
    light, plain = pair
    clip, size = make_clip(), (70, 101)
    found = light([clip | {"height": size[0], "width": size[1]}])
    batch = plain.batcher([clip])
    with torch.no_grad():
        slots = plain.predict_clip(batch.frames, batch.padding)
    scores, labels = slots.logits[0].softmax(-1)[..., :-1].max(-1)
    masks = F.interpolate(slots.masks[0], size=size, mode="bilinear") > 0
    order = scores.mean(0).argsort(descending=True)
    order = [n for n in order if masks[:, n].any()]
    assert 0 < len(order) == len(found["pred_scores"])
    for n, score, label, mask in zip(
        order, found["pred_scores"], found["pred_labels"], found["pred_masks"], strict=True
    ):
        assert score == pytest.approx(scores[:, n].mean().item(), abs=1e-5)
        assert label == labels[:, n].mode().values
        assert (mask.dense() != masks[:, n]).float().mean() < 1e-3  # at 0 the sign may differ


def test_recomputing_keeps_less(tiny_cfg):
    """What the forward pass keeps for the backward pass, with and without each part."""
    tiny_cfg.MODEL.RESNETS.NORM = "FrozenBN"
    kept = {}
    for parts in ([], ["backbone"], ["encoder"], ["mask_head"]):
        tiny_cfg.MODEL.SIMPLEVTR.RECOMPUTE = parts
        model = build(tiny_cfg).train()
        kept[tuple(parts)] = saved_tensor_bytes(partial(model, clips()), model.parameters())
    for part in ("backbone", "encoder", "mask_head"):
        assert kept[(part,)] < 0.95 * kept[()], part
