"""Values that a key cannot have, and keys that the head does not read, are refused at once."""

import re

from simplevtr import setup_cfg
from simplevtr.config_checks import _LIMITS, _OF_BACKBONE, _READ_BY, _UNREAD, CHOICES
from simplevtr.config_file import flat

import pytest
from conftest import CLIPS_CONFIG, ROOT, build, make_clip, words_of
from detectron2.config import CfgNode

PIXEL_CONFIG = str(ROOT / "configs/embedded/pixel_frames.yaml")
NODE = "MODEL.SIMPLEVTR"


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("MODEL.MASK_ON", False, "True"),
        (f"{NODE}.QUERY_FRAMES", 5, "0"),
        (f"{NODE}.DROPOUT", 0.2, "0.0 or its default, 0.1"),
        ("TEST.DROPOUT", True, "False"),
        (f"{NODE}.ENC_LAYERS", 2, "0 or its default, 4"),
        (f"{NODE}.DECODER_INPUT", "query", "'zeros'"),
        (f"{NODE}.MASK_HEAD.CONV", "plain", "'dcnv2'"),
        (f"{NODE}.MATCHER.COST_IOU", 3.0, "2.0"),
        (f"{NODE}.LOSS.L1_WEIGHT", 1.0, "0.0 or its default, 5.0"),
        (f"{NODE}.LOSS.DEEP_SUPERVISION", False, "True"),
        (f"{NODE}.LOSS.MAX_MASK_TRACKS", 3, "0"),
    ],
)
def test_keys_of_the_papers_head_are_refused_by_the_pixel_head(key, value, allowed):
    with pytest.raises(ValueError, match="is .*, which MODEL.SIMPLEVTR.HEAD 'pixel'") as error:
        setup_cfg(PIXEL_CONFIG, [key, str(value)])
    expected = allowed if " or " in allowed else f"its default, {allowed}"
    assert str(error.value) == (
        f"{key} is {value!r}, which MODEL.SIMPLEVTR.HEAD 'pixel' does not read; "
        f"allowed is {expected}"
    )


def test_keys_of_the_pixel_head_are_refused_by_the_papers():
    with pytest.raises(ValueError, match=r"PIXEL.EMBEDDING is 32, which .* 'paper' does not read"):
        setup_cfg(CLIPS_CONFIG, [f"{NODE}.PIXEL.EMBEDDING", "32"])


@pytest.mark.parametrize(
    ("config", "words", "message"),
    [
        (CLIPS_CONFIG, ["MODEL.TIMM.NAME", "vit"], "NAME is build_small_resnet_backbone, but by"),
        ("", ["MODEL.TIMM.OPTIONS.depth", "3"], "MODEL.BACKBONE.NAME is build_resnet_backbone"),
        (CLIPS_CONFIG, ["MODEL.RESNETS.DEPTH", "101"], "but by build_resnet_backbone"),
        (
            "configs/davis/clips.yaml",
            ["MODEL.RESNETS.NORM", "GN"],
            "but by build_resnet_backbone and build_small_resnet_backbone",
        ),
        ("configs/Base-VisTR.yaml", ["TEST.WINDOW", "16"], "QUERY_FRAMES is 36, a window's length"),
        (CLIPS_CONFIG, ["SOLVER.ADABELIEF.EPS", "1e-3"], "SOLVER.OPTIMIZER is ADAMW"),
        (CLIPS_CONFIG, ["SOLVER.AMP.DTYPE", "bfloat16"], "SOLVER.AMP.ENABLED and TEST.AMP are Fal"),
        (
            CLIPS_CONFIG,
            ["SOLVER.CLIP_GRADIENTS.ENABLED", "False", "SOLVER.CLIP_GRADIENTS.CLIP_VALUE", "5.0"],
            "CLIP_GRADIENTS.ENABLED is False",
        ),
        (
            CLIPS_CONFIG,
            ["INPUT.AUGMENTATIONS", "('flip',)", "INPUT.CROP_RANGE", "(3, 4)"],
            "INPUT.AUGMENTATIONS has no 'crop'",
        ),
        ("", ["TEST.WINDOW", "0", "TEST.STRIDE", "5"], "TEST.WINDOW is 0, the whole video"),
        (CLIPS_CONFIG, ["SOLVER.MAX_EPOCHS", "3"], "SOLVER.MAX_ITER is 600; set that to 0"),
        (CLIPS_CONFIG, ["SOLVER.STEP_EPOCHS", "(3,)"], "SOLVER.MAX_ITER is 600; set that to 0"),
        ("", ["SOLVER.MAX_EPOCHS", "3", "SOLVER.STEPS", "(3,)"], "SOLVER.MAX_ITER is 0"),
        (CLIPS_CONFIG, ["SOLVER.STEPS", "(3,)"], "SOLVER.LR_SCHEDULER_NAME is WarmupCosineLR"),
        ("", ["SOLVER.BASE_LR_END", "1e-5"], "SOLVER.LR_SCHEDULER_NAME is WarmupMultiStepLR"),
        (CLIPS_CONFIG, ["INPUT.PSEUDO_MOTION.SHEAR", "1.0"], "TRAIN has no still images"),
        (CLIPS_CONFIG, ["DATASETS.PSEUDO_RATIO", "0.2"], "TRAIN has not both still images and vi"),
        (
            "configs/coco/detr_R50.yaml",
            ["DATASETS.PSEUDO_RATIO", "0.2"],
            "TRAIN has not both still images and videos",
        ),
    ],
)
def test_options_that_the_backbone_or_the_schedule_does_not_read(config, words, message):
    with pytest.raises(ValueError, match=f"command line: {words[-2]} is not read .*{message}"):
        setup_cfg(config, words)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("DATALOADER.ASPECT_RATIO_GROUPING", False),
        ("INPUT.RANDOM_FLIP", "none"),
        ("INPUT.CROP.ENABLED", True),
        ("TEST.AUG.ENABLED", True),
        ("MODEL.ROI_HEADS.NUM_CLASSES", 40),
        ("MODEL.RETINANET.NUM_CLASSES", 40),
    ],
)
def test_keys_of_detectron2_that_nothing_reads_are_refused(key, value):
    with pytest.raises(ValueError, match=f"{key} is {value!r}, which SimpleVTR does not read; "):
        setup_cfg(CLIPS_CONFIG, [key, str(value)])


