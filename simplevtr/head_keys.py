"""Which keys only one mask head reads; a config that sets one for the other head is refused."""

from typing import Any

from simplevtr.config import add_simplevtr_config
from simplevtr.config_file import flat

from detectron2.config import CfgNode, get_cfg

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


def check_head(cfg: CfgNode) -> None:
    """Refuse an unknown ``MODEL.SIMPLEVTR.HEAD``, and keys that it would ignore; ValueError."""
    head = cfg.MODEL.SIMPLEVTR.HEAD
    if head not in _READ_BY:
        raise ValueError(f'MODEL.SIMPLEVTR.HEAD is {head!r}; allowed are "paper" and "pixel"')
    for part in cfg.MODEL.SIMPLEVTR.RECOMPUTE:
        if part not in (allowed := RECOMPUTABLE[head]):
            raise ValueError(
                f"MODEL.SIMPLEVTR.RECOMPUTE has {part!r}; allowed are {', '.join(allowed)} "
                f"with MODEL.SIMPLEVTR.HEAD {head!r}"
            )
    default = get_cfg()
    add_simplevtr_config(default)
    given, usual = flat(cfg), flat(default)
    ignored = [item for name in _READ_BY if name != head for item in _READ_BY[name].items()]
    for name, does in ignored:
        for key in (key for key in usual if f"{key}.".startswith(f"{name}.")):
            if given[key] not in (usual[key], does):
                also = "" if does in (None, usual[key]) else f"{does!r} or "
                raise ValueError(
                    f"{key} is {given[key]!r}, which MODEL.SIMPLEVTR.HEAD {head!r} does not read; "
                    f"allowed is {also}its default, {usual[key]!r}"
                )
