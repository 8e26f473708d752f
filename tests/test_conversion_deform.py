"""Deformable layers of another kind compute the same where that is claimed."""

from simplevtr.modeling.deform_conv import DeformConv

import pytest
import torch
from foreign_weights import converted
from torch import nn

PREFIX = "network.mask_head.deform.0.conv."


def layer(kind, kernel=1, seed=0):
    """A layer with offsets that are not at rest, float64."""
    torch.manual_seed(seed)
    if kind == "plain":
        return nn.Conv2d(4, 6, 3, padding=1, bias=False).double()
    conv = DeformConv(
        in_channels=4, out_channels=6, modulated=kind == "dcnv2", offset_kernel=kernel
    ).double()
    for parameter in conv.offset.parameters():
        nn.init.normal_(parameter, std=0.3)
    return conv


def at_rest(conv):
    for parameter in conv.offset.parameters():
        nn.init.zeros_(parameter)
    return conv


def moved(source, target, prefix=PREFIX):
    """Load ``source``'s converted weights into ``target`` and return the report."""
    wanted = {prefix + k: v for k, v in target.state_dict().items()}
    weights = {prefix + k: v for k, v in source.state_dict().items()}
    result, report = converted(weights, wanted)
    target.load_state_dict(
        target.state_dict() | {k.removeprefix(prefix): v for k, v in result.items()}
    )
    return report


def same_function(one, two):
    x = torch.randn(2, 4, 7, 9, dtype=torch.float64)
    torch.testing.assert_close(two(x), one(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (("dcnv1", 1), ("dcnv2", 1)),
        (("dcnv1", 1), ("dcnv1", 3)),
        (("dcnv2", 1), ("dcnv2", 3)),
        (("dcnv1", 1), ("dcnv2", 3)),
    ],
)
def test_growing_keeps_the_function(source, target):
    one, two = layer(*source), layer(*target, seed=1)
    report = moved(one, two)
    same_function(one, two)
    assert not report.left_out
    notes = " ".join(entry.note for entry in report.reinterpreted)
    if source[0] != target[0]:
        assert "dcnv1 -> dcnv2: weight times 2" in notes
    if source[1] != target[1]:
        assert "offset kernel 1 -> 3: in the centre of zeros" in notes


@pytest.mark.parametrize("kind", ["dcnv1", "dcnv2"])
def test_a_plain_layer_becomes_a_deformable_one_at_rest(kind):
    one, two = layer("plain"), at_rest(layer(kind, 3, seed=1))
    report = moved(one, two)
    same_function(one, two)
    assert {e.name for e in report.initial} == {f"{PREFIX}offset.weight", f"{PREFIX}offset.bias"}


@pytest.mark.parametrize("kind", ["dcnv1", "dcnv2"])
def test_a_deformable_layer_at_rest_becomes_a_plain_one(kind):
    one, two = at_rest(layer(kind, 3)), layer("plain", seed=1)
    report = moved(one, two)
    same_function(one, two)
    assert {e.name for e in report.left_out} == {f"{PREFIX}offset.weight", f"{PREFIX}offset.bias"}
    assert all("a plain convolution has no offsets" in e.note for e in report.left_out)


def test_without_modulation_the_offsets_stay():
    one, two = layer("dcnv2", 1), layer("dcnv1", 1, seed=1)
    with torch.no_grad():  # modulation at rest, offsets not
        one.offset.weight[18:], one.offset.bias[18:] = 0, 0
    report = moved(one, two)
    same_function(one, two)
    assert any("without the modulation" in e.note for e in report.reinterpreted)


def test_a_larger_offset_kernel_is_cut_to_its_centre():
    one, two = layer("dcnv1", 3), layer("dcnv1", 1, seed=1)
    report = moved(one, two)
    assert torch.equal(two.offset.weight[..., 0, 0], one.offset.weight[..., 1, 1])
    assert "its centre alone" in report.reinterpreted[0].note


def test_offsets_of_a_layer_that_does_not_fit_are_left_out():
    two = DeformConv(in_channels=4, out_channels=5, modulated=False, offset_kernel=1).double()
    prefix = "network.input_projection."  # something that fits, so that it is not an error
    extra = {f"{prefix}bias": torch.ones(1)}
    weights = {PREFIX + k: v for k, v in layer("dcnv1").state_dict().items()} | extra
    wanted = {PREFIX + k: v for k, v in two.state_dict().items()} | extra
    result, report = converted(weights, wanted)
    assert set(result) == set(extra)
    why = {e.name: e for e in report.left_out}
    assert why[f"{PREFIX}weight"].wanted == (5, 4, 3, 3)
    assert "does not fit" in why[f"{PREFIX}offset.bias"].note


def test_an_unknown_offset_layer_is_named():
    one = layer("dcnv1").state_dict() | {"offset.weight": torch.zeros(20, 4, 1, 1)}
    weights = {PREFIX + k: v for k, v in one.items()}
    wanted = {PREFIX + k: v for k, v in layer("dcnv1").state_dict().items()}
    with pytest.raises(ValueError, match=r"offset.weight has 20 outputs; 18 \(v1\) and 27 \(v2\)"):
        converted(weights, wanted)


def test_detrs_last_layer_gives_the_logit():
    """Wherever the model's logit layer stands in its stack."""
    source = {
        "mask_head.out_lay.weight": torch.randn(1, 4, 3, 3),
        "mask_head.out_lay.bias": torch.randn(1),
        "query_embed.weight": torch.zeros(1, 1),
    }
    prefix = "network.mask_head.deform.2."
    conv = DeformConv(in_channels=4, out_channels=1, modulated=True, bias=True)
    wanted = {prefix + k: v for k, v in conv.state_dict().items()}
    result, report = converted(source, wanted)
    assert torch.equal(result[f"{prefix}weight"], 2 * source["mask_head.out_lay.weight"])
    assert torch.equal(result[f"{prefix}bias"], source["mask_head.out_lay.bias"])
    assert all("stays the last" in e.note for e in report.reinterpreted)
