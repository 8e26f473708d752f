"""Every config file builds its model, and says what the paper says."""

import re
from pathlib import Path

from simplevtr import setup_cfg
from simplevtr.config_file import flat
from simplevtr.modeling.deform_conv import detectron2_is_compiled
from simplevtr.toolbox.ablation.plan import read_plan

import pytest
import torch
from conftest import make_clip, words_of
from detectron2.data import DatasetCatalog
from detectron2.modeling import build_model

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "configs").rglob("*.yaml")
    if path.parent.name != "ablations"
)
PLANS = sorted((ROOT / "configs/ablations").glob("*.yaml"))


def without_memory(config="", **resnets):
    """A config file's config, and its model of tensors that have no values."""
    options = words_of({f"MODEL.RESNETS.{key}": value for key, value in resnets.items()})
    cfg = setup_cfg(str(ROOT / config) if config else "", ["MODEL.DEVICE", "meta", *options])
    with torch.device("meta"):
        return cfg, build_model(cfg)


@pytest.mark.parametrize("name", CONFIGS)
def test_config_builds_its_model(name):
    cfg, model = without_memory(name)
    node = cfg.MODEL.SIMPLEVTR
    assert model.network.class_head.out_features == node.CLASS_OFFSET + node.NUM_CLASSES + 1
    assert (model.network.mask_head is not None) == cfg.MODEL.MASK_ON
    assert set(cfg.DATASETS.TRAIN + cfg.DATASETS.TEST) <= set(DatasetCatalog.list())


@pytest.mark.parametrize("name", [n for n in CONFIGS if "/simplevtr_" in n])
def test_full_size_configs_are_the_papers(name):
    cfg = setup_cfg(str(ROOT / name))
    node = cfg.MODEL.SIMPLEVTR
    assert (node.NUM_QUERIES, node.QUERY_FRAMES) == (10, 0)
    assert (node.ENC_LAYERS, node.DEC_LAYERS, node.HIDDEN_DIM) == (4, 4, 384)
    head = node.MASK_HEAD
    submitted = "submitted" in name
    assert (head.NUM_DEFORM, head.CONV3D) == (2, False)
    assert (head.CONV, head.OFFSET_KERNEL) == (("dcnv1", 1) if submitted else ("dcnv2", 3))
    assert cfg.INPUT.SAMPLING_FRAME_SHUFFLE == submitted
    assert (cfg.INPUT.SAMPLING_FRAME_NUM, cfg.TEST.WINDOW, cfg.SEED) == (16, 64, 666)
    assert (cfg.INPUT.SAMPLING_SCHEME, cfg.INPUT.SAMPLING) == ("frame", "random")
    solver = cfg.SOLVER
    assert (solver.OPTIMIZER, solver.BASE_LR, solver.WEIGHT_DECAY) == ("ADABELIEF", 1e-4, 1e-4)
    assert (solver.ADABELIEF.DECOUPLE, solver.ADABELIEF.RECTIFY) == (True, True)
    assert (solver.STEP_EPOCHS, solver.GAMMA, solver.BACKBONE_MULTIPLIER) == ((5,), 0.1, 0.1)
    depth = {"R50": 50, "R101": 101}[Path(name).stem.split("_")[-1]]
    assert cfg.MODEL.RESNETS.DEPTH == depth
    assert f"R-{depth}.pkl" in cfg.MODEL.WEIGHTS


@pytest.mark.parametrize("name", [n for n in CONFIGS if n.endswith("/pixel_R50.yaml")])
def test_full_size_configs_of_the_pixel_head(name):
    cfg, model = without_memory(name)
    paper = setup_cfg(str(ROOT / name.replace("pixel", "simplevtr")))
    assert cfg.MODEL.SIMPLEVTR.HEAD == "pixel"
    assert cfg.MODEL.SIMPLEVTR.NUM_CLASSES == paper.MODEL.SIMPLEVTR.NUM_CLASSES
    assert (cfg.DATASETS.TRAIN, cfg.DATASETS.TEST) == (paper.DATASETS.TRAIN, paper.DATASETS.TEST)
    for key in ("MIN_SIZE_TRAIN", "MAX_SIZE_TRAIN", "MIN_SIZE_TEST", "SAMPLING_FRAME_NUM"):
        assert cfg.INPUT[key] == paper.INPUT[key]
    assert (cfg.TEST.WINDOW, cfg.MODEL.WEIGHTS) == (paper.TEST.WINDOW, paper.MODEL.WEIGHTS)
    assert (cfg.SOLVER.OPTIMIZER, cfg.SOLVER.BASE_LR) == ("ADAMW", 1e-4)
    network = model.network
    assert network.backbone.output_shape()[network.mask_head.levels[-1]].stride == 4
    deformable = {n.split(".")[1] for n, m in network.mask_head.named_modules() if "offset" in n}
    assert deformable == set(cfg.MODEL.SIMPLEVTR.PIXEL.DEFORM) != set()