def test_keys_of_still_images_are_taken_with_them():
    stills = ["DATASETS.TRAIN", "('embedded_easy_train', 'coco_pseudo_2017_train')"]
    setup_cfg(CLIPS_CONFIG, [*stills, "DATASETS.PSEUDO_RATIO", "0.2"])
    setup_cfg("configs/coco/detr_R50.yaml", ["INPUT.PSEUDO_MOTION.SHEAR", "1.0"])


def test_what_a_head_does_anyway_may_be_said():
    words = {"DROPOUT": 0.0, "ENC_LAYERS": 0, "LOSS.ABSENT_MASK": "empty", "LOSS.L1_WEIGHT": 0.0}
    setup_cfg(PIXEL_CONFIG, words_of({f"{NODE}.{key}": value for key, value in words.items()}))


def test_absent_objects_may_have_a_class_that_no_category_uses():
    setup_cfg("", words_of({f"{NODE}.MATCHER.FRAMES": "all", f"{NODE}.CLASS_OFFSET": 1}))


def test_a_config_that_was_changed_in_python_is_refused_too():
    cfg = setup_cfg(PIXEL_CONFIG)
    cfg.MODEL.MASK_ON = False
    with pytest.raises(ValueError, match="MODEL.MASK_ON is False"):
        build(cfg)


@pytest.mark.parametrize("key", CHOICES)
def test_words_that_a_key_does_not_take(key):
    with pytest.raises(ValueError, match=f"{key} is 'no'; allowed are {', '.join(CHOICES[key])}"):
        setup_cfg("", [key, "no"])


