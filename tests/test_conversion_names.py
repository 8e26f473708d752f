from simplevtr.conversion.layouts import LAYOUTS, layout_of
from simplevtr.conversion.names import VISTR

import pytest
import torch
from foreign_weights import LAYOUT

PAIRS = [
    ("vistr.backbone.0.body.conv1.weight", "backbone.stem.conv1.weight"),
    ("vistr.backbone.0.body.bn1.running_var", "backbone.stem.conv1.norm.running_var"),
    ("vistr.backbone.0.body.layer3.5.conv2.weight", "backbone.res4.5.conv2.weight"),
    ("vistr.backbone.0.body.layer1.0.bn3.bias", "backbone.res2.0.conv3.norm.bias"),
    ("vistr.backbone.0.body.layer4.0.downsample.0.weight", "backbone.res5.0.shortcut.weight"),
    ("vistr.backbone.0.body.layer2.0.downsample.1.running_mean",
     "backbone.res3.0.shortcut.norm.running_mean"),
    ("vistr.query_embed.weight", "query_embedding.weight"),
    ("vistr.input_proj.bias", "input_projection.bias"),
    ("vistr.class_embed.weight", "class_head.weight"),
    ("vistr.bbox_embed.layers.2.bias", "box_head.layers.2.bias"),
    ("vistr.transformer.decoder.norm.bias", "transformer.decoder_norm.bias"),
    ("bbox_attention.q_linear.weight", "slot_attention.query.weight"),
    ("bbox_attention.k_linear.bias", "slot_attention.key.bias"),
    ("mask_head.lay1.weight", "mask_head.layer1.conv.weight"),
    ("mask_head.gn4.bias", "mask_head.layer4.norm.bias"),
    ("mask_head.gn5.weight", "mask_head.deform.0.norm.weight"),
    ("mask_head.adapter3.bias", "mask_head.adapters.2.bias"),
    ("mask_head.conv_offset.weight", "mask_head.deform.0.conv.offset.weight"),
    ("mask_head.dcn.weight", "mask_head.deform.0.conv.weight"),
    ("insmask_head.3.weight", "mask_head.temporal.1.conv.weight"),
    ("insmask_head.7.bias", "mask_head.temporal.2.norm.bias"),
    ("insmask_head.9.weight", "mask_head.temporal.3.weight"),
]  # fmt: skip
# Of the layers of the encoder and the decoder.
ENCODER = [
    ("3.self_attn.in_proj_weight", "3.self_attention.attention.in_proj_weight"),
    ("0.linear2.bias", "0.feed_forward.linear2.bias"),
    ("5.norm1.weight", "5.self_attention.norm.weight"),
    ("5.norm2.weight", "5.feed_forward.norm.weight"),
]  # fmt: skip
DECODER = [
    ("1.self_attn.out_proj.bias", "1.self_attention.attention.out_proj.bias"),
    ("1.multihead_attn.in_proj_bias", "1.cross_attention.attention.in_proj_bias"),
    ("4.linear1.weight", "4.feed_forward.linear1.weight"),
    ("4.norm1.weight", "4.self_attention.norm.weight"),
    ("4.norm2.bias", "4.cross_attention.norm.bias"),
    ("4.norm3.weight", "4.feed_forward.norm.weight"),
]  # fmt: skip
for stack, pairs in (("encoder", ENCODER), ("decoder", DECODER)):
    theirs, ours = f"vistr.transformer.{stack}.layers.", f"transformer.{stack}."
    PAIRS += [(theirs + a, ours + b) for a, b in pairs]


@pytest.mark.parametrize(("theirs", "ours"), PAIRS)
def test_one_table_reads_both_ways(theirs, ours):
    assert VISTR.to_ours(theirs) == f"network.{ours}"
    assert VISTR.to_theirs(f"network.{ours}") == theirs


