"""Ours -> VisTR's layout and back."""

from simplevtr.conversion import convert, target_of_config, to_vistr

import pytest
import torch
from foreign_weights import as_vistr, model_weights

SLOTS = 4  # of the tiny config


@pytest.fixture
def vistr_cfg(tiny_cfg):
    return as_vistr(tiny_cfg)


def test_dtypes_stay(vistr_cfg):
    ours = {name: value.half() for name, value in model_weights(vistr_cfg).items()}
    official, _ = to_vistr(ours, slots=SLOTS)
    assert {value.dtype for value in official.values()} == {torch.float16}


HOMELESS = {
    "decoupled queries": ("QUERY_FRAMES", 0, "query_embedding.weight: its 4 queries have"),
    "second deformable layer": ("MASK_HEAD.NUM_DEFORM", 2, "deform.1.conv.weight: VisTR has no"),
    "dense head": ("LOSS.DENSE_WEIGHT", 1.0, "network.dense_head.bias: VisTR has no such part"),
    "modulation": ("MASK_HEAD.CONV", "dcnv2", r"offset.weight: .*no modulation \(v2\)"),
    "offset kernel": ("MASK_HEAD.OFFSET_KERNEL", 3, "offset.weight: VisTR's offset kernel is 1"),
    "no 3-D convolutions": ("MASK_HEAD.CONV3D", False, r"insmask_head\.0: VisTR's, and not in the"),
    "subpixel masks": ("MASK_HEAD.UPSAMPLE", "subpixel", r"temporal\.3\.bias: VisTR has one"),
    "deconvolution": ("MASK_HEAD.UPSAMPLE", "deconv", r"mask_head\.upsample\.weight: VisTR has no"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOMELESS)
def test_what_vistr_has_no_place_for_is_named(vistr_cfg, case):
    key, value, message = HOMELESS[case]
    ours = model_weights(as_vistr(vistr_cfg, **{key: value}))
    with pytest.raises(ValueError, match=rf"(?s)do not make a VisTR \(--partial.*{message}"):
        to_vistr(ours, slots=SLOTS)
    official, report = to_vistr(ours, slots=SLOTS, partial=True)
    assert report.left_out or report.reinterpreted or report.initial
    if case == "offset kernel":
        assert "its centre alone" in report.reinterpreted[0].note
    # What was written is a part of a VisTR.
    vistr_cfg.MODEL.SIMPLEVTR.MASK_HEAD.UPSAMPLE = "none"
    target = target_of_config(as_vistr(vistr_cfg))
    back, report = convert(official, target, source_slots=SLOTS)
    assert {e.note for e in report.left_out} <= {"no place for it"}
    assert back
    assert not report.reinterpreted


def test_v2_without_its_modulation(vistr_cfg):
    ours = model_weights(as_vistr(vistr_cfg, **{"MASK_HEAD.CONV": "dcnv2"}))
    official, report = to_vistr(ours, slots=SLOTS, partial=True)
    prefix = "network.mask_head.deform.0.conv."
    assert torch.equal(official["mask_head.dcn.weight"], ours[f"{prefix}weight"] / 2)
    assert torch.equal(official["mask_head.conv_offset.bias"], ours[f"{prefix}offset.bias"][:18])
    assert len(report.reinterpreted) == 3


def test_a_plain_convolution_gets_offsets_of_zeros(vistr_cfg):
    ours = model_weights(as_vistr(vistr_cfg, **{"MASK_HEAD.CONV": "plain"}))
    official, report = to_vistr(ours, slots=SLOTS)
    assert not official["mask_head.conv_offset.weight"].any()
    assert official["mask_head.conv_offset.weight"].shape[0] == 18
    assert all("the same function" in e.note for e in report.reinterpreted)


def test_frames_are_told_by_the_rows_or_the_caller(vistr_cfg):
    ours = model_weights(vistr_cfg)  # 2 frames of 4 slots
    with pytest.raises(ValueError, match="8 queries have no frame axis"):
        to_vistr(ours, slots=8)
    to_vistr(ours, slots=8, query_frames=1)
    with pytest.raises(ValueError, match="8 queries are not a multiple of 3 slots"):
        to_vistr(ours, slots=3)


def test_only_our_weights_are_exported():
    with pytest.raises(ValueError, match="layout detr; only our own"):
        to_vistr({"detr.input_proj.bias": torch.ones(1)})


def test_foreign_names_among_ours_are_named(vistr_cfg):
    ours = model_weights(vistr_cfg) | {"extra": torch.ones(1)}
    with pytest.raises(ValueError, match="extra: not a name of ours"):
        to_vistr(ours, slots=SLOTS)
    official, report = to_vistr(ours, slots=SLOTS, partial=True)
    assert "extra" not in official
    assert [e.name for e in report.left_out] == ["extra"]
