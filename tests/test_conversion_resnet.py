"""ResNets of torchvision, timm, detectron2 and Caffe -> our backbone."""

import dataclasses
from contextlib import nullcontext

from simplevtr.checkpoint import ClipCheckpointer
from simplevtr.conversion import Target, convert, target_of_config
from simplevtr.run_config import setup_cfg

import pytest
import torch
import torch.nn.functional as F
import torchvision
from conftest import ROOT
from detectron2.modeling import build_backbone
from foreign_weights import converted
from torch import nn
from vistr_weights import filled

BACKBONE = "network.backbone."


@pytest.fixture(scope="module")
def cfg():
    name = "configs/youtubevis_2019/simplevtr_R50.yaml"
    return setup_cfg(str(ROOT / name), ["MODEL.DEVICE", "cpu"])


@pytest.fixture(scope="module")
def backbone(cfg):
    return build_backbone(cfg).eval()


@pytest.fixture(scope="module")
def target(backbone):
    """Of the backbone alone."""
    weights = {BACKBONE + name: value for name, value in backbone.state_dict().items()}
    return Target(weights=weights, slots=10, query_frames=0)


@pytest.fixture(scope="module")
def resnet():
    """torchvision's ResNet-50 with statistics that matter."""
    model = torchvision.models.resnet50(weights=None)
    state = {
        name: filled(name, value.shape) + (0.5 if "bn" in name else 0)
        for name, value in model.state_dict().items()
        if value.is_floating_point()
    }
    model.load_state_dict(model.state_dict() | state)
    return model.eval()


def test_the_forward_pass_is_torchvisions(resnet, backbone, target):
    resnet, backbone = resnet.double(), backbone.double()
    result, report = convert(resnet.state_dict(), target)
    assert result.keys() == target.weights.keys()
    assert report.layout == "torchvision"
    assert not report.reinterpreted + report.initial
    left = {e.name for e in report.left_out if not e.name.endswith("num_batches_tracked")}
    assert left == {"fc.weight", "fc.bias"}
    backbone.load_state_dict({k.removeprefix(BACKBONE): v for k, v in result.items()})
    frames = torch.randn(1, 3, 64, 96, dtype=torch.float64)
    with torch.no_grad():
        x = resnet.maxpool(resnet.relu(resnet.bn1(resnet.conv1(frames))))
        features = backbone(frames)
        for stage, layer in enumerate((resnet.layer1, resnet.layer2, resnet.layer3, resnet.layer4)):
            x = layer(x)
            ours = features[f"res{stage + 2}"]
            assert ours.abs().max() > 1e-3
            torch.testing.assert_close(ours, x, rtol=1e-10, atol=1e-10 * float(x.abs().max()))


def test_frozen_norms_take_and_batch_norms_keep_counters():
    name = "layer1.0.bn1."
    source = {
        name + "running_mean": torch.ones(2),
        name + "num_batches_tracked": torch.tensor(7),
        "layer1.0.conv1.weight": torch.ones(2, 2, 1, 1),
    }
    norm = f"{BACKBONE}res2.0.conv1.norm."
    frozen = {f"{norm}running_mean": torch.zeros(2)}
    counting = frozen | {f"{norm}num_batches_tracked": torch.tensor(0)}
    _, report = converted(source, frozen)
    notes = {e.name: e.note for e in report.left_out}
    assert "count no batches" in notes[name + "num_batches_tracked"]
    result, _ = converted(source, counting)
    assert result[f"{norm}num_batches_tracked"] == 7


def detectron2_backbone(prefix, folded):
    """Stem and one block of a detector of detectron2."""
    shapes = {"stem.conv1.weight": (4, 3, 7, 7), "res2.0.conv1.weight": (4, 4, 1, 1)}
    for norm in ("stem.conv1.norm.", "res2.0.conv1.norm."):
        shapes |= {norm + k: (4,) for k in ("weight", "bias", "running_mean", "running_var")}
    weights = {prefix + name: filled(name, shape) for name, shape in shapes.items()}
    if folded:
        for name in list(weights):
            if name.endswith("running_mean"):
                weights[name] = torch.zeros(4)
            if name.endswith("running_var"):
                weights[name] = torch.ones(4) - 1e-5
    return weights


def wanted_of(weights, prefix):
    names = {name: BACKBONE + name.removeprefix(prefix) for name in weights}
    zeros = {names[name]: torch.zeros_like(value) for name, value in weights.items()}
    return Target(zeros, slots=1, query_frames=0)


@pytest.mark.parametrize("prefix", ["", "backbone.", "backbone.bottom_up."])
def test_detectron2s_names(prefix):
    weights = detectron2_backbone(prefix, folded=False)
    result, report = convert(weights, wanted_of(weights, prefix))
    assert len(report.taken) == len(weights)
    for name, value in weights.items():
        assert torch.equal(result[BACKBONE + name.removeprefix(prefix)], value)


