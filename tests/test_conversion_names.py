from simplevtr.conversion.layouts import LAYOUTS, layout_of
from simplevtr.conversion.names import VISTR, translator

import pytest
import torch
from vistr_weights import official_layout


def test_every_official_name_comes_back():
    """That each stands for the right one of ours is what the outputs in test_vistr.py show."""
    to_ours, to_theirs = translator(VISTR), translator((b, a) for a, b in VISTR)
    ours = {name: to_ours(name) for name in official_layout()}
    assert len(set(ours.values())) == len(ours) == 503
    assert {n: to_theirs(o) for n, o in ours.items()} == {n: n for n in ours}


@pytest.mark.parametrize(
    ("layout", "name", "ours"),
    [
        ("vistr", "vistr.backbone.layer1.0.conv1.weight", "backbone.res2.0.conv1.weight"),
        ("vistr", "vistr.class_embed.weight", "class_head.weight"),
        ("vistr", "insmask_head.0.weight", "mask_head.temporal.0.conv.weight"),
        ("detr", "backbone.0.body.conv1.weight", "backbone.stem.conv1.weight"),
        ("detr", "detr.transformer.decoder.norm.bias", "transformer.decoder_norm.bias"),
        ("detr", "transformer.decoder.norm.bias", "transformer.decoder_norm.bias"),
        ("detr", "mask_head.lay5.weight", "mask_head.deform.0.conv.weight"),
        ("detr", "mask_head.out_lay.bias", "mask_head.deform.1.bias"),
        ("torchvision", "layer4.0.downsample.0.weight", "backbone.res5.0.shortcut.weight"),
        ("detectron2", "backbone.bottom_up.res2.0.conv1.bias", "backbone.res2.0.conv1.bias"),
        ("detectron2", "stem.conv1.weight", "backbone.stem.conv1.weight"),
        ("detectron2", "res2_0_branch2a_w", "backbone.res2.0.conv1.weight"),
        ("detectron2", "res_conv1_bn_s", "backbone.stem.conv1.norm.weight"),
        ("simplevtr", "network.class_head.bias", "class_head.bias"),
    ],
)
def test_layouts_translate_what_they_are_recognised_by(layout, name, ours):
    assert LAYOUTS[layout].to_ours(name) == f"network.{ours}"
    more = {"torchvision": ["layer1.0.conv1.weight"], "detectron2": ["res2.0.conv1.weight"]}
    if not name.startswith("mask_head."):  # DETR's and VisTR's alike
        assert layout_of(dict.fromkeys([name, *more.get(layout, [])])) == layout


@pytest.mark.parametrize(
    ("layout", "name"),
    [("vistr", "vistr.class_embedding.weight"), ("vistr", "mask_head.lay6.weight"),
     ("vistr", "xmask_head.dcn.weight"), ("torchvision", "fc.weight"),
     ("detectron2", "backbone.fpn_lateral2.weight"),
     ("detectron2", "fc1000_w"), ("simplevtr", "criterion.weight"), ("detr", "mask_head.x.bias")],
)  # fmt: skip
def test_what_has_no_place(layout, name):
    assert LAYOUTS[layout].to_ours(name) is None


def test_class_rows_tell_detr_from_vistr():
    """VisTR's initialisation is a DETR under VisTR's names; VisTR without masks has DETR's."""
    assert layout_of({"vistr.class_embed.bias": torch.zeros(92)}) == "detr"
    assert layout_of({"class_embed.bias": torch.zeros(42)}) == "vistr"


def test_unknown_names_list_the_known_layouts():
    with pytest.raises(ValueError, match=r"head\.bias.*known are vistr, detr, torchvision, det"):
        layout_of({"head.bias": torch.zeros(1)})
