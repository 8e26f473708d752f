"""Half precision, memory layout and compilation: what each key changes, and what it must not."""

import copy
import json
import logging

import train_net
from simplevtr.engine.trainer import ScaledTrainer
from simplevtr.modeling.acceleration import Acceleration, InHalfPrecision, check_compilable
from simplevtr.modeling.matcher import ClipMatcher
from simplevtr.structures import ClipTargets

import pytest
import torch
from conftest import CLIPS_CONFIG, build, make_clip
from detectron2.engine import SimpleTrainer
from torch import nn

HALF = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def clips():
    """Two clips of different lengths, so that there is padding; an instance is absent once."""
    return [make_clip(seed=0), make_clip(frames=2, seed=1, labels=(5,), absent=[(1, 0)])]


def losses_of(cfg):
    """Losses and gradients of a model with fixed weights."""
    cfg.MODEL.SIMPLEVTR.DROPOUT = 0.0
    model = build(cfg).train()
    torch.manual_seed(0)
    losses = model(clips())
    sum(losses.values()).backward()
    return losses, {name: p.grad for name, p in model.named_parameters() if p.requires_grad}


VARIANTS = {
    "frozen norms": ["MODEL.RESNETS.NORM", "FrozenBN"],
    "norms that gather": ["MODEL.RESNETS.NORM", "BN"],
    "attention counts": ["MODEL.SIMPLEVTR.MASK_HEAD.ATTENTION_SCALE", 100.0],
    "points": ["MODEL.SIMPLEVTR.LOSS.MASK_POINTS", 64],
    "subpixel": ["MODEL.SIMPLEVTR.MASK_HEAD.UPSAMPLE", "subpixel"],
    "recomputed": ["MODEL.SIMPLEVTR.RECOMPUTE", ["encoder", "mask_head"]],
    "vistr": ["MODEL.SIMPLEVTR.QUERY_FRAMES", 3, "MODEL.SIMPLEVTR.MASK_HEAD.CONV3D", True],
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_losses_in_bfloat16_are_near_those_in_float32(tiny_cfg, variant):
    tiny_cfg.merge_from_list(VARIANTS[variant])
    exact, _ = losses_of(tiny_cfg)
    tiny_cfg.merge_from_list(["SOLVER.AMP.ENABLED", True, "SOLVER.AMP.DTYPE", "bfloat16"])
    rough, gradients = losses_of(tiny_cfg)
    assert {value.dtype for value in rough.values()} == {torch.float32}
    # bfloat16 rounds by up to 1/256; points are drawn where the rounded mask is least certain.
    tolerance = 0.03 if variant == "points" else 0.01
    for name, value in exact.items():
        assert rough[name].item() == pytest.approx(value.item(), rel=tolerance), name
    assert any(rough[name] != value for name, value in exact.items())  # it was in bfloat16
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
    assert {gradient.dtype for gradient in gradients.values()} == {torch.float32}


def test_losses_in_float16_are_near_those_in_float32(tiny_cfg):
    """A GPU's trainer surrounds the model with autocast; here a CPU computes the same."""
    tiny_cfg.MODEL.SIMPLEVTR.DROPOUT = 0.0
    tiny_cfg.MODEL.SIMPLEVTR.MASK_HEAD.ATTENTION_SCALE = 100.0
    exact, _ = losses_of(tiny_cfg)
    model = build(tiny_cfg).train()
    with torch.autocast("cpu", torch.float16):
        rough = model(clips())
    sum(rough.values()).backward()
    assert {value.dtype for value in rough.values()} == {torch.float32}
    for name, value in exact.items():
        assert rough[name].item() == pytest.approx(value.item(), rel=2e-3), name
    for name, parameter in model.named_parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("dtype", HALF)
def test_what_rounding_would_spoil_stays_in_float32(tiny_model, dtype):
    network = InHalfPrecision(tiny_model.network, HALF[dtype])
    state = network.encode(torch.randn(1, 3, 3, 32, 48), None)
    assert {feature.dtype for feature in state.features} == {HALF[dtype]}
    predictions = state.predictions
    tensors = [predictions.logits, predictions.boxes, *sum(predictions.auxiliary, ())]
    assert {tensor.dtype for tensor in tensors} == {torch.float32}
    # The box head itself runs in float32, not only its result.
    slots = state.slots.detach().float()
    with torch.autocast("cpu", enabled=False):
        boxes = tiny_model.network.box_head(slots)
    torch.testing.assert_close(predictions.boxes[:, :1], boxes, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", HALF.values())
def test_matching_under_autocast_is_that_in_float32(dtype):
    """Costs that differ by less than half precision can tell decide the assignment."""
    matcher = ClipMatcher(cost_class=1.0, cost_l1=5.0, cost_iou=2.0)
    logits = torch.zeros(1, 2, 2, 3)
    box = torch.tensor([0.5, 0.5, 0.3, 0.3])
    boxes = torch.stack([box + torch.tensor([1e-5, 0, 0, 0]), box]).expand(1, 2, 2, 4)
    targets = ClipTargets(
        labels=torch.tensor([1]),
        boxes=box.expand(1, 2, 4),
        masks=torch.ones(1, 2, 4, 4, dtype=torch.bool),
        visible=torch.ones(1, 2, dtype=torch.bool),
    )
    for rows in (boxes, boxes.flip(2)):
        expected = matcher(logits, rows, targets)[0][0].tolist()
        with torch.autocast("cpu", dtype):
            assert matcher(logits, rows, targets)[0][0].tolist() == expected
    assert expected == [0]


def tracks_of(cfg):
    return build(cfg)([make_clip() | {"height": 70, "width": 101}])


def test_inference_in_bfloat16(tiny_cfg):
    tiny_cfg.SOLVER.AMP.DTYPE = "bfloat16"
    exact = tracks_of(tiny_cfg)
    tiny_cfg.SOLVER.AMP.ENABLED = True  # which is about training alone
    same = tracks_of(tiny_cfg)
    assert same["pred_scores"] == exact["pred_scores"]
    tiny_cfg.TEST.AMP = True
    rough = tracks_of(tiny_cfg)
    assert rough["pred_scores"] != exact["pred_scores"]
    assert rough["pred_scores"] == pytest.approx(exact["pred_scores"], rel=0.02)
    by_slot = [dict(zip(r["pred_ids"], r["pred_masks"], strict=True)) for r in (exact, rough)]
    for slot, mask in by_slot[0].items():
        one, other = (torch.as_tensor(m[:]) for m in (mask, by_slot[1][slot]))
        assert (one != other).float().mean() < 0.05


def test_a_stream_is_in_half_precision_too(tiny_cfg):
    tiny_cfg.SOLVER.AMP.DTYPE = "bfloat16"
    tiny_cfg.TEST.AMP = True
    model = build(tiny_cfg)
    found = []
    model.network.mask_head.register_forward_hook(lambda m, args, out: found.append(args[1]))
    frames = list(model.stream(make_clip()["image"], (32, 48)))
    assert len(frames) == 3
    assert {feature.dtype for features in found for feature in features} == {torch.bfloat16}
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["SOLVER.AMP.DTYPE", "half"], "AMP.DTYPE is 'half'; allowed are float16, bfloat16"),
        (["MODEL.COMPILE", ["decoder"]], "MODEL.COMPILE has 'decoder'; allowed are backbone"),
    ],
)
def test_unknown_values_are_named(tiny_cfg, options, message):
    tiny_cfg.merge_from_list(options)
    with pytest.raises(ValueError, match=message):
        build(tiny_cfg)