@pytest.mark.parametrize("name", [n for n in CONFIGS if "/vistr_" in n])
def test_vistr_configs_are_vistrs(name):
    cfg = setup_cfg(str(ROOT / name))
    node = cfg.MODEL.SIMPLEVTR
    assert (node.QUERY_FRAMES, node.NUM_QUERIES, node.CLASS_OFFSET) == (36, 10, 1)
    assert (node.ENC_LAYERS, node.DEC_LAYERS, node.HIDDEN_DIM) == (6, 6, 384)
    head = node.MASK_HEAD
    assert (head.CONV, head.NUM_DEFORM, head.OFFSET_KERNEL, head.CONV3D) == ("dcnv1", 1, 1, True)
    assert (head.UPSAMPLE, head.ATTENTION_SCALE) == ("none", 1.0)
    assert (node.MATCHER.FRAMES, node.LOSS.COUNT_ABSENT, node.LOSS.GIOU_EPS) == ("all", True, 1e-6)
    solver = cfg.SOLVER
    assert (solver.OPTIMIZER, solver.BASE_LR, solver.WEIGHT_DECAY) == ("ADAMW", 1e-4, 1e-4)
    assert (solver.MAX_EPOCHS, solver.STEP_EPOCHS, solver.GAMMA) == (18, (12,), 0.1)
    assert solver.CLIP_GRADIENTS.CLIP_VALUE == 0.1
    assert (cfg.INPUT.SAMPLING_FRAME_NUM, cfg.INPUT.SAMPLING) == (36, "consecutive")
    assert (cfg.INPUT.SAMPLING_SCHEME, solver.IMS_PER_BATCH) == ("frame", 8)


@pytest.mark.parametrize("name", [n for n in CONFIGS if "/coco/" in n])
def test_coco_configs_are_detrs(name):
    """Of VisTR's widths and depth, with the hyperparameters of DETR's paper."""
    cfg, vistr = (setup_cfg(str(ROOT / n)) for n in (name, "configs/Base-VisTR.yaml"))
    node = cfg.MODEL.SIMPLEVTR
    for key in ("HIDDEN_DIM", "ENC_LAYERS", "DEC_LAYERS", "DROPOUT", "DIM_FEEDFORWARD"):
        assert node[key] == vistr.MODEL.SIMPLEVTR[key]
    assert (cfg.MODEL.MASK_ON, node.NUM_CLASSES, node.NUM_QUERIES) == (False, 80, 100)
    assert (node.LOSS.L1_WEIGHT, node.LOSS.GIOU_WEIGHT, node.LOSS.NO_OBJECT_WEIGHT) == (5, 2, 0.1)
    solver = cfg.SOLVER
    assert (solver.OPTIMIZER, solver.BASE_LR, solver.WEIGHT_DECAY) == ("ADAMW", 1e-4, 1e-4)
    assert (solver.MAX_EPOCHS, solver.STEP_EPOCHS, solver.IMS_PER_BATCH) == (300, (200,), 64)
    assert (min(cfg.INPUT.MIN_SIZE_TRAIN), max(cfg.INPUT.MIN_SIZE_TRAIN)) == (480, 800)
    assert (cfg.INPUT.MAX_SIZE_TRAIN, cfg.INPUT.SAMPLING_FRAME_NUM) == (1333, 1)
    assert f"R-{cfg.MODEL.RESNETS.DEPTH}.pkl" in cfg.MODEL.WEIGHTS


