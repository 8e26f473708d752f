"""Memory that is computed without being taken, and the clips that it says fit."""

import argparse
from functools import partial

from benchmarks import measure
from benchmarks.measure import saved_tensor_bytes
from simplevtr import setup_cfg
from simplevtr.commands import plan_memory
from simplevtr.config_file import merge_words
from simplevtr.modeling.deform_conv import DeformConv
from simplevtr.toolbox import memory_model, planner
from simplevtr.toolbox.memory_model import (
    ALLOCATION,
    LONGER,
    LOSSES,
    SHORTER,
    UNFOLDED_MAPS,
    AllocatedBytes,
    MemoryModel,
    MemoryPlan,
)

import pytest
import torch
from conftest import ROOT, build, make_clip, table_rows
from torchvision.ops import deform_conv2d

SIZE = (64, 96)
PARTS = ["backbone", "encoder", "mask_head"]


@pytest.fixture
def shallow_cfg(tiny_cfg, monkeypatch):
    """A config with few layers, and mask losses that need little beside it."""
    tiny_cfg.MODEL.RESNETS.NORM = "FrozenBN"
    tiny_cfg.MODEL.SIMPLEVTR.ENC_LAYERS = tiny_cfg.MODEL.SIMPLEVTR.DEC_LAYERS = 1
    monkeypatch.setattr(memory_model, "LOSS_CHUNK_BYTES", 2**20)
    return tiny_cfg


def test_storages_count_while_they_live():
    counter = AllocatedBytes()
    counter.enter("one")
    with counter:
        one = torch.zeros(1000)  # 4000 bytes, allocated as 4096
        view = one[10:]
        assert counter.now == 8 * ALLOCATION
        two = torch.zeros(1)
        assert counter.now == 9 * ALLOCATION
        del one
        assert counter.now == 9 * ALLOCATION  # the view keeps it
        del view
        counter.enter("two")
        assert counter.now == ALLOCATION
        three = torch.zeros(1)
        del two, three
    assert counter.now == 0
    assert counter.peaks == {"one": 9 * ALLOCATION, "two": 2 * ALLOCATION}


def test_workspace_of_a_deformable_convolution():
    maps, pixels = 42, 8 * 8  # 21 is the largest divisor up to 32
    x, offset = torch.zeros(maps, 4, 8, 8), torch.zeros(maps, 18, 8, 8)
    weight = torch.zeros(2, 4, 3, 3)
    unfolded = []
    for exact in (True, False):
        counter = AllocatedBytes(exact=exact)
        counter.enter("head")
        with counter:
            deform_conv2d(x, offset, weight, padding=1)
        unfolded.append(counter.peaks["head, 4 channels unfolded"])
    a_map = 4 * 9 * pixels * 4  # channels, taps, pixels, bytes
    assert unfolded[0] > 21 * a_map
    assert unfolded[1] - unfolded[0] == (UNFOLDED_MAPS - 21) * a_map


def needed_and_kept(cfg):
    """What 8 and 16 frames need, and how much more a real step keeps of 16 than of 8."""
    memory, model = MemoryModel(cfg), build(cfg).train()
    for module in model.modules():  # as the memory model and a GPU
        if isinstance(module, DeformConv):
            module.backend = "torchvision"
    need, kept = [], []
    for frames in (8, 16):
        need.append(memory.training(frames=frames, size=SIZE, instances=2))
        clip = make_clip(frames=frames, size=SIZE)
        kept.append(saved_tensor_bytes(lambda clip=clip: model([clip]), model.parameters()))
    return need, kept[1] - kept[0]


def test_what_training_keeps_is_what_a_real_step_keeps(tiny_cfg):
    tiny_cfg.MODEL.SIMPLEVTR.LOSS.DENSE_WEIGHT = 0.0
    need, kept = needed_and_kept(tiny_cfg)
    grown = [need[1][part] - need[0][part] for part in (LOSSES, max(need[1], key=need[1].get))]
    # The forward pass ends with what is kept, the frames and the targets. The most that is needed
    # is more by what one layer takes.
    assert 0.9 < grown[0] / kept < 1.1
    assert grown[0] <= grown[1] < 1.4 * kept