def test_float16_on_a_cpu_is_refused(tiny_cfg, tiny_opts):
    tiny_cfg.TEST.AMP = True
    with pytest.raises(ValueError, match=r"TEST.AMP needs a GPU where SOLVER.AMP.DTYPE is 'float1"):
        build(tiny_cfg)([make_clip()])
    tiny_cfg.SOLVER.AMP.ENABLED = True
    with pytest.raises(ValueError, match=r"SOLVER.AMP.ENABLED needs a GPU.*CPU takes 'bfloat16'"):
        build(tiny_cfg).train()(clips())
    arguments = ["--config-file", CLIPS_CONFIG, *tiny_opts, "TEST.AMP", "True"]
    with pytest.raises(ValueError, match="TEST.AMP needs a GPU"):  # before a training has begun
        train_net.main(train_net.argument_parser().parse_args(arguments))


def test_training_and_evaluation_in_bfloat16_continue_a_run(tiny_opts, tmp_path):
    opts = [*tiny_opts, "DATASETS.TEST", "()", "SOLVER.AMP.DTYPE", "bfloat16"]
    amp = ["SOLVER.AMP.ENABLED", "True", "TEST.AMP", "True", "DATASETS.TEST", "('tiny_val',)"]
    for steps, more in ((1, []), (2, amp)):
        arguments = ["--resume", "--config-file", CLIPS_CONFIG, *opts, *more]
        arguments += ["SOLVER.MAX_ITER", str(steps)]
        train_net.main(train_net.argument_parser().parse_args(arguments))
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.json").read_text().splitlines()]
    assert [row["iteration"] for row in rows if "total_loss" in row] == [0, 1]
    assert any("segm/AP" in row for row in rows)


