"""The pixel head: masks as products, clips of any length, its losses, its way to tracks."""

from dataclasses import replace

from benchmarks.measure import saved_tensor_bytes
from simplevtr.modeling import mask_losses
from simplevtr.modeling.criterion import LossSettings
from simplevtr.modeling.masked_decoder import MaskedAttention, SlotKernels, mask_logits, resized
from simplevtr.modeling.pixel_criterion import PixelCriterion
from simplevtr.modeling.pixel_decoder import PixelDecoder
from simplevtr.modeling.pixel_network import PixelState
from simplevtr.structures import ClipBatch, ClipTargets

import pytest
import torch
import torch.nn.functional as F
from conftest import build, make_clip
from detectron2.layers import ShapeSpec

WEIGHTS = {"class_weight": 2.0, "mask_weight": 5.0, "dice_weight": 5.0}


def frames_of(clip):
    return torch.stack(clip["image"]).float()[None] / 64 - 2


def test_half_precision_computes_the_network_alone(pixel_cfg):
    pixel_cfg.SOLVER.AMP.ENABLED = pixel_cfg.TEST.AMP = True
    pixel_cfg.SOLVER.AMP.DTYPE = "bfloat16"
    model = build(pixel_cfg).train()
    losses = model([make_clip(frames=2)])
    assert {loss.dtype for loss in losses.values()} == {torch.float32}
    sum(losses.values()).backward()
    assert len(model.eval()([make_clip(frames=2)])["pred_scores"]) > 0


def test_the_last_mask_is_the_kernel_times_the_embeddings(pixel_cfg):
    model = build(pixel_cfg)
    state = model.network.encode(ClipBatch(frames_of(make_clip(frames=2))))
    _, kernel, bias = (column[-1, 0] for column in state.layers)
    index = torch.tensor([1, 3])
    masks = model.network.masks(state, torch.zeros_like(index), index)
    for row, slot in enumerate(index.tolist()):
        coarse = (kernel[slot, :, None, None] * state.embedding[0]).sum(1)
        coarse = F.interpolate(coarse[None] + bias[slot], size=(32, 48), mode="bilinear")[0]
        fine = (state.fine_kernel[0, slot, :, None, None] * state.fine[0]).sum(1)
        torch.testing.assert_close(masks[row], coarse + fine, rtol=1e-4, atol=1e-4)


def test_slots_attend_within_their_masks(pixel_cfg):
    """What lies outside of a slot's mask changes nothing; an empty mask looks everywhere."""
    torch.manual_seed(0)
    attention = MaskedAttention(channels=24, heads=2)
    slots, cells = torch.randn(1, 2, 24), torch.randn(1, 5, 24)
    allowed = torch.tensor([[True, True, False, False, False], [True] * 5])[None, None]
    before = attention(slots, slots, cells, cells, allowed)
    cells[:, 3] += 9
    after = attention(slots, slots, cells, cells, allowed)
    torch.testing.assert_close(before[:, 0], after[:, 0])
    assert not torch.allclose(before[:, 1], after[:, 1])


def test_losses_at_every_pixel_are_those_of_the_whole_map(monkeypatch):
    """Also those of coarse masks with the detail of the full-size embedding."""
    state, batch = _state(slots=2, size=(2, 3)), ClipBatch(torch.zeros(1, 2, 3, 4, 6))
    detail = {"fine_kernel": torch.randn(1, 2, 5), "fine": torch.randn(1, 2, 5, 4, 6)}
    y, x = torch.meshgrid(torch.arange(4), torch.arange(6), indexing="ij")
    every = torch.stack([x, y], -1).flatten(0, 1)
    monkeypatch.setattr(mask_losses, "draw_pixels", lambda *_: every.expand(2, -1, -1))
    found = []
    for own in (state, replace(state, **detail)):
        whole, points = (
            PixelCriterion(settings=LossSettings(**WEIGHTS, mask_points=count))(
                None, own, _targets(), batch
            )
            for count in (0, 24)
        )
        torch.testing.assert_close(whole, points)
        found.append(whole["loss_mask"].item())
    assert min(found) > 0
    assert found[0] != pytest.approx(found[1], rel=0.01)


