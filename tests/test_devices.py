"""Tensors of the GPU and of the CPU do not mix, on any public path; here the GPU is pretended.

The same tests run on a real one where there is one (mark ``gpu``).
"""

import contextlib

from simplevtr import setup_cfg
from simplevtr.engine.optimizer import build_optimizer
from simplevtr.engine.trainer import ClipTrainer, build_step_trainer
from simplevtr.inference import VideoPredictor

import numpy as np
import pytest
import torch
from conftest import CLIPS_CONFIG, NARROW_R50, ROOT, build, make_clip, metrics, words_of
from detectron2.utils.events import EventStorage
from pretend_cuda import PretendTensor, pretend_cuda

# One of each kind of model; of other datasets they differ in the number of classes.
FULL = sorted(path.name for path in (ROOT / "configs/youtubevis_2021").glob("*_R50.yaml"))
WINDOW, FRAMES = 2, 4  # three windows, one frame apart
OPTS = ["MODEL.DEVICE", "cuda:0", "TEST.LINK.BIRTH_SCORE", 0.0]


@pytest.fixture(params=["pretended", pytest.param("real", marks=pytest.mark.gpu)])
def gpu(request):
    with pretend_cuda() if request.param == "pretended" else contextlib.nullcontext():
        yield


def narrow(config):
    """A full config of few channels; the layers and what they are is as it stands."""
    cfg = setup_cfg(str(ROOT / "configs/youtubevis_2021" / config), [*words_of(NARROW_R50), *OPTS])
    cfg.TEST.WINDOW = WINDOW
    if cfg.MODEL.SIMPLEVTR.QUERY_FRAMES:
        cfg.MODEL.SIMPLEVTR.QUERY_FRAMES = WINDOW
    return cfg


@pytest.mark.parametrize("config", FULL)
def test_a_training_step(gpu, config):
    cfg = narrow(config)
    model = build(cfg).train()
    assert {tensor.device.type for tensor in model.state_dict().values()} == {"cuda"}
    clips = [
        make_clip(frames=WINDOW),
        make_clip(frames=WINDOW, labels=(5,), absent=[(1, 0)], size=(32, 40)),
    ]
    with EventStorage() as storage:
        build_step_trainer(cfg, model, [clips], build_optimizer(cfg, model)).run_step()
    assert np.isfinite(storage.latest()["total_loss"][0])


@pytest.mark.parametrize(
    "losses", [{"MASK_POINTS": 16, "MAX_MASK_TRACKS": 1}, {"ABSENT_MASK": "empty"}], ids=str
)
def test_other_losses(gpu, tiny_cfg, losses):
    for key, value in losses.items():
        tiny_cfg.MODEL.SIMPLEVTR.LOSS[key] = value
    parts = ["backbone", "encoder", "mask_head"]
    opts = ["MODEL.SIMPLEVTR.RECOMPUTE", parts, "MODEL.RESNETS.NORM", "FrozenBN"]
    tiny_cfg.merge_from_list([*opts, "MODEL.DEVICE", "cuda:0", "MODEL.SIMPLEVTR.NUM_QUERIES", 2])
    clips = [make_clip(labels=(0, 2, 1)), make_clip(frames=2, labels=())]
    found = build(tiny_cfg).train()(clips)
    sum(found.values()).backward()
    assert {loss.device.type for loss in found.values()} == {"cuda"}


@pytest.mark.parametrize("config", FULL)
def test_three_windows(gpu, config):
    result = build(narrow(config))([make_clip(frames=FRAMES)])
    assert result["pred_masks"][0].shape == (FRAMES, 32, 48)


def test_a_whole_clip_and_a_stream(gpu, tiny_cfg):
    tiny_cfg.merge_from_list(["MODEL.DEVICE", "cuda:0", "TEST.WINDOW", WINDOW])
    model = build(tiny_cfg)
    assert model([make_clip(frames=WINDOW)])["pred_masks"]
    stream = list(model.stream(make_clip(frames=FRAMES)["image"], (64, 96)))
    assert [tracks.index for tracks in stream] == list(range(FRAMES))
    assert any(tracks.track_ids for tracks in stream)


def test_other_inference(gpu, tiny_cfg):
    opts = ["MODEL.DEVICE", "cuda:0", "TEST.WINDOW", WINDOW, "TEST.TRACKS_PER_VIDEO", 3]
    tiny_cfg.merge_from_list([*opts, "TEST.DUPLICATE_IOU", 0.5, "TEST.MASK_SCORING", True])
    assert build(tiny_cfg)([make_clip(frames=FRAMES)])["pred_scores"]
    tiny_cfg.MODEL.MASK_ON = False
    build(tiny_cfg)([make_clip(frames=FRAMES)])