def test_a_loss_scale_is_kept_and_may_be_missing(caplog):
    def trainer(iteration, kind=ScaledTrainer, **options):
        model = nn.Linear(1, 1)
        trainer = kind(model, [], torch.optim.SGD(model.parameters(), lr=0.1), **options)
        trainer.iter = iteration
        return trainer

    scaled = trainer(3, grad_scaler=torch.amp.GradScaler("cpu", init_scale=1024.0))
    again = trainer(0, grad_scaler=torch.amp.GradScaler("cpu"))
    again.load_state_dict(scaled.state_dict())
    assert again.grad_scaler.get_scale() == 1024.0

    # A run that starts in float32 or bfloat16 has no loss scale.
    plain = trainer(7, SimpleTrainer)
    with caplog.at_level(logging.WARNING):
        again.load_state_dict(plain.state_dict())
    assert "loss scale starts anew" in caplog.text
    assert (again.iter, again.grad_scaler.get_scale()) == (7, 1024.0)
    plain.load_state_dict(again.state_dict())


def test_channels_last_changes_the_layout_alone(tiny_cfg):
    tiny_cfg.MODEL.RESNETS.NORM = "FrozenBN"
    expected, expected_gradients = losses_of(tiny_cfg)
    tiny_cfg.MODEL.CHANNELS_LAST = True
    losses, gradients = losses_of(tiny_cfg)
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value, rtol=1e-4, atol=1e-5, msg=name)
    for name, value in expected_gradients.items():
        assert (gradients[name] - value).abs().max() <= 1e-3 * value.abs().max() + 1e-6, name
    model = build(tiny_cfg)
    weights = [*model.network.backbone.parameters(), *model.network.mask_head.parameters()]
    large = [w for w in weights if w.dim() == 4 and min(w.shape[1:]) > 1]
    assert large
    assert all(w.is_contiguous(memory_format=torch.channels_last) for w in large)
    features = model.network.backbone(torch.randn(2, 3, 32, 48))
    assert features["res5"].is_contiguous(memory_format=torch.channels_last)


def test_compiling_keeps_names_and_results_for_any_size(tiny_cfg):
    """The graph is captured as for real; no compiler is needed to run it as it is."""
    tiny_cfg.MODEL.RESNETS.NORM = "FrozenBN"
    tiny_cfg.MODEL.SIMPLEVTR.DROPOUT = 0.0
    model = build(tiny_cfg).train()
    compiled = copy.deepcopy(model)
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    Acceleration(compiled=("backbone",)).prepare(compiled.network, backend=backend)
    assert list(compiled.state_dict()) == list(model.state_dict())
    for size, frames in (((32, 48), 3), ((40, 56), 2)):
        clip = make_clip(frames=frames, size=size)
        losses, expected = (m([copy.deepcopy(clip)]) for m in (compiled, model))
        for name, value in expected.items():
            torch.testing.assert_close(losses[name], value, rtol=1e-4, atol=1e-5, msg=name)
        sum(losses.values()).backward()
    # Whole, and once for each kind of sizes at most.
    assert 1 <= len(graphs) <= 2
    copy.deepcopy(compiled)([make_clip()])  # as the weight average does


def test_compiling_without_a_compiler_is_refused(tiny_cfg, monkeypatch, tmp_path):
    module = "simplevtr.modeling.acceleration"
    tiny_cfg.MODEL.COMPILE = ["backbone"]
    monkeypatch.setattr(f"{module}.shutil.which", lambda name: None)
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ValueError, match=r"MODEL.COMPILE is \['backbone'\], but .* a compiler \("):
        build(tiny_cfg)
    monkeypatch.setattr(f"{module}.shutil.which", lambda name: name)
    monkeypatch.setattr(f"{module}.sysconfig.get_path", lambda name: str(tmp_path))
    with pytest.raises(ValueError, match="but torch.compile would not find Python's header files"):
        build(tiny_cfg)
    (tmp_path / "Python.h").touch()
    build(tiny_cfg)  # nothing is compiled before it is called
    monkeypatch.setattr(f"{module}.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="the package triton"):
        check_compilable(["backbone"], torch.device("cuda"))
    check_compilable([], torch.device("cuda"))