def test_losses_by_hand():
    """One object in one of two frames; a slot that finds it exactly and one that does not."""
    targets = _targets()
    state, batch = _state(slots=2, size=(4, 6)), ClipBatch(torch.zeros(1, 2, 3, 4, 6))
    state.layers.kernel[-1, 0, 0] = torch.tensor([20.0, 0.0])  # +10 inside, -10 outside
    state.layers.bias[-1, 0, 0] = -10.0
    state.embedding[0, :, 0] = targets[0].masks[0].float()
    losses = PixelCriterion(settings=LossSettings(**WEIGHTS))(None, state, targets, batch)
    assert losses["loss_mask"].item() == pytest.approx(5 * 2 * 4.54e-5, rel=0.01)  # two frames
    assert losses["loss_dice"].item() == pytest.approx(0, abs=5e-3)
    # Both slots have equal logits: log(3) each; "no object" weighs a tenth, in a weighted mean.
    assert losses["loss_ce"].item() == pytest.approx(2 * 1.0986, rel=1e-3)


def test_scores_are_free_of_the_weight_of_no_object(pixel_cfg):
    frames = frames_of(make_clip(frames=1))
    states = []
    for weight in 1.0, 0.1:
        pixel_cfg.MODEL.SIMPLEVTR.LOSS.NO_OBJECT_WEIGHT = weight
        network = build(pixel_cfg).network.eval()
        states.append(network.encode(ClipBatch(frames)))
    plain, weighted = (state.predictions.logits[0, 0].softmax(-1) for state in states)
    torch.testing.assert_close(states[0].logits[-1], states[1].logits[-1])
    # Learned with a tenth of their weight, slots without an object were ten times too sure.
    odds = [p[:, :-1] / p[:, -1:] for p in (plain, weighted)]
    torch.testing.assert_close(odds[1], odds[0] / 10)
    pixel_cfg.MODEL.SIMPLEVTR.LOSS.NO_OBJECT_WEIGHT = 0.0
    with pytest.raises(ValueError, match=r"NO_OBJECT_WEIGHT is 0\.0"):
        build(pixel_cfg)


def test_resized_products_are_products_of_the_resized():
    torch.manual_seed(0)
    kernel, bias, embedding = torch.randn(3, 8), torch.randn(3), torch.randn(2, 8, 8, 12)
    large = mask_logits(kernel, bias, embedding)
    small = mask_logits(kernel, bias, resized(embedding[None], (4, 6))[0])
    torch.testing.assert_close(F.avg_pool2d(large, 2), small)


def test_wrong_settings_are_named():
    shapes = {"res5": ShapeSpec(channels=8), "res4": ShapeSpec(channels=8)}
    with pytest.raises(ValueError, match=r"WIDTHS \[8\] must hold 2 numbers, for res5, res4"):
        PixelDecoder(shapes=shapes, channels=24, heads=2, widths=[8], embedding=4)
    with pytest.raises(
        ValueError, match=r"WIDTHS are \[32, 24\]; PIXEL.NORM 'GN' .* multiples of 32"
    ):
        PixelDecoder(shapes=shapes, channels=24, heads=2, widths=[32, 24], embedding=4)
    with pytest.raises(ValueError, match=r"PIXEL\.DEFORM names 'res9'"):
        PixelDecoder(
            shapes=shapes, channels=24, heads=2, widths=[8, 8], embedding=4, deform=["res9"]
        )