@pytest.mark.parametrize("name", [n for n in CONFIGS if re.search("/(simplevtr|vistr)_", n)])
def test_configs_say_which_start_they_have(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    depth = name.removesuffix(".yaml").rpartition("_")[2]
    assert "ImageNetPretrained" in setup_cfg(str(ROOT / name)).MODEL.WEIGHTS
    assert "# Starts from ImageNet; with MODEL.WEIGHTS start.pth from COCO, as VisTR" in text
    assert (ROOT / f"configs/coco/detr_{depth}.yaml").is_file()
    assert f"configs/coco/detr_{depth}.yaml" in text


@pytest.mark.parametrize("depth", [18, 34])
def test_smaller_resnets(depth):
    _, model = without_memory(DEPTH=depth, RES2_OUT_CHANNELS=64)
    assert model.network.input_projection.in_channels == 512


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"DEPTH": 18}, "build_resnet_backbone cannot be built .*RES2_OUT_CHANNELS = 64"),
        ({"DEPTH": 51}, "build_resnet_backbone cannot be built .* 51"),
        ({"NORM": "GN", "STEM_OUT_CHANNELS": 8}, r"cannot be built .*: num_channels \(8\)"),
        pytest.param(
            {"DEFORM_ON_PER_STAGE": [True] * 4},
            "cannot be built .*'DeformConv' is not available",
            marks=pytest.mark.skipif(detectron2_is_compiled(), reason="detectron2 is compiled"),
        ),
        ({"OUT_FEATURES": ["res4", "res5"]}, "gives res4, res5 but not res3, res2"),
    ],
)
def test_backbones_that_cannot_be_built(options, message):
    with pytest.raises(ValueError, match=message):
        without_memory(**options)


def test_strides_of_the_small_resnet_that_its_blocks_cannot_have():
    name = str(ROOT / "configs/embedded/clips.yaml")
    strides = ["MODEL.RESNETS.STAGE_STRIDES", "[2, 1, 2, 2]"]
    with pytest.raises(ValueError, match=r"STAGE_STRIDES is \[2, 1, 2, 2\].*are both 32"):
        build_model(setup_cfg(name, strides))
    build_model(setup_cfg(name, [*strides, "MODEL.RESNETS.STEM_OUT_CHANNELS", "16"]))


@pytest.mark.parametrize(("norm", "trained"), [("FrozenBN", False), ("BN", True)])
def test_frozen_or_trained_norms(norm, trained):
    backbone = without_memory(NORM=norm)[1].network.backbone
    norms = [p for n, p in backbone.named_parameters() if "res5" in n and "norm" in n]
    assert bool(norms) == trained
    frozen = [n for n, p in backbone.named_parameters() if not p.requires_grad]
    assert any(n.startswith("stem") for n in frozen)  # FREEZE_AT 2
    assert any(n.startswith("res2") for n in frozen)
    assert not any(n.startswith("res3") for n in frozen)


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_every_training_of_a_plan_takes_a_step(path):
    runs = read_plan(path).runs.values()
    trainings = {part.name: part for run in runs for part in (run.source, run) if part}
    steps = {}
    for name, run in trainings.items():
        cfg = setup_cfg(run.config, run.words)
        assert set(cfg.DATASETS.TRAIN + cfg.DATASETS.TEST) <= set(DatasetCatalog.list())
        if run.kind != "evaluate":
            read = (cfg.MODEL.dump(), cfg.TEST.dump(), cfg.SOLVER.AMP.dump())
            steps[*read, cfg.INPUT.SAMPLING_FRAME_NUM] = name, cfg
    for name, cfg in steps.values():  # the others differ in what a step does not read
        labels = (0, cfg.MODEL.SIMPLEVTR.NUM_CLASSES - 1)
        clip = make_clip(frames=cfg.INPUT.SAMPLING_FRAME_NUM, labels=labels)
        losses = build_model(cfg).train()([clip])
        assert all(loss.isfinite() for loss in losses.values()), name


def test_docs_say_how_the_ablations_base_differs_from_the_paper():
    plan = read_plan(ROOT / "configs/ablations/embedded.yaml")
    paper = flat(setup_cfg(str(ROOT / "configs/youtubevis_2021/simplevtr_R50.yaml")))
    run = plan.runs[plan.baseline]
    base = flat(setup_cfg(run.config, run.words))
    # Where things lie, what is drawn or kept, and the start, which the text names.
    apart = ("DATASETS.", "DATALOADER.", "OUTPUT_DIR", "VIS_PERIOD", "MODEL.DEVICE")
    apart += ("MODEL.WEIGHTS", "SOLVER.CHECKPOINT_PERIOD", "TEST.EVAL_PERIOD")
    differ = [key for key in base if base[key] != paper[key] and not key.startswith(apart)]
    text = (ROOT / "docs/ablations.md").read_text(encoding="utf-8")
    section = text[text.index("## The base") : text.index("## Results")]
    rows = re.findall(r"^\| `([A-Z][\w.]+)` \| (.*?) \| (.*?) \|(.*)\|$", section, re.M)
    listed = {key: values for key, *values, _ in rows}
    assert listed == {key: [str(paper[key]), str(base[key])] for key in differ}
    named = {name for *_, note in rows for name in re.findall(r"`(\w+)`", note)}
    assert named <= set(plan.runs)
    assert len(named) > 10