def test_the_predictor_of_the_demo(gpu, tiny_cfg, tmp_path):
    torch.save({"model": build(tiny_cfg).state_dict()}, tmp_path / "model.pth")
    opts = ["MODEL.DEVICE", "cuda:0", "MODEL.WEIGHTS", str(tmp_path / "model.pth")]
    tiny_cfg.merge_from_list([*opts, "TEST.WINDOW", WINDOW, "INPUT.MIN_SIZE_TEST", 32])
    predictor = VideoPredictor(tiny_cfg)
    frames = np.random.default_rng(0).integers(256, size=(FRAMES, 48, 64, 3), dtype=np.uint8)
    assert len(list(predictor.stream(frames))) == len(frames)
    assert predictor.predict(frames)["image_size"] == (48, 64)


def test_a_run(gpu, tiny_opts, tmp_path):
    """Training with every hook, a checkpoint, an evaluation, and on from there."""
    opts = ["MODEL.DEVICE", "cuda:0", "SOLVER.EMA_DECAY", 0.5, "VIS_PERIOD", 2, "TEST.WINDOW", 16]
    opts += ["SOLVER.AMP.ENABLED", True, "SOLVER.AMP.DTYPE", "float16", "TEST.AMP", True]
    opts += ["TEST.OVERWRITE", True, "DATALOADER.NUM_WORKERS", 0]
    for iterations, test_sets in ((2, "()"), (3, "('tiny_val',)")):
        more = ["SOLVER.MAX_ITER", iterations, "DATASETS.TEST", test_sets]
        trainer = ClipTrainer(setup_cfg(CLIPS_CONFIG, [*tiny_opts, *opts, *more]))
        trainer.resume_or_load(resume=True)
        trainer.train()
    rows = metrics(tmp_path / "run")
    assert [row["iteration"] for row in rows if "total_loss" in row][-1] == 2
    assert "segm/AP" in rows[-1]


def test_what_cuda_refuses():
    with pretend_cuda():
        one, other = torch.ones(3, 4, device="cuda:0"), torch.ones(3, 4)
        index = torch.tensor([0, 2])
        for mixture in (
            lambda: one * other,
            lambda: other * one,
            lambda: one @ other.T,
            lambda: torch.cat([one, other]),
            lambda: torch.where(other > 0, one, 0.0),
            lambda: other.add_(one),
            lambda: torch.tensor(1.0).add_(one[0, 0]),
            lambda: torch.stack([one[0, 0], torch.tensor(1.0)]),
            lambda: other[index.to(one.device)],
            lambda: one.gather(0, index[None]),
            lambda: one.index_add_(0, index, other[:2].to(one.device)),
            lambda: one.masked_fill(other > 0, 0.0),
        ):
            with pytest.raises(RuntimeError, match="at least two devices, cuda:0 and cpu"):
                mixture()
        for on_cpu in (one.numpy, lambda: np.asarray(one)):
            with pytest.raises(TypeError, match=r"Use Tensor.cpu\(\)"):
                on_cpu()


def test_what_cuda_takes():
    with pretend_cuda():
        one, other = torch.ones(3, 4, device="cuda:0", requires_grad=True), torch.full((3, 4), 2.0)
        index = torch.tensor([0, 2])
        for tensor in (
            one * torch.tensor(2.0),
            one[index],
            torch.zeros(3, 4).to(one).copy_(other),
            other.to(one.device),
            one.new_zeros(3),
            one.new_tensor([1.0, 2.0]),
            torch.as_tensor(np.arange(3), device=one.device),
            one.masked_fill(one > 0, torch.tensor(2.0)),
            torch.nn.Linear(4, 2).to(one.device)(one),
        ):
            assert isinstance(tensor, PretendTensor)
            assert tensor.device == torch.device("cuda:0")
        (one.unbind(1)[1] * other.to(one.device)[:, 0]).sum().backward()
        assert one.grad.tolist() == [[0, 2, 0, 0]] * 3
        for tensor in (one.cpu(), one.to("cpu"), other.copy_(one), torch.zeros(3)):
            assert tensor.device.type == "cpu"
        assert one.sum().item() == 12
        assert one.detach().cpu().numpy().sum() == 12
