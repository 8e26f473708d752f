"""Every variant of the mask head (§3.2, §3.6) is a key, and does what it says."""

from simplevtr.checkpoint import ClipCheckpointer
from simplevtr.modeling.mask_head import BilinearDeconv

import pytest
import torch
import torch.nn.functional as F
from conftest import build, make_clip


def frames():
    return torch.randn(1, 3, 3, 32, 48, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("conv", ["dcnv2", "dcnv1", "plain"])
@pytest.mark.parametrize("conv3d", [True, False])
def test_mask_head_variants(tiny_cfg, conv, conv3d):
    tiny_cfg.MODEL.SIMPLEVTR.MASK_HEAD.CONV = conv
    tiny_cfg.MODEL.SIMPLEVTR.MASK_HEAD.CONV3D = conv3d
    model = build(tiny_cfg)
    assert model.predict_clip(frames()).masks.shape == (1, 3, 4, 16, 24)
    names = [name for name, _ in model.named_parameters()]
    assert any("temporal" in name for name in names) == conv3d
    assert any(".offset." in name for name in names) == (conv != "plain")


@pytest.mark.parametrize("conv3d", [True, False])
@pytest.mark.parametrize("upsample", ["subpixel", "deconv"])
def test_upsampling_halves_the_stride(tiny_cfg, upsample, conv3d):
    tiny_cfg.MODEL.SIMPLEVTR.MASK_HEAD.UPSAMPLE = upsample
    tiny_cfg.MODEL.SIMPLEVTR.MASK_HEAD.CONV3D = conv3d
    model = build(tiny_cfg)
    assert model.predict_clip(frames()).masks.shape == (1, 3, 4, 32, 48)
    model.train()([make_clip(labels=())])["loss_mask"].backward()  # where nothing is matched
    losses = model([make_clip()])
    (losses["loss_mask"] + losses["loss_dice"]).backward()
    head = model.network.mask_head
    last = head.upsample if upsample == "deconv" else (head.temporal or head.deform)[-1]
    assert last.weight.grad.abs().sum() > 0
    assert len(model.eval()([make_clip()])["pred_masks"][0]) == 3


def test_subpixel_starts_without_a_checkerboard(tiny_cfg):
    tiny_cfg.MODEL.SIMPLEVTR.MASK_HEAD.UPSAMPLE = "subpixel"
    masks = build(tiny_cfg).predict_clip(frames()).masks
    cells = masks.unfold(-2, 2, 2).unfold(-2, 2, 2)  # the four logits of each cell
    assert cells.std() > 0.01
    # The offsets, which the test model draws at random, are shared by the four.
    torch.testing.assert_close(cells, cells[..., :1, :1].expand_as(cells))


def test_deconvolution_starts_as_bilinear():
    logits = torch.randn(2, 1, 5, 7)
    fine = BilinearDeconv()(logits)
    expected = F.interpolate(logits, scale_factor=2, mode="bilinear")
    # At the frame's edge one pads with zeros, the other repeats.
    torch.testing.assert_close(fine[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1])


def test_plain_convolutions_can_take_the_place_of_trained_deformable_ones(tiny_cfg, tmp_path):
    """§3.2 replaces DCN in a trained network: the weights stay, the offsets go."""
    deformable = build(tiny_cfg)
    torch.save({"model": deformable.state_dict()}, tmp_path / "deformable.pth")
    tiny_cfg.MODEL.SIMPLEVTR.MASK_HEAD.CONV = "plain"
    plain = build(tiny_cfg, seed=1)
    ClipCheckpointer(plain, complete=True).load(str(tmp_path / "deformable.pth"))
    for index in range(2):
        one, two = (m.network.mask_head.deform[index] for m in (deformable, plain))
        one, two = getattr(one, "conv", one), getattr(two, "conv", two)
        assert torch.equal(one.weight, two.weight)
    assert not torch.allclose(
        deformable.predict_clip(frames()).masks, plain.predict_clip(frames()).masks
    )