def test_every_official_name_comes_back():
    ours = {name: VISTR.to_ours(name) for name, _ in LAYOUT}
    assert len(set(ours.values())) == len(LAYOUT) == 503
    assert {n: VISTR.to_theirs(o) for n, o in ours.items()} == {n: n for n in ours}


def test_strange_names_have_no_place():
    for name in ("vistr.class_embedding.weight", "mask_head.lay6.weight", "xmask_head.dcn.weight"):
        assert VISTR.to_ours(name) is None


@pytest.mark.parametrize(
    ("layout", "name", "ours"),
    [
        ("vistr", "vistr.backbone.layer1.0.conv1.weight", "backbone.res2.0.conv1.weight"),
        ("vistr", "module.vistr.class_embed.bias", "class_head.bias"),
        ("detr", "backbone.0.body.conv1.weight", "backbone.stem.conv1.weight"),
        ("detr", "detr.transformer.decoder.norm.bias", "transformer.decoder_norm.bias"),
        ("detr", "vistr.input_proj.bias", "input_projection.bias"),
        ("detr", "mask_head.lay5.weight", "mask_head.deform.0.conv.weight"),
        ("detr", "mask_head.out_lay.bias", "mask_head.deform.1.bias"),
        ("torchvision", "layer4.0.downsample.0.weight", "backbone.res5.0.shortcut.weight"),
        ("detectron2", "backbone.bottom_up.res2.0.conv1.bias", "backbone.res2.0.conv1.bias"),
        ("detectron2", "stem.conv1.weight", "backbone.stem.conv1.weight"),
        ("detectron2", "res2_0_branch2a_w", "backbone.res2.0.conv1.weight"),
        ("detectron2", "res_conv1_bn_s", "backbone.stem.conv1.norm.weight"),
        ("simplevtr", "module.network.class_head.bias", "class_head.bias"),
    ],
)  # fmt: skip
def test_layouts_translate(layout, name, ours):
    assert LAYOUTS[layout].to_ours(name) == f"network.{ours}"


@pytest.mark.parametrize(
    ("layout", "name"),
    [("torchvision", "fc.weight"), ("detectron2", "backbone.fpn_lateral2.weight"),
     ("detectron2", "fc1000_w"), ("simplevtr", "criterion.weight"), ("detr", "mask_head.x.bias")],
)  # fmt: skip
def test_what_has_no_place(layout, name):
    assert LAYOUTS[layout].to_ours(name) is None


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (["vistr.input_proj.bias"], "vistr"),
        (["insmask_head.0.weight"], "vistr"),
        (["transformer.decoder.norm.bias", "query_embed.weight"], "detr"),
        (["detr.input_proj.bias"], "detr"),
        (["backbone.0.body.conv1.weight"], "detr"),
        (["conv1.weight", "layer1.0.conv1.weight"], "torchvision"),
        (["backbone.bottom_up.res2.0.conv1.weight", "roi_heads.box_head.fc1.weight"], "detectron2"),
        (["stem.conv1.weight", "res2.0.conv1.weight"], "detectron2"),
        (["conv1_w", "res2_0_branch2a_w"], "detectron2"),
        (["network.class_head.bias"], "simplevtr"),
        (["module.network.class_head.bias"], "simplevtr"),
    ],
)
def test_layouts_are_recognised(names, layout):
    assert layout_of({name: torch.zeros(1) for name in names}) == layout


def test_class_rows_tell_detr_from_vistr():
    """VisTR's initialisation is a DETR under VisTR's names; VisTR without masks has DETR's."""
    assert layout_of({"vistr.class_embed.bias": torch.zeros(92)}) == "detr"
    assert layout_of({"class_embed.bias": torch.zeros(42)}) == "vistr"


def test_unknown_names_and_layouts_list_the_known():
    with pytest.raises(ValueError, match=r"head\.bias.*known are vistr, detr, torchvision, det"):
        layout_of({"head.bias": torch.zeros(1)})
    with pytest.raises(ValueError, match="'mmcv' is unknown; known are vistr"):
        layout_of({}, "mmcv")