STEM = f"{BACKBONE}stem.conv1.weight"


def test_caffes_colours_are_told_and_rewritten():
    prefix = "backbone.bottom_up."
    weights = detectron2_backbone(prefix, folded=True)
    target = wanted_of(weights, prefix)
    result, report = convert(weights, target)
    assert "BGR in [0, 255] (Caffe's)" in report.reinterpreted[0].note
    assert [e.name for e in report.reinterpreted] == [STEM]
    # The same picture in both conventions gives the same first features.
    rgb = torch.rand(1, 3, 9, 9) * 255
    mean = torch.tensor(target.settings["MODEL.PIXEL_MEAN"])[:, None, None]
    std = torch.tensor(target.settings["MODEL.PIXEL_STD"])[:, None, None]
    theirs = F.conv2d((rgb - mean).flip(1), weights[f"{prefix}stem.conv1.weight"], padding=3)
    torch.testing.assert_close(
        F.conv2d((rgb - mean) / std, result[STEM], padding=3), theirs, rtol=1e-4, atol=1e-3
    )
    plain, _ = convert(weights, target, colours="rgb")
    assert torch.equal(plain[STEM], weights[f"{prefix}stem.conv1.weight"])


def test_caffes_weights_are_not_taken_as_they_are(tmp_path):
    caffe, other = (detectron2_backbone("", folded) for folded in (True, False))
    group_norms = {name: value for name, value in caffe.items() if "running" not in name}
    for weights, std, refused in (
        (caffe, 58.0, True),
        (caffe, 1.0, False),
        (other, 58.0, False),
        (group_norms, 58.0, False),
    ):
        torch.save({"model": weights}, tmp_path / "R-50.pth")
        model = nn.Module()
        model.stem = nn.Module()
        model.stem.conv1 = nn.Conv2d(3, 4, 7, bias=False)
        model.batcher = nn.Module()
        model.batcher.pixel_std = torch.tensor([std])
        checkpointer = ClipCheckpointer(model)
        with pytest.raises(ValueError, match="BGR frames") if refused else nullcontext():
            checkpointer.load(str(tmp_path / "R-50.pth"))


def test_a_model_of_bgr_frames_takes_no_weights_of_others():
    weights = detectron2_backbone("", folded=False)
    target = with_settings(wanted_of(weights, ""), {"INPUT.FORMAT": "BGR"})
    with pytest.raises(ValueError, match=r"INPUT\.FORMAT is BGR; weights of other code"):
        convert(weights, target)


def with_settings(target, values):
    return dataclasses.replace(target, settings=target.settings | values)


@pytest.mark.parametrize(
    ("more", "wanted", "message"),
    [
        ("layer1.1.conv1.weight", "", "1 of its tensors do not fit, 0 layers are new"),
        ("layer1.0.se.fc1.weight", "", "1 of its tensors do not fit, 0 layers are new"),
        ("", "res2.1.conv1.weight", "0 of its tensors do not fit, 1 layers are new"),
        ("", "res2.0.conv2_offset.weight", ""),
        ("layer1.0.bn1.num_batches_tracked", "", ""),
        ("fc.weight", "", ""),
    ],
)
def test_a_backbone_of_another_kind_is_told(caplog, more, wanted, message):
    block = torch.ones(4, 4, 1, 1)
    source = {"layer1.0.conv1.weight": block} | ({more: block} if more else {})
    model = {f"{BACKBONE}{name}": block for name in ("res2.0.conv1.weight", wanted) if name}
    converted(source, model)
    assert caplog.text.count("the backbone is not the source's") == bool(message)
    assert message in caplog.text