def test_an_average_takes_the_memory_of_the_weights(shallow_cfg):
    peaks = []
    for decay in (0.0, 0.9):
        shallow_cfg.SOLVER.EMA_DECAY = decay
        peaks.append(MemoryModel(shallow_cfg).training(frames=1, size=(32, 32), instances=1))
    network = build(shallow_cfg).network
    sizes = [tensor.nbytes for tensor in (*network.parameters(), *network.buffers())]
    more = {peaks[1][part] - need for part, need in peaks[0].items()}
    assert more == {sum(-(-size // ALLOCATION) * ALLOCATION for size in sizes)}


def test_dropout_keeps_a_byte_a_value(shallow_cfg):
    kept = []
    for rate in (0.0, 0.1):
        shallow_cfg.MODEL.SIMPLEVTR.DROPOUT = rate
        memory = MemoryModel(shallow_cfg)
        kept.append(memory.training(frames=26, size=SIZE, instances=3)[LOSSES])
    cells = 26 * 8 * 12  # at stride 8; the decoder's few queries hardly count
    node = shallow_cfg.MODEL.SIMPLEVTR
    # A mask for the hidden layer and for both residual connections, and the hidden layer itself
    # once more.
    more = node.ENC_LAYERS * cells * (5 * node.DIM_FEEDFORWARD + 2 * node.HIDDEN_DIM)
    assert kept[1] - kept[0] == pytest.approx(more, rel=0.03)


def test_recomputing_and_inference_need_less(shallow_cfg):
    plain = MemoryModel(shallow_cfg)
    shallow_cfg.MODEL.SIMPLEVTR.RECOMPUTE = PARTS
    recomputed = MemoryModel(shallow_cfg)
    clip = {"frames": 26, "size": SIZE}
    need = max(plain.training(**clip, instances=3).values())
    assert max(recomputed.training(**clip, instances=3).values()) < 0.7 * need
    assert max(plain.training(**clip, instances=3, clips=2).values()) > 1.5 * need
    assert max(plain.inference(**clip, instances=3).values()) < 0.5 * need


@pytest.mark.parametrize(("key", "value"), [("META_ARCHITECTURE", "MY_OWN"), ("MASK_ON", False)])
def test_models_of_unknown_memory(shallow_cfg, key, value):
    shallow_cfg.MODEL[key] = value
    with pytest.raises(ValueError, match=f"MODEL.META_ARCHITECTURE.*{value}"):
        MemoryModel(shallow_cfg)


@pytest.fixture
def pixel_cfg():
    cfg = setup_cfg(str(ROOT / "configs/embedded/pixel_frames.yaml"))
    node = cfg.MODEL.SIMPLEVTR
    cfg.MODEL.RESNETS.NORM, node.PIXEL.NORM = "FrozenBN", "GN"
    node.HIDDEN_DIM, node.NUM_HEADS, node.DIM_FEEDFORWARD, node.DEC_LAYERS = 24, 2, 32, 2
    node.PIXEL.WIDTHS, node.PIXEL.DEFORM = [32, 32, 32, 32], ["res4"]
    return cfg


def test_backbones_that_look_at_numbers_where_they_are_built(pixel_cfg):
    vit = ["MODEL.BACKBONE.NAME", "build_timm_backbone", "MODEL.TIMM.NAME", "vit_tiny_patch16_224"]
    vit += ["MODEL.TIMM.OPTIONS.depth", 3, "MODEL.TIMM.OPTIONS.dynamic_img_size", True]
    merge_words(pixel_cfg, [*map(str, vit)])
    memory = MemoryModel(pixel_cfg)
    weights = sum(weight.nbytes for weight in build(pixel_cfg).parameters())
    clip = {"frames": 1, "size": (32, 48), "instances": 1}
    assert min(memory.training(**clip).values()) > 3 * weights
    assert max(memory.inference(**clip).values()) < 2 * weights


@pytest.mark.parametrize("points", [0, 500])
def test_what_the_pixel_head_keeps_is_what_a_real_step_keeps(pixel_cfg, points):
    pixel_cfg.MODEL.SIMPLEVTR.LOSS.MASK_POINTS = points
    need, kept = needed_and_kept(pixel_cfg)
    # What the losses need in addition is small next to what is kept.
    assert 0.95 < (max(need[1].values()) - max(need[0].values())) / kept < 1.4


@pytest.mark.parametrize(
    ("head", "recompute", "instances"),
    [
        ("shallow", [], 3),
        ("shallow", PARTS, 3),
        ("shallow", PARTS, 1),
        ("pixel", [], 3),
        ("pixel", ["backbone", "pixel_decoder"], 1),
    ],
)
def test_long_clips_need_what_is_planned(request, head, recompute, instances):
    cfg = request.getfixturevalue(f"{head}_cfg")
    cfg.MODEL.SIMPLEVTR.RECOMPUTE = recompute
    peaks = partial(MemoryModel(cfg).training, size=SIZE)
    needed = planned(peaks, instances)
    if recompute and head == "pixel":
        cfg.MODEL.SIMPLEVTR.RECOMPUTE = []
        plain = MemoryModel(cfg).training(frames=26, size=SIZE, instances=instances)
        assert needed < 0.9 * max(plain.values())


@pytest.mark.parametrize("head", ["shallow", "pixel"])
def test_inference_needs_what_is_planned(request, head):
    memory = MemoryModel(request.getfixturevalue(f"{head}_cfg"))
    needed = planned(partial(memory.inference, size=SIZE), 3)
    assert needed < 0.7 * max(memory.training(frames=26, size=SIZE, instances=3).values())


def planned(peaks, instances):
    """What 26 frames need, which a plan finds to be what fits just there."""
    needed = max(peaks(frames=26, instances=instances).values())
    plan = MemoryPlan(peaks)
    assert plan.most_frames(1.01 * needed, instances, at_most=100) == 26
    assert plan.most_frames(0.99 * needed, instances, at_most=100) == 25
    return needed


def lines(frames, instances):
    """Two parts; below ``SHORTER`` frames the first needs more."""
    extra = 30 if frames < SHORTER else 0
    return {"a": 500 + extra + 20 * frames, "b": 100 + 10 * frames + 5 * frames * instances}


@pytest.mark.parametrize("instances", [1, 2, 5, 10])
def test_most_frames(instances):
    for budget in (0, 549, 550, 575, 689, 690, 2000, 2001, 10**6):
        fits = [t for t in range(1, 65) if max(lines(t, instances).values()) <= budget]
        found = MemoryPlan(lines).most_frames(budget, instances, at_most=64)
        assert found == max(fits, default=0)


def test_little_is_measured():
    calls = []

    def peaks(frames, instances):
        calls.append(frames)
        return lines(frames, instances)

    plan = MemoryPlan(peaks)
    for instances in (2, 3, 10):
        plan.most_frames(3000, instances, at_most=64)
    assert sorted(calls) == [SHORTER, SHORTER, LONGER]


@pytest.mark.parametrize(
    ("config", "opts", "parts"),
    [
        ("clips", ["MODEL.SIMPLEVTR.ENC_LAYERS", 1, "MODEL.SIMPLEVTR.DEC_LAYERS", 1], PARTS),
        ("pixel_clips", ["MODEL.SIMPLEVTR.PIXEL.NORM", ""], ["backbone", "pixel_decoder"]),
    ],
)
def test_command(monkeypatch, call, config, opts, parts):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    words = ["--instances", 2, 4, "--short-sides", 96, "--longest", 2000, "--gpu", 1.4]
    words += ["--config-file", ROOT / f"configs/embedded/{config}.yaml"]
    words += ["MODEL.RESNETS.NORM", "FrozenBN", "SOLVER.IMS_PER_BATCH", 1, *opts]
    status, shown, _ = call(plan_memory, *words)
    assert status == 0
    clips = "1 clip a step on the GPU"
    for part in (f'RECOMPUTE "{parts}"', "losses", "not verified", clips):
        assert part in shown
    rows = [row for row in table_rows(shown) if row[0] == "96"]
    assert [row[1] for row in rows] == ["2", "4"]
    frames, recomputed, inference = (int(cell) for cell in rows[0][2:5])
    assert 0 < frames < recomputed <= inference < 2000
    keys = "INPUT.MIN_SIZE_TRAIN '(96,)' INPUT.MAX_SIZE_TRAIN 171"
    test = "INPUT.MIN_SIZE_TEST 96 INPUT.MAX_SIZE_TEST 171"
    assert f"FRAME_NUM {frames} {keys} TEST.WINDOW {inference} {test}\n" in shown
    assert int(rows[1][2]) < frames


@pytest.mark.parametrize(
    ("config", "opts", "parts"),
    [
        ("embedded/pixel_clips", [], []),
        ("embedded/pixel_clips", ["MODEL.SIMPLEVTR.PIXEL.NORM", "GN"], ["pixel_decoder"]),
        ("davis/clips", [], ["backbone"]),  # its are frozen
    ],
)
def test_what_has_batch_norms_is_not_recomputed(call, config, opts, parts):
    words = ["--instances", 1, "--short-sides", 96, "--longest", 2, "--gpu", 1.4]
    words += ["--config-file", ROOT / f"configs/{config}.yaml"]
    words += ["SOLVER.IMS_PER_BATCH", 1, "DATASETS.TRAIN", "()", "DATASETS.TEST", "()", *opts]
    status, shown, _ = call(plan_memory, *words)
    assert status == 0
    assert ("recomputed" in shown) == bool(parts)
    assert (f'RECOMPUTE "{parts}"' in shown) == bool(parts)


def test_plus_sign_where_more_may_fit():
    answer = planner.Answer((96, 171), 2, {"": 0, ", recomputed": 7}, 64)
    row = planner.table([answer], 64).splitlines()[-1]
    assert table_rows(row)[0][2:] == ["-", "7", "64+"]
    assert answer.ways == [", recomputed"]


@pytest.mark.parametrize(("measured", "fine"), [(100, True), (91, True), (90, False), (112, False)])
def test_verification(monkeypatch, capsys, measured, fine):
    def figures(function, words):
        frames = words[words.index("--frames") + 1]
        assert (frames == "7") == ("MODEL.SIMPLEVTR.RECOMPUTE" in words)
        return {"expected_bytes": 100, "peak_bytes": measured if frames == "7" else 100}

    answer = planner.Answer((96, 171), 2, {"": 5, ", recomputed": 7}, 64)
    ways = {"": [], ", recomputed": ["MODEL.SIMPLEVTR.RECOMPUTE", "['backbone']"]}
    args = argparse.Namespace(config_file="a.yaml", opts=[])
    monkeypatch.setattr(measure, "in_fresh_process", figures)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "some GPU")
    assert plan_memory.verify(argparse.Namespace(ways=ways), answer, args) is fine
    assert f"({100 * (100 / measured - 1):+.1f} %)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--gpu", "1"], "--gpu 1.0 must be more than --reserve 1.0"),
        (["--gpu", "8", "--instances", "11"], "--instances 11, but MODEL.SIMPLEVTR.NUM_QUERIES"),
        (["--gpu", "8", "MODEL.SIMPLEVTR.QUERY_FRAMES", "4"], "QUERY_FRAMES fixes the number"),
        (["--gpu", "8", "SOLVER.IMS_PER_BATCH", "0"], "IMS_PER_BATCH is 0; it must be at least 1"),
        (["--gpu", "8", "--config-file", "none.yaml"], "none.yaml does not exist"),
        (["--gpu", "8", "--longest", "0"], "--longest: 0 was given; it must be at least 1"),
    ],
)
def test_command_says_what_is_wrong(capsys, words, message):
    try:
        status = plan_memory.main(words)
    except SystemExit as stop:  # argparse's
        status = stop.code
    assert status == 2
    assert message in capsys.readouterr().err