@pytest.mark.parametrize(
    ("key", "value", "limit"),
    [
        (f"{NODE}.NUM_QUERIES", 0, "at least 1"),
        ("MODEL.BACKBONE.FREEZE_AT", -1, "at least 0"),
        (f"{NODE}.MASK_HEAD.WIDTHS", [16, 0, 8, 8], "at least 1"),
        (f"{NODE}.MASK_HEAD.OFFSET_KERNEL", 2, "odd"),
        (f"{NODE}.LOSS.MASK_POINTS", -1, "at least 0"),
        (f"{NODE}.MATCHER.COST_IOU", -1.0, "at least 0"),
        (f"{NODE}.DROPOUT", 1.5, r"in \[0, 1\]"),
        (f"{NODE}.HIDDEN_DIM", 26, "divisible by NUM_HEADS, 8, and by 6"),
        ("MODEL.PIXEL_STD", [1.0, 0.0, 1.0], "above 0"),
        ("DATASETS.PSEUDO_RATIO", 1.0, r"in \[0, 1\)"),
        ("INPUT.CROP_RESIZE", [0], "at least 1"),
        ("INPUT.MAX_SIZE_TEST", 0, "at least 1"),
        ("INPUT.MIN_SIZE_TEST", -5, "at least 0"),
        ("INPUT.PSEUDO_MOTION.SHEAR", 90.0, "below 90"),
        ("INPUT.PSEUDO_MOTION.SCALE", 0.5, "at least 1"),
        ("INPUT.PSEUDO_MOTION.ROTATE", -1.0, "at least 0"),
        ("INPUT.SAMPLING_FRAME_NUM", 0, "at least 1"),
        ("INPUT.SAMPLING_FRAME_RANGE", -1, "at least 0"),
        ("SEED", 2**32, r"below 2\*\*32"),
        ("SOLVER.BASE_LR", 0.0, "above 0"),
        ("SOLVER.EMA_DECAY", -0.5, r"in \[0, 1\)"),
        ("SOLVER.MAX_ITER", -5, "at least 0"),
        ("SOLVER.CHECKPOINT_PERIOD", 0, "at least 1"),
        ("SOLVER.CLIP_GRADIENTS.CLIP_VALUE", 0.0, "above 0"),
        ("TEST.SLOT_THRESHOLD", -0.1, r"in \[0, 1\]"),
        ("TEST.SCORE_THRESHOLD", 50.0, r"in \[0, 1\]"),
        ("TEST.PIECE_GAP", 2.0, r"in \[0, 1\]"),
        ("TEST.DUPLICATE_IOU", 0.0, r"in \(0, 1\]"),
        ("TEST.LINK.MIN_AGREEMENT", 1.5, r"in \[0, 1\]"),
        ("TEST.LINK.BIRTH_SCORE", 2.0, r"in \[0, 1\]"),
        ("TEST.LINK.MEMORY", -1, "at least 0"),
        ("TEST.LENGTH_POWER", -1.0, "at least 0"),
        ("TEST.TRACKS_PER_VIDEO", -1, "at least 0"),
        ("TEST.WINDOW", -1, "at least 0"),
        ("TEST.STRIDE", -1, "at least 0"),
    ],
)
def test_numbers_that_a_key_does_not_take(key, value, limit):
    with pytest.raises(ValueError, match=re.escape(f"{key} is {value}; it must be") + f".*{limit}"):
        setup_cfg("", [key, str(value)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"INPUT.AUGMENTATIONS": ["flop"]}, "has 'flop'; allowed are flip, vertical_flip, photo"),
        ({"INPUT.CROP_RESIZE": []}, "CROP_RESIZE is empty, but INPUT.AUGMENTATIONS has 'crop'"),
        ({"INPUT.CROP_RANGE": [600, 384]}, "CROP_RANGE is [600, 384]; (smallest, largest) is"),
        ({"INPUT.MIN_SIZE_TRAIN": ()}, "MIN_SIZE_TRAIN is empty; (0,) keeps the size"),
        (
            {"INPUT.SAMPLING": "consecutive", "INPUT.SAMPLING_FRAME_RANGE": 1},
            "SAMPLING_FRAME_RANGE is 1, which INPUT.SAMPLING 'consecutive' does not read",
        ),
        ({f"{NODE}.MATCHER.FRAMES": "all"}, "FRAMES 'all' takes class 0 for absent objects"),
        ({"OUTPUT_DIR": ""}, "OUTPUT_DIR is ''; a folder of this machine"),
        ({"DATASETS.TEST": ("a", "a")}, "DATASETS.TEST names a dataset twice: a, a"),
    ],
)
def test_values_that_do_not_go_together(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        setup_cfg("", words_of(options))


def test_parts_that_the_head_has_not_are_not_computed_again():
    message = r"RECOMPUTE has 'encoder'; allowed are backbone, pixel_decoder with .* 'pixel'"
    with pytest.raises(ValueError, match=message):
        setup_cfg(PIXEL_CONFIG, [f"{NODE}.RECOMPUTE", "['encoder']"])


def test_the_tables_name_keys_that_exist():
    default = setup_cfg()
    for keys in (*_READ_BY.values(), *_OF_BACKBONE.values(), _UNREAD, CHOICES, _LIMITS):
        for key in keys:
            assert [name for name in flat(default) if f"{name}.".startswith(f"{key}.")], key


def test_every_key_is_read_or_refused(monkeypatch, tiny_cfg):
    """What building a model and a training step read of MODEL.SIMPLEVTR and its losses."""
    pixel_cfg = setup_cfg(PIXEL_CONFIG)
    for head, cfg in (("paper", tiny_cfg), ("pixel", pixel_cfg)):
        read = set()
        groups = {id(cfg.MODEL.SIMPLEVTR): f"{NODE}."}

        def get(node, name, read=read, groups=groups, original=CfgNode.__getattr__):
            if id(node) in groups:
                read.add(groups[id(node)] + name)
            return original(node, name)

        class Settings:
            """Notes which losses' settings are asked for."""

            def __init__(self, settings, read=read):
                self._settings, self._read = settings, read

            def __getattr__(self, name):
                self._read.add(f"{NODE}.LOSS.{name.upper()}")
                return getattr(self._settings, name)

        monkeypatch.setattr("simplevtr.modeling.meta_arch.check_config", lambda _: None)
        with monkeypatch.context() as patch:
            patch.setattr(CfgNode, "__getattr__", get)
            model = build(cfg).train()
        model.criterion.settings = Settings(model.criterion.settings)
        model([make_clip(absent=[(1, 0)])])
        all_keys = {f"{NODE}.{key}" for key in flat(cfg.MODEL.SIMPLEVTR)}
        (other,) = _READ_BY.keys() - {head}
        refused = {
            key for key in all_keys for name in _READ_BY[other] if f"{key}.".startswith(f"{name}.")
        }
        for key in sorted(all_keys):
            parts = key.split(".")
            group = ".".join(parts[:3])
            known = key in read or (len(parts) > 3 and parts[2] != "LOSS" and group in read)
            # The number of frames that inference looks at together is the window's otherwise.
            if key != f"{NODE}.QUERY_FRAMES":
                assert known != (key in refused), (head, key)
