"""Backbones of timm: the rows of the paper's section 3.3, in both heads, frozen and trained."""

from simplevtr import setup_cfg
from simplevtr.checkpoint import ClipCheckpointer
from simplevtr.conversion import convert, target_of_config
from simplevtr.engine.optimizer import build_optimizer
from simplevtr.modeling.timm_backbone import TimmBackbone

import pytest
import timm
import torch
from detectron2.modeling import build_model

# Small models of the kinds that the paper names, and a convolutional one
KINDS = {
    "swin": (
        "swin_tiny_patch4_window7_224",
        {"strict_img_size": False, "depths": (1,) * 4, "embed_dim": 24},
        (),
    ),
    "twins": ("twins_svt_small", {"depths": (1,) * 4, "embed_dims": (16, 32, 64, 128)}, ()),
    "vit": ("vit_tiny_patch16_224", {"dynamic_img_size": True, "depth": 3}, ()),
    "mixer": ("mixer_s16_224", {}, (64, 96)),
    "resmlp": ("resmlp_12_224", {}, (64, 96)),
    "lite0": ("tf_efficientnet_lite0", {}, ()),
}
SINGLE = ("vit", "mixer", "resmlp")  # of which pyramids are made
CELLS = {"res2": (13, 22), "res3": (7, 11), "res4": (4, 6), "res5": (2, 3)}  # of 50 x 88 pixels


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def backbone(kind, **settings):
    name, options, size = KINDS[kind]
    if kind in SINGLE:
        settings["pyramid_channels"] = 16
    return TimmBackbone(name=name, options=options, size=size, **settings)


def words(kind):
    name, options, size = KINDS[kind]
    result = ["MODEL.BACKBONE.NAME", "build_timm_backbone", "MODEL.TIMM.NAME", name]
    result += ["MODEL.TIMM.SIZE", str(list(size))]
    result += ["MODEL.TIMM.PYRAMID_CHANNELS", "16"] * (kind in SINGLE)
    for key, value in options.items():
        result += [f"MODEL.TIMM.OPTIONS.{key}", str(value)]
    return result


def clip():
    frames = [torch.randint(0, 255, (3, 50, 88), dtype=torch.uint8) for _ in range(3)]
    return {"image": frames, "height": 50, "width": 88, "file_names": ["a", "b", "c"]}


def test_features_have_a_cell_for_every_started_stride(kind):
    model = backbone(kind)
    features = model(torch.randn(2, 3, 50, 88))
    assert {name: tuple(f.shape[-2:]) for name, f in features.items()} == CELLS
    for name, shape in model.output_shape().items():
        assert features[name].shape[:2] == (2, shape.channels)
        assert shape.stride == 2 ** int(name[-1])


@pytest.mark.parametrize("head", ["clips", "pixel_clips"])
def test_both_heads_train_and_predict_on_every_kind(kind, head):
    cfg = setup_cfg(f"configs/embedded/{head}.yaml", ["MODEL.WEIGHTS", "", *words(kind)])
    model = build_model(cfg).eval()
    with torch.no_grad():
        found = model([clip()])
    assert len(found["pred_scores"]) > 0
    assert model.network.backbone.output_shape()["res5"].stride == 32


def test_freezing_counts_the_stem_and_the_stages_or_blocks(kind):
    def trained(groups):
        return [p.requires_grad for p in backbone(kind, freeze_at=groups).body.parameters()]

    assert all(trained(0))
    counts = [sum(trained(groups)) for groups in (0, 1, 2, 3)]
    assert counts == sorted(counts, reverse=True)
    assert len(set(counts)) == 4
    whole = backbone(kind, freeze_at=99)
    assert not any(p.requires_grad for n, p in whole.named_parameters() if ".features." in n)


def test_a_frozen_batch_norm_keeps_its_statistics_in_training():
    frames = torch.randn(4, 3, 64, 64) + 3

    def moved(frozen):
        model = backbone("lite0", frozen_norm=frozen).train()
        before = {n: b.clone() for n, b in model.named_buffers() if "running" in n}
        model(frames)
        return [not torch.equal(before[n], b) for n, b in model.named_buffers() if n in before]

    assert not any(moved(True))
    assert all(moved(False))


