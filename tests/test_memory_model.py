"""Memory that is computed without being taken."""

import runpy
import sys

from benchmarks.measure import saved_tensor_bytes
from simplevtr.engine.memory_model import ALLOCATION, AllocatedBytes, MemoryModel, most_frames
from simplevtr.modeling.mask_losses import TENSORS_A_CHUNK

import pytest
import torch
from conftest import CLIPS_CONFIG, ROOT, build, make_clip

SIZE = (64, 96)


def test_storages_count_while_they_live():
    counter = AllocatedBytes()
    with counter:
        one = torch.zeros(1000)  # 4000 bytes, allocated as 4096
        view = one[10:]
        assert counter.now == 8 * ALLOCATION
        two = torch.zeros(1)
        assert counter.now == 9 * ALLOCATION
        del one
        assert counter.now == 9 * ALLOCATION  # the view keeps it
        del view
        assert counter.now == ALLOCATION
        del two
    assert (counter.now, counter.peak) == (0, 9 * ALLOCATION)


def test_what_training_keeps_is_what_a_real_step_keeps(tiny_cfg):
    tiny_cfg.MODEL.SIMPLEVTR.LOSS.DENSE_WEIGHT = 0.0
    memory = MemoryModel(tiny_cfg)
    model = build(tiny_cfg).train()
    for module in model.modules():  # as the memory model and a GPU
        if hasattr(module, "kernel"):
            module.kernel = "torchvision"
    need, kept = [], []
    for frames in (8, 16):
        loss_chunk = TENSORS_A_CHUNK * 4 * 2 * frames * SIZE[0] * SIZE[1]
        need.append(memory.training(frames=frames, size=SIZE, instances=2) - loss_chunk)
        clip = make_clip(frames=frames, size=SIZE)
        kept.append(saved_tensor_bytes(lambda clip=clip: model([clip]), model.parameters()))
    # Beside what is kept there is what one layer's gradient takes.
    assert 0.9 < (need[1] - need[0]) / (kept[1] - kept[0]) < 1.4


def test_recomputing_and_inference_need_less(tiny_cfg):
    tiny_cfg.MODEL.RESNETS.NORM = "FrozenBN"
    plain = MemoryModel(tiny_cfg)
    tiny_cfg.MODEL.SIMPLEVTR.RECOMPUTE = ["backbone", "encoder", "mask_head"]
    recomputed = MemoryModel(tiny_cfg)
    clip = {"frames": 64, "size": SIZE, "instances": 4}
    assert recomputed.training(**clip) < 0.7 * plain.training(**clip)
    assert plain.training(**clip, clips=2) > 1.5 * plain.training(**clip)
    inference = plain.inference(frames=64, size=SIZE, slots=4)
    assert inference < 0.5 * plain.training(**clip)


@pytest.mark.parametrize(
    ("budget", "expected"), [(0, 0), (149, 0), (150, 1), (1050, 10), (1099, 10), (10**6, 64)]
)
def test_most_frames(budget, expected):
    assert most_frames(lambda t: 50 + 100 * t, budget, at_most=64) == expected


def test_most_frames_where_memory_is_not_linear():
    assert most_frames(lambda t: t * t, 1000) == 31


def plan(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["plan_memory.py", *words])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / "tools/plan_memory.py"), run_name="__main__")
    return end.value.code


def test_command(monkeypatch, capsys):
    small = ["MODEL.RESNETS.NORM", "FrozenBN", "MODEL.SIMPLEVTR.MASK_HEAD.WIDTHS", "[8,8,8,8]"]
    words = ["--instances", "2", "--short-sides", "96"]
    words += ["--gpu", "0.2", "--reserve", "0.1", "--config-file", CLIPS_CONFIG]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert plan(monkeypatch, *words, *small) == 0
    shown = capsys.readouterr().out
    assert "INPUT.SAMPLING_FRAME_NUM" in shown
    assert "not verified" in shown
    row = next(line for line in shown.splitlines() if line.startswith("|           96"))
    frames, recomputed, inference = (int(cell) for cell in row.split("|")[3:6])
    assert 0 < frames < recomputed < inference


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--gpu", "1"], "--gpu must be more than --reserve"),
        (["--gpu", "8", "MODEL.SIMPLEVTR.QUERY_FRAMES", "4"], "QUERY_FRAMES fixes the number"),
        (["--gpu", "8", "--config-file", "none.yaml"], "none.yaml does not exist"),
    ],
)
def test_command_says_what_is_wrong(monkeypatch, capsys, words, message):
    assert plan(monkeypatch, *words) == 2
    assert message in capsys.readouterr().err