@pytest.mark.parametrize(
    ("weights", "settings", "told"),
    [
        ("torchvision", {}, []),
        (
            "torchvision",
            {"MODEL.RESNETS.STRIDE_IN_1X1": True},
            ["STRIDE_IN_1X1 False, which is True"],
        ),
        (
            "torchvision",
            {"MODEL.RESNETS.RES5_DILATION": 2},
            ["one that was trained with MODEL.RESNETS.RES5_DILATION 1"],
        ),
        ("torchvision", {"MODEL.PIXEL_STD": [1.0, 1.0, 1.0]}, ["which is [1.0, 1.0, 1.0]"]),
        ("torchvision", {"MODEL.SIMPLEVTR.NUM_HEADS": 4}, []),  # it has none
        ("detr", {"MODEL.SIMPLEVTR.NUM_HEADS": 4}, ["NUM_HEADS 8, which is 4"]),
        ("caffe", {"MODEL.RESNETS.STRIDE_IN_1X1": True, "MODEL.PIXEL_STD": [9.0, 9.0, 9.0]}, []),
        ("caffe", {}, ["STRIDE_IN_1X1 True, which is False"]),
        ("caffe", {"MODEL.PIXEL_MEAN": [9.0, 9.0, 9.0]}, ["STRIDE_IN_1X1", "PIXEL_MEAN"]),
    ],
)
def test_what_no_tensor_shows_is_told(caplog, weights, settings, told):
    source, model = {}, {f"{BACKBONE}res2.0.conv1.weight": torch.ones(4, 4, 1, 1)}
    if weights == "torchvision":
        source = {"layer1.0.conv1.weight": torch.ones(4, 4, 1, 1)}
    elif weights == "detr":
        source = {"backbone.0.body.layer1.0.conv1.weight": torch.ones(4, 4, 1, 1)}
        source["input_proj.bias"] = model["network.input_projection.bias"] = torch.ones(4)
    else:
        source = detectron2_backbone("", folded=True)
        model = wanted_of(source, "").weights
    convert(source, with_settings(Target(model, slots=1, query_frames=0), settings))
    assert caplog.text.count("its weights mean something else") == len(told)
    assert all(words in caplog.text for words in told)


@pytest.mark.parametrize(
    ("statistics", "options", "caffe"),
    [((0.0, 1.0), {}, True), ((1.0, 1.0), {}, False), ((), {}, False),
     ((), {"colours": "caffe"}, True)],
)  # fmt: skip
def test_caffes_weights_by_torchvisions_names(statistics, options, caffe):
    """Norms with statistics of 0 and 1, as mmdetection's, tell them; or it is said."""
    stem, wanted = torch.randn(4, 3, 7, 7), {STEM: torch.zeros(4, 3, 7, 7)}
    weights = {"conv1.weight": stem, "layer1.0.conv1.weight": torch.ones(1)}
    names = ("layer1.0.bn1.running_mean", "layer1.0.bn1.running_var")
    weights |= {n: torch.full((4,), v) for n, v in zip(names, statistics, strict=False)}
    result, _ = converted(weights, wanted, **options)
    std = torch.tensor(Target(wanted, 1, query_frames=0).settings["MODEL.PIXEL_STD"])[:, None, None]
    assert torch.equal(result[STEM], stem.flip(1) * std if caffe else stem)


def test_caffe2s_names():
    """As in the zoo's ImageNet weights, which have no statistics at all."""
    weights = {
        "conv1_w": torch.randn(4, 3, 7, 7),
        "res_conv1_bn_s": torch.randn(4),
        "res_conv1_bn_b": torch.randn(4),
        "res2_0_branch1_w": torch.randn(4, 4, 1, 1),
        "res2_0_branch2c_bn_s": torch.randn(4),
        "fc1000_w": torch.randn(2, 2),
    }
    ours = ["stem.conv1.weight", "stem.conv1.norm.weight", "stem.conv1.norm.bias",
            "res2.0.shortcut.weight", "res2.0.conv3.norm.weight"]  # fmt: skip
    wanted = {
        BACKBONE + n: torch.zeros_like(v) for n, v in zip(ours, weights.values(), strict=False)
    }
    result, report = converted(weights, wanted)
    assert result.keys() == wanted.keys()
    assert torch.equal(
        result[f"{BACKBONE}res2.0.conv3.norm.weight"], weights["res2_0_branch2c_bn_s"]
    )
    assert [e.name for e in report.reinterpreted] == [STEM]
    assert [e.name for e in report.left_out] == ["fc1000_w"]


def test_caffe2s_resnext_divides_frames_by_a_deviation(caplog):
    """X-101-32x8d of detectron2's zoo: BGR / (57.375, 57.120, 58.395), strides in the 3x3."""
    stem, grouped = torch.randn(4, 3, 7, 7), torch.ones(8, 2, 3, 3)
    weights = {"conv1_w": stem, "res2_0_branch2b_w": grouped}
    wanted = {STEM: torch.zeros_like(stem), f"{BACKBONE}res2.0.conv2.weight": grouped * 0}
    result, report = converted(weights, wanted)
    torch.testing.assert_close(result[STEM], stem.flip(1))  # the config's deviation is the same
    assert "BGR divided by ImageNet's deviation" in report.reinterpreted[0].note
    assert "STRIDE_IN_1X1" not in caplog.text


def test_a_backbone_leaves_the_rest_initial(tiny_cfg):
    target = target_of_config(tiny_cfg)
    source = {
        "conv1.weight": torch.ones(8, 3, 3, 3),
        "layer1.0.conv1.weight": torch.ones(8, 8, 3, 3),
    }
    result, report = convert(source, target)
    assert set(result) == {STEM, f"{BACKBONE}res2.0.conv1.weight"}
    assert len(report.initial) == len(target.weights) - 2