def test_the_backbone_has_its_factor_of_the_learning_rate_and_can_be_recomputed():
    opts = [*words("lite0"), "MODEL.WEIGHTS", "", "SOLVER.BACKBONE_MULTIPLIER", "0.1"]
    cfg = setup_cfg("configs/embedded/pixel_clips.yaml", opts)
    model = build_model(cfg)
    optimizer = build_optimizer(cfg, model)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        wanted = cfg.SOLVER.BASE_LR * (0.1 if "backbone" in name else 1)
        assert rates[id(parameter)] == pytest.approx(wanted), name
    cfg.MODEL.SIMPLEVTR.RECOMPUTE = ["backbone"]
    build_model(cfg)
    cfg.MODEL.TIMM.FROZEN_NORM = False
    with pytest.raises(ValueError, match=r"MODEL.TIMM.FROZEN_NORM"):
        build_model(cfg)


@pytest.mark.parametrize(
    ("name", "options", "size", "message"),
    [
        ("tf_efficientnet_lite", {}, (), r"lacks; did you mean tf_efficientnet_lite\d"),
        ("hf-hub:someone/model", {}, (), "lacks"),
        ("vit_tiny_patch16_224", {"depht": 2}, (), "depht"),
        ("tf_efficientnet_lite0", {"in_chans": 4}, (), "in_chans"),
        ("tf_efficientnet_lite0", {"checkpoint_path": "a.pth"}, (), "checkpoint_path"),
        ("vit_tiny_patch16_224", {"norm_layer": "none"}, (), "options .* none$"),
        ("mixer_s32_224", {}, (), r"strides \[32, 32, 32\]"),
        ("mixer_s16_224", {}, (64,), r"SIZE is \[64\]"),
    ],
)
def test_what_does_not_fit_is_refused(name, options, size, message):
    with pytest.raises(ValueError, match=message):
        TimmBackbone(name=name, options=options, size=size)


def test_channels_of_features_that_are_not_made_are_refused():
    with pytest.raises(ValueError, match=r"PYRAMID_CHANNELS is 128, which .*lite0 does not read"):
        TimmBackbone(name="tf_efficientnet_lite0", options={}, pyramid_channels=128)


def test_a_model_of_one_size_tells_what_to_set():
    model = TimmBackbone(name="vit_tiny_patch16_224", options={"depth": 3})
    with pytest.raises(ValueError, match="dynamic_img_size"):
        model(torch.randn(1, 3, 64, 96))


@pytest.mark.parametrize("named", [True, False], ids=["timm's names", "other names"])
def test_weights_of_the_whole_model_start_the_backbone(tmp_path, named):
    name, _, _ = KINDS["lite0"]
    whole = timm.create_model(name, pretrained=False).state_dict()
    weights = (
        whole
        if named
        else {f"{i}.{k.rpartition('.')[2]}": v for i, (k, v) in enumerate(whole.items())}
    )
    path = tmp_path / "lite0.pth"
    torch.save(weights, path)
    cfg = setup_cfg(
        "configs/embedded/pixel_clips.yaml", [*words("lite0"), "MODEL.WEIGHTS", str(path)]
    )
    model = build_model(cfg)
    ClipCheckpointer(model).load(str(path), [])
    for key, value in model.network.backbone.body.features.model.state_dict().items():
        assert torch.equal(value, whole[key]), key
    converted, report = convert(weights, target_of_config(cfg))
    assert report.layout == "timm"
    assert converted["network.backbone.body.features.model.conv_stem.weight"].equal(
        whole["conv_stem.weight"]
    )
    weights.pop(next(iter(weights)))
    torch.save(weights, path)
    with pytest.raises(ValueError, match="lacks 1 of" if named else "no tensor has a name"):
        ClipCheckpointer(model).load(str(path), [])


def test_a_checkpoint_of_a_model_starts_all_of_it(tmp_path):
    """It begins with the backbone's tensors in their order, as a file of the backbone does."""
    cfg = setup_cfg("configs/embedded/pixel_clips.yaml", words("lite0"))
    first, second = build_model(cfg), build_model(cfg)
    assert not torch.equal(first.network.class_head.weight, second.network.class_head.weight)
    torch.save({"model": first.state_dict()}, tmp_path / "model.pth")
    ClipCheckpointer(second, complete=True).load(str(tmp_path / "model.pth"), [])
    for (key, value), other in zip(
        first.state_dict().items(), second.state_dict().values(), strict=True
    ):
        assert torch.equal(value, other), key
