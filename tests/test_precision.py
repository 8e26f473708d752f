"""Half precision: what it changes, and what it must not."""

import logging

from simplevtr import setup_cfg
from simplevtr.engine.optimizer import build_optimizer
from simplevtr.engine.trainer import ScaledTrainer, build_step_trainer
from simplevtr.modeling import precision
from simplevtr.modeling.precision import HALF, Precision
from simplevtr.structures import ClipBatch

import pytest
import torch
from conftest import build, make_clip, metrics, run_train_net
from detectron2.engine import SimpleTrainer
from detectron2.utils.events import EventStorage
from pretend_cuda import pretend_cuda
from torch import nn


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


@pytest.mark.parametrize(
    ("variant", "dtype"),
    [*((variant, "bfloat16") for variant in VARIANTS), ("attention counts", "float16")],
)
def test_losses_in_half_precision_are_near_those_in_float32(tiny_cfg, monkeypatch, variant, dtype):
    monkeypatch.setattr(precision, "_check", lambda *_: None)  # a CPU may compute float16 here
    tiny_cfg.merge_from_list(VARIANTS[variant])
    exact, _ = losses_of(tiny_cfg)
    tiny_cfg.merge_from_list(["SOLVER.AMP.ENABLED", True, "SOLVER.AMP.DTYPE", dtype])
    rough, gradients = losses_of(tiny_cfg)
    assert {value.dtype for value in rough.values()} == {torch.float32}
    # bfloat16 rounds by up to 1/256; points are drawn where the rounded mask is least certain.
    tolerance = 2e-3 if dtype == "float16" else 0.03 if variant == "points" else 0.01
    for name, value in exact.items():
        assert rough[name].item() == pytest.approx(value.item(), rel=tolerance), name
    assert any(rough[name] != value for name, value in exact.items())  # it was in half precision
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
    assert {gradient.dtype for gradient in gradients.values()} == {torch.float32}


@pytest.mark.parametrize("dtype", HALF)
def test_what_rounding_would_spoil_stays_in_float32(tiny_model, monkeypatch, dtype):
    monkeypatch.setattr(precision, "_check", lambda *_: None)
    half = Precision(inference=HALF[dtype])
    network = half.applied(tiny_model.network, tiny_model.device, training=False)
    state = network.encode(ClipBatch(torch.randn(1, 3, 3, 32, 48)))
    assert {feature.dtype for feature in state.features} == {HALF[dtype]}
    predictions = state.predictions
    tensors = [predictions.logits, predictions.boxes, *sum(predictions.auxiliary, ())]
    assert {tensor.dtype for tensor in tensors} == {torch.float32}
    # The box head itself runs in float32, not only its result.
    slots = state.slots.detach().float()
    with torch.autocast("cpu", enabled=False):
        boxes = tiny_model.network.box_head(slots)
    torch.testing.assert_close(predictions.boxes[:, :1], boxes, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", HALF)
def test_the_trainer_computes_the_network_alone_in_half_precision(tiny_cfg, dtype):
    """detectron2's trainer for float16 has an autocast around the model, bfloat16's has none."""
    tiny_cfg.MODEL.DEVICE = "cuda:0"
    tiny_cfg.MODEL.SIMPLEVTR.LOSS.DENSE_WEIGHT = 1.0
    tiny_cfg.merge_from_list(["SOLVER.AMP.ENABLED", True, "SOLVER.AMP.DTYPE", dtype])
    found = {}

    def remember(name):
        def hook(module, args):
            found[name] = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

        return hook

    with pretend_cuda(), EventStorage() as storage:
        model = build(tiny_cfg).train()
        for name in ("criterion", "network.backbone"):
            model.get_submodule(name).register_forward_pre_hook(remember(name))
        before = model.network.class_head.weight.tolist()
        optimizer = build_optimizer(tiny_cfg, model)
        trainer = build_step_trainer(tiny_cfg, model, [clips()], optimizer)
        if dtype == "float16":  # a first step of the usual scale overflows and is passed over
            trainer.grad_scaler = torch.amp.GradScaler("cuda", init_scale=256.0)
        trainer.run_step()
        assert model.network.class_head.weight.tolist() != before
    assert isinstance(trainer, ScaledTrainer) == (dtype == "float16")
    assert found.pop("network.backbone") == (True, HALF[dtype])
    assert not found["criterion"][0]
    assert storage.latest()["total_loss"][0] > 0


@pytest.mark.parametrize("dtype", HALF.values())
def test_an_autocast_around_the_model_changes_nothing(tiny_cfg, dtype):
    tiny_cfg.MODEL.SIMPLEVTR.DROPOUT = 0.0
    for model in (build(tiny_cfg).train(), build(tiny_cfg)):
        inputs = clips() if model.training else [make_clip()]
        expected = model(inputs)
        with torch.autocast("cpu", dtype):
            found = model(inputs)
        for name in set(expected) - {"pred_masks"}:
            assert found[name] == expected[name], name
    expected = list(model.stream(make_clip()["image"], (32, 48)))
    with torch.autocast("cpu", dtype):
        frames = model.stream(make_clip()["image"], (32, 48))
        assert [next(frames), *frames] == expected
        assert torch.is_autocast_enabled("cpu")  # the caller's own, between frames


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


def test_keys_of_earlier_versions_are_passed_over(tiny_cfg, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("MODEL: {CHANNELS_LAST: False, COMPILE: [], MASK_ON: False}")
    assert not setup_cfg(str(path)).MODEL.MASK_ON


def test_float16_on_a_cpu_is_refused(tiny_cfg, tiny_opts):
    tiny_cfg.TEST.AMP = True
    with pytest.raises(ValueError, match=r"TEST.AMP needs a GPU where SOLVER.AMP.DTYPE is 'float1"):
        build(tiny_cfg)([make_clip()])
    tiny_cfg.SOLVER.AMP.ENABLED = True
    with pytest.raises(ValueError, match=r"SOLVER.AMP.ENABLED needs a GPU.*CPU takes 'bfloat16'"):
        build(tiny_cfg).train()(clips())
    with pytest.raises(ValueError, match="TEST.AMP needs a GPU"):  # before a training has begun
        run_train_net(*tiny_opts, "TEST.AMP", "True")


def test_training_and_evaluation_in_bfloat16_continue_a_run(tiny_opts, tmp_path):
    opts = [*tiny_opts, "DATASETS.TEST", "()"]
    amp = ["SOLVER.AMP.ENABLED", "True", "TEST.AMP", "True", "DATASETS.TEST", "('tiny_val',)"]
    amp += ["SOLVER.AMP.DTYPE", "bfloat16"]
    for steps, more in ((1, []), (2, amp)):
        run_train_net("--resume", *opts, *more, "SOLVER.MAX_ITER", str(steps))
    rows = metrics(tmp_path / "run")
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
