"""Which values keys take, and which keys only one mask head reads; all else is refused."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from simplevtr.config import default_config
from simplevtr.config_file import flat

from detectron2.config import CfgNode

# What MODEL.SIMPLEVTR.RECOMPUTE may name, by MODEL.SIMPLEVTR.HEAD.
RECOMPUTABLE = {
    "paper": ("backbone", "encoder", "mask_head"),
    "pixel": ("backbone", "pixel_decoder"),
}
# By MODEL.SIMPLEVTR.HEAD the keys (or groups of them) that no other head reads. With another one
# they have their default, or the value that stands here: it is what that head does anyway.
_READ_BY: dict[str, dict[str, Any]] = {
    "paper": {
        "MODEL.MASK_ON": True,
        "MODEL.SIMPLEVTR.QUERY_FRAMES": 0,
        "MODEL.SIMPLEVTR.DROPOUT": 0.0,
        "TEST.DROPOUT": False,
        "MODEL.SIMPLEVTR.ENC_LAYERS": 0,
        "MODEL.SIMPLEVTR.DECODER_INPUT": None,
        "MODEL.SIMPLEVTR.MASK_HEAD": None,
        "MODEL.SIMPLEVTR.MATCHER": None,
        "MODEL.SIMPLEVTR.LOSS.L1_WEIGHT": 0.0,
        "MODEL.SIMPLEVTR.LOSS.GIOU_WEIGHT": 0.0,
        "MODEL.SIMPLEVTR.LOSS.GIOU_EPS": None,
        "MODEL.SIMPLEVTR.LOSS.DENSE_WEIGHT": 0.0,
        "MODEL.SIMPLEVTR.LOSS.DEEP_SUPERVISION": True,
        "MODEL.SIMPLEVTR.LOSS.ABSENT_CLASS": "label",
        "MODEL.SIMPLEVTR.LOSS.ABSENT_MASK": "empty",
        "MODEL.SIMPLEVTR.LOSS.COUNT_ABSENT": False,
        "MODEL.SIMPLEVTR.LOSS.MAX_MASK_TRACKS": 0,
    },
    "pixel": {"MODEL.SIMPLEVTR.PIXEL": None},
}
# Keys of detectron2 that would change a result there and that nothing here reads.
_UNREAD = (
    "DATALOADER.ASPECT_RATIO_GROUPING",  # DATALOADER.GROUP_BY_SHAPE
    "DATALOADER.REPEAT_SQRT",
    "DATALOADER.REPEAT_THRESHOLD",
    "DATALOADER.SAMPLER_TRAIN",
    "INPUT.CROP",
    "INPUT.RANDOM_FLIP",
    "MODEL.ANCHOR_GENERATOR",
    "MODEL.KEYPOINT_ON",
    "MODEL.LOAD_PROPOSALS",
    "MODEL.PANOPTIC_FPN",
    "MODEL.PROPOSAL_GENERATOR",
    "MODEL.RETINANET",
    "MODEL.ROI_BOX_HEAD",
    "MODEL.ROI_HEADS",
    "MODEL.ROI_KEYPOINT_HEAD",
    "MODEL.ROI_MASK_HEAD",
    "MODEL.RPN",
    "MODEL.SEM_SEG_HEAD",
    "SOLVER.MOMENTUM",
    "SOLVER.NESTEROV",
    "SOLVER.NUM_DECAYS",
    "TEST.AUG",
    "TEST.DETECTIONS_PER_IMAGE",
    "TEST.PRECISE_BN",  # it would not reach the average of SOLVER.EMA_DECAY, nor resume exactly
)
# Keys that some backbones alone read, by MODEL.BACKBONE.NAME.
_OF_BACKBONE: dict[tuple[str, ...], tuple[str, ...]] = {
    ("build_resnet_backbone",): (
        "MODEL.RESNETS.DEFORM_MODULATED",
        "MODEL.RESNETS.DEFORM_NUM_GROUPS",
        "MODEL.RESNETS.DEFORM_ON_PER_STAGE",
        "MODEL.RESNETS.DEPTH",
        "MODEL.RESNETS.NUM_GROUPS",
        "MODEL.RESNETS.RES5_DILATION",
        "MODEL.RESNETS.STRIDE_IN_1X1",
        "MODEL.RESNETS.WIDTH_PER_GROUP",
    ),
    ("build_small_resnet_backbone",): (
        "MODEL.RESNETS.BLOCKS_PER_STAGE",
        "MODEL.RESNETS.STAGE_STRIDES",
        "MODEL.RESNETS.STEM_STRIDE",
    ),
    ("build_resnet_backbone", "build_small_resnet_backbone"): (
        "MODEL.RESNETS.NORM",
        "MODEL.RESNETS.RES2_OUT_CHANNELS",
        "MODEL.RESNETS.STEM_OUT_CHANNELS",
    ),
    ("build_timm_backbone",): ("MODEL.TIMM",),
}
# detectron2's LayerNorm, "LN", is not among what WEIGHT_DECAY_NORM holds for.
_NORMS = ("BN", "SyncBN", "FrozenBN", "GN", "nnSyncBN", "naiveSyncBN", "naiveSyncBN_N", "")
# The words that a key takes.
CHOICES = {
    "INPUT.FORMAT": ("RGB", "BGR"),
    "INPUT.MIN_SIZE_TRAIN_SAMPLING": ("choice",),
    "INPUT.PHOTOMETRIC_PER": ("frame", "clip"),
    "INPUT.SAMPLING": ("random", "consecutive"),
    "INPUT.SAMPLING_SCHEME": ("video", "frame", "compromise"),
    "MODEL.SIMPLEVTR.HEAD": tuple(_READ_BY),
    "MODEL.SIMPLEVTR.DECODER_INPUT": ("zeros", "query"),
    "MODEL.SIMPLEVTR.MASK_HEAD.CONV": ("dcnv2", "dcnv1", "plain"),
    "MODEL.SIMPLEVTR.MASK_HEAD.UPSAMPLE": ("none", "subpixel", "deconv"),
    "MODEL.SIMPLEVTR.MATCHER.FRAMES": ("visible", "all"),
    "MODEL.SIMPLEVTR.LOSS.ABSENT_CLASS": ("no_object", "label"),
    "MODEL.SIMPLEVTR.LOSS.ABSENT_MASK": ("ignore", "empty"),
    "MODEL.SIMPLEVTR.PIXEL.NORM": _NORMS,
    "MODEL.RESNETS.NORM": _NORMS,
    "SOLVER.AMP.DTYPE": ("float16", "bfloat16"),
    "SOLVER.CLIP_GRADIENTS.CLIP_TYPE": ("value", "norm", "full_model"),
    # detectron2's WarmupStepWithFixedGammaLR fails after the last iteration, before it is saved.
    "SOLVER.LR_SCHEDULER_NAME": ("WarmupMultiStepLR", "WarmupCosineLR"),
    "SOLVER.OPTIMIZER": ("ADABELIEF", "ADAMW"),
    "SOLVER.WARMUP_METHOD": ("constant", "linear"),
}
_AUGMENTATIONS = ("flip", "vertical_flip", "photometric", "crop", "paste", "paste_same_class")
# What numbers must be, those in lists too, by key or group of keys; of several groups that a key is
# in the smallest counts.
_LIMITS = {
    "DATALOADER.NUM_WORKERS": "at least 0",
    "DATASETS.PSEUDO_RATIO": "in [0, 1)",
    "INPUT.CROP_RANGE": "at least 1",
    "INPUT.CROP_RESIZE": "at least 1",
    "INPUT.MAX_SIZE_TEST": "at least 1",
    "INPUT.MAX_SIZE_TRAIN": "at least 1",
    "INPUT.MIN_SIZE_TEST": "at least 0",
    "INPUT.MIN_SIZE_TRAIN": "at least 0",
    "INPUT.PSEUDO_MOTION": "at least 0",
    "INPUT.PSEUDO_MOTION.SCALE": "at least 1",
    "INPUT.PSEUDO_MOTION.SHEAR": "at least 0 and below 90",
    "INPUT.SAMPLING_FRAME_NUM": "at least 1",
    "INPUT.SAMPLING_FRAME_RANGE": "at least 0",
    "MODEL.BACKBONE.FREEZE_AT": "at least 0",
    "MODEL.PIXEL_STD": "above 0",
    "MODEL.RESNETS": "at least 1",
    "MODEL.SIMPLEVTR": "at least 1",
    "MODEL.SIMPLEVTR.CLASS_OFFSET": "at least 0",
    "MODEL.SIMPLEVTR.DROPOUT": "in [0, 1]",
    "MODEL.SIMPLEVTR.ENC_LAYERS": "at least 0",
    "MODEL.SIMPLEVTR.LOSS": "at least 0",
    "MODEL.SIMPLEVTR.MASK_HEAD.ATTENTION_SCALE": "above 0",
    "MODEL.SIMPLEVTR.MASK_HEAD.OFFSET_KERNEL": "odd",
    "MODEL.SIMPLEVTR.MATCHER": "at least 0",
    "MODEL.SIMPLEVTR.NO_OBJECT_BIAS": "a number",
    "MODEL.SIMPLEVTR.PIXEL.FINE_CHANNELS": "at least 0",
    "MODEL.SIMPLEVTR.QUERY_FRAMES": "at least 0",
    "MODEL.TIMM.PYRAMID_CHANNELS": "at least 1",
    "MODEL.TIMM.SIZE": "at least 1",
    "SEED": "below 2**32",
    "SOLVER": "at least 0",
    "SOLVER.BASE_LR": "above 0",
    "SOLVER.CHECKPOINT_PERIOD": "at least 1",
    "SOLVER.CLIP_GRADIENTS.CLIP_VALUE": "above 0",
    "SOLVER.CLIP_GRADIENTS.NORM_TYPE": "above 0",
    "SOLVER.EMA_DECAY": "in [0, 1)",
    "SOLVER.IMS_PER_BATCH": "at least 1",
    "TEST.DUPLICATE_IOU": "in (0, 1]",
    "TEST.LENGTH_POWER": "at least 0",
    "TEST.LINK": "in [0, 1]",
    "TEST.LINK.MEMORY": "at least 0",
    "TEST.PIECE_GAP": "in [0, 1]",
    "TEST.SCORE_THRESHOLD": "in [0, 1]",
    "TEST.SLOT_THRESHOLD": "in [0, 1]",
    "TEST.STRIDE": "at least 0",
    "TEST.TRACKS_PER_VIDEO": "at least 0",
    "TEST.WINDOW": "at least 0",
}
_HOLDS: dict[str, Callable[[float], bool]] = {
    "a number": lambda x: True,
    "above 0": lambda x: x > 0,
    "at least 0": lambda x: x >= 0,
    "at least 0 and below 90": lambda x: 0 <= x < 90,
    "at least 1": lambda x: x >= 1,
    "below 2**32": lambda x: x < 2**32,
    "in (0, 1]": lambda x: 0 < x <= 1,
    "in [0, 1)": lambda x: 0 <= x < 1,
    "in [0, 1]": lambda x: 0 <= x <= 1,
    "odd": lambda x: x > 0 and x % 2 == 1,
}


def _inside(key: str, group: str) -> bool:
    """Whether a key is a group of keys or in it."""
    return f"{key}.".startswith(f"{group}.")


def _check_values(values: dict[str, Any]) -> None:
    for key, allowed in CHOICES.items():
        if values[key] not in allowed:
            raise ValueError(f"{key} is {values[key]!r}; allowed are {', '.join(allowed)}")
    for key, value in values.items():
        if groups := [group for group in _LIMITS if _inside(key, group)]:
            must_be = _LIMITS[max(groups, key=len)]
            numbers = value if isinstance(value, list | tuple) else [value]
            if not all(_HOLDS[must_be](x) for x in numbers if type(x) in (int, float)):
                raise ValueError(f"{key} is {value}; it must be {must_be}")


def _check_input(node: CfgNode) -> None:
    """The keys of INPUT that lists of words, or other keys, limit."""
    for name in node.AUGMENTATIONS:
        if name not in _AUGMENTATIONS:
            allowed = ", ".join(_AUGMENTATIONS)
            raise ValueError(f"INPUT.AUGMENTATIONS has {name!r}; allowed are {allowed}")
    if "crop" in node.AUGMENTATIONS and not node.CROP_RESIZE:
        raise ValueError("INPUT.CROP_RESIZE is empty, but INPUT.AUGMENTATIONS has 'crop'")
    if node.CROP_RANGE[0] > node.CROP_RANGE[1]:
        raise ValueError(f"INPUT.CROP_RANGE is {node.CROP_RANGE}; (smallest, largest) is needed")
    if not node.MIN_SIZE_TRAIN:
        raise ValueError("INPUT.MIN_SIZE_TRAIN is empty; (0,) keeps the size of frames")
    if node.SAMPLING == "consecutive" and node.SAMPLING_FRAME_RANGE:
        raise ValueError(
            f"INPUT.SAMPLING_FRAME_RANGE is {node.SAMPLING_FRAME_RANGE}, which INPUT.SAMPLING "
            "'consecutive' does not read; set it to 0"
        )


def check_config(cfg: CfgNode) -> None:
    """Refuse a value that its key cannot have, and keys that the head would ignore; ValueError."""
    given, usual = flat(cfg), flat(default_config())
    _check_values(given)
    _check_input(cfg.INPUT)
    node, head = cfg.MODEL.SIMPLEVTR, cfg.MODEL.SIMPLEVTR.HEAD
    channels, pairs = node.HIDDEN_DIM, {"paper": 6, "pixel": 4}[head]
    if channels % node.NUM_HEADS or channels % pairs:
        raise ValueError(
            f"MODEL.SIMPLEVTR.HIDDEN_DIM is {channels}; it must be divisible by NUM_HEADS, "
            f"{node.NUM_HEADS}, and by {pairs} (sine and cosine pairs of {pairs // 2} axes)"
        )
    for part in node.RECOMPUTE:
        if part not in (allowed := RECOMPUTABLE[head]):
            raise ValueError(
                f"MODEL.SIMPLEVTR.RECOMPUTE has {part!r}; allowed are {', '.join(allowed)} "
                f"with MODEL.SIMPLEVTR.HEAD {head!r}"
            )
    if node.MATCHER.FRAMES == "all" and not node.CLASS_OFFSET:
        raise ValueError(
            "MODEL.SIMPLEVTR.MATCHER.FRAMES 'all' takes class 0 for absent objects, as VisTR does; "
            "set MODEL.SIMPLEVTR.CLASS_OFFSET to 1, so that it is not one of the categories"
        )
    if not cfg.OUTPUT_DIR or "://" in cfg.OUTPUT_DIR:
        raise ValueError(f"OUTPUT_DIR is {cfg.OUTPUT_DIR!r}; a folder of this machine is needed")
    if len(set(cfg.DATASETS.TEST)) < len(cfg.DATASETS.TEST):
        raise ValueError(f"DATASETS.TEST names a dataset twice: {', '.join(cfg.DATASETS.TEST)}")
    ignored = [item for name in _READ_BY if name != head for item in _READ_BY[name].items()]
    for name, does in [*ignored, *((name, None) for name in _UNREAD)]:
        for key in (key for key in usual if _inside(key, name)):
            if given[key] not in (usual[key], does):
                also = "" if does in (None, usual[key]) else f"{does!r} or "
                reader = "SimpleVTR" if name in _UNREAD else f"MODEL.SIMPLEVTR.HEAD {head!r}"
                raise ValueError(
                    f"{key} is {given[key]!r}, which {reader} does not read; "
                    f"allowed is {also}its default, {usual[key]!r}"
                )


def _switched_off(cfg: CfgNode, kinds: Collection[str]) -> dict[str, str]:
    """Keys of what is switched off, groups of them too, and by which other key."""
    solver, idle = cfg.SOLVER, {}
    if solver.OPTIMIZER != "ADABELIEF":
        idle["SOLVER.ADABELIEF"] = f"where SOLVER.OPTIMIZER is {solver.OPTIMIZER}"
    if not (solver.AMP.ENABLED or cfg.TEST.AMP):
        idle["SOLVER.AMP.DTYPE"] = "where SOLVER.AMP.ENABLED and TEST.AMP are False"
    if not solver.CLIP_GRADIENTS.ENABLED:
        own = (f"SOLVER.CLIP_GRADIENTS.{key}" for key in ("CLIP_TYPE", "CLIP_VALUE", "NORM_TYPE"))
        idle |= dict.fromkeys(own, "where SOLVER.CLIP_GRADIENTS.ENABLED is False")
    owners = {"CROP_RANGE": "crop", "CROP_RESIZE": "crop", "PHOTOMETRIC_PER": "photometric"}
    for key, name in owners.items():
        if name not in cfg.INPUT.AUGMENTATIONS:
            idle[f"INPUT.{key}"] = f"where INPUT.AUGMENTATIONS has no {name!r}"
    if "stills" not in kinds:
        idle["INPUT.PSEUDO_MOTION"] = "where DATASETS.TRAIN has no still images"
    if len(kinds) < 2:
        idle["DATASETS.PSEUDO_RATIO"] = "where DATASETS.TRAIN has not both still images and videos"
    return idle


def check_words(cfg: CfgNode, keys: Sequence[str], kinds: Collection[str]) -> None:
    """Refuse ``keys`` of a command line that have no effect where other keys are as they are.

    ``kinds`` of training sets are "stills" and "videos". ValueError; files may have such keys, as
    those that build on them may choose otherwise.
    """
    solver, idle = cfg.SOLVER, _switched_off(cfg, kinds)
    cosine = solver.LR_SCHEDULER_NAME == "WarmupCosineLR"
    ignored_by = {
        "LR_SCHEDULER_NAME": ("GAMMA", "STEPS", "STEP_EPOCHS") if cosine else ("BASE_LR_END",),
        "MAX_ITER": ("MAX_EPOCHS", "STEP_EPOCHS") if solver.MAX_ITER else ("STEPS",),
    }
    for cause, names in ignored_by.items():
        hint = "; set that to 0" if cause == "MAX_ITER" and solver.MAX_ITER else ""
        where = f"where SOLVER.{cause} is {solver[cause]}{hint}"
        idle |= {f"SOLVER.{name}": where for name in names if solver[name]}
    if (frames := cfg.MODEL.SIMPLEVTR.QUERY_FRAMES) not in (0, cfg.TEST.WINDOW):
        idle["TEST.WINDOW"] = f"where MODEL.SIMPLEVTR.QUERY_FRAMES is {frames}, a window's length"
    elif cfg.TEST.STRIDE and not cfg.TEST.WINDOW and not frames:
        idle["TEST.STRIDE"] = "where TEST.WINDOW is 0, the whole video"
    chosen = cfg.MODEL.BACKBONE.NAME
    ours = any(chosen in readers for readers in _OF_BACKBONE)
    for readers, own in _OF_BACKBONE.items() if ours else ():
        if chosen not in readers:
            by = " and ".join(readers)
            idle |= dict.fromkeys(own, f"where MODEL.BACKBONE.NAME is {chosen}, but by {by}")
    for key in keys:
        for group, where in idle.items():
            if _inside(key, group):
                raise ValueError(f"command line: {key} is not read {where}")