def test_deformable_levels(pixel_cfg):
    pixel_cfg.MODEL.SIMPLEVTR.PIXEL.DEFORM = ["res4", "res3"]
    model = build(pixel_cfg)
    names = [name for name, _ in model.named_parameters() if ".offset." in name]
    assert {name.split(".")[3] for name in names} == {"res4", "res3"}
    model([make_clip(frames=2) | {"height": 64, "width": 96}])


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_all_that_is_trained_has_a_gradient(pixel_cfg, layers):
    """Several processes wait for gradients that never come."""
    pixel_cfg.MODEL.SIMPLEVTR.DEC_LAYERS = layers
    model = build(pixel_cfg).train()
    sum(model([make_clip(frames=2, size=(64, 96))]).values()).backward()
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


@pytest.mark.parametrize("parts", [["backbone"], ["pixel_decoder"], ["backbone", "pixel_decoder"]])
def test_recomputing_keeps_less_and_changes_nothing(pixel_cfg, parts):
    pixel_cfg.MODEL.RESNETS.NORM, pixel_cfg.MODEL.SIMPLEVTR.PIXEL.NORM = "FrozenBN", "GN"
    pixel_cfg.MODEL.SIMPLEVTR.PIXEL.WIDTHS = [32, 32, 32, 32]
    pixel_cfg.MODEL.SIMPLEVTR.LOSS.MASK_POINTS = 0
    results = []
    for recompute in ([], parts):
        pixel_cfg.MODEL.SIMPLEVTR.RECOMPUTE = recompute
        model = build(pixel_cfg).train()
        losses, clip = {}, [make_clip(frames=5, size=(64, 96))]

        def step(model=model, losses=losses, clip=clip):
            losses.update(model(clip))

        kept = saved_tensor_bytes(step, model.parameters())
        sum(losses.values()).backward()
        results.append((kept, losses, [p.grad for p in model.parameters() if p.requires_grad]))
    (kept, losses, gradients), (less, again, gradients_again) = results
    assert less < 0.95 * kept
    torch.testing.assert_close(again, losses)
    for one, other in zip(gradients_again, gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_channels_are_last_on_a_cpu_but_where_the_backward_pass_crashes(pixel_cfg):
    """Strided 1x1 convolutions of 8 channels crash with two threads and an odd number of images."""

    def channels_last(model):
        return model.network.mask_head.smooth["res5"][0].weight.stride(1) == 1

    model = build(pixel_cfg)
    assert channels_last(model)
    assert not channels_last(model.train())
    sum(model([make_clip(frames=5, size=(64, 96))]).values()).backward()
    pixel_cfg.MODEL.RESNETS.STEM_OUT_CHANNELS = pixel_cfg.MODEL.RESNETS.RES2_OUT_CHANNELS = 16
    model = build(pixel_cfg).train()
    assert channels_last(model)
    sum(model([make_clip(frames=5, size=(64, 96))]).values()).backward()


def test_norms_that_gather_statistics_are_not_recomputed(pixel_cfg):
    for part, key in (("backbone", "MODEL.RESNETS.NORM"), ("pixel_decoder", r"PIXEL\.NORM")):
        pixel_cfg.MODEL.SIMPLEVTR.RECOMPUTE = [part]
        with pytest.raises(ValueError, match=f'has "{part}".* other statistics to .*{key}'):
            build(pixel_cfg)


def _targets():
    masks = torch.zeros(1, 2, 4, 6, dtype=torch.bool)
    masks[0, 0, 1:3, 2:5] = True
    visible = torch.tensor([[True, False]])
    return [ClipTargets(torch.tensor([1]), torch.zeros(1, 2, 4), masks, visible)]


def _state(slots, size):
    torch.manual_seed(3)
    layers = SlotKernels(
        slots=torch.zeros(1, 1, slots, 2),
        kernel=torch.randn(1, 1, slots, 2),
        bias=torch.zeros(1, 1, slots),
    )
    return PixelState(
        predictions=None,
        slots=None,
        layers=layers,
        logits=torch.zeros(1, 1, slots, 3),
        embedding=torch.randn(1, 2, 2, *size),
        fine_kernel=None,
        fine=None,
    )
