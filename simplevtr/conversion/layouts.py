"""The layouts that weights come in, recognised by their names."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from simplevtr.conversion.names import DETR, TORCHVISION, VISTR, translator
from simplevtr.data.categories import COCO_CATEGORIES, YTVIS_2019_CATEGORIES

from detectron2.checkpoint.c2_model_loading import convert_basic_c2_names
from torch import Tensor

# Class rows of the published weights: DETR's for category ids 0 .. 90 of COCO (250 of its panoptic
# task) and "no object", VisTR's for 0 .. 40 and "no object".
COCO_CLASS_ROWS = (92, 251)
VISTR_CLASS_ROWS = 42
_DETR_PARTS = (
    "backbone.", "transformer.", "input_proj.", "query_embed.", "class_embed.", "bbox_embed."
)  # fmt: skip
_DETR_NAMES = ("detr.", "backbone.0.body.", *_DETR_PARTS[1:])


@dataclass(frozen=True)
class Layout:
    """How a family of checkpoints names and numbers things."""

    to_ours: Callable[[str], str | None]  # name -> our name, or None if it has no place with us
    slots: int | None = None  # queries per frame, if the whole family has the same; 0: no frames
    class_offset: int = 0  # leading class indices that no category uses
    # Names of the classes after them, if all of the family have the same; "" for unused indices.
    classes: tuple[str, ...] = ()


def _official(name: str) -> str:
    """The name in VisTR's published checkpoints of a part that DETR and others name without it."""
    name = name.removeprefix("vistr.").removeprefix("detr.")
    if name.startswith("backbone.") and not name.startswith("backbone.0."):
        name = "backbone.0.body." + name.removeprefix("backbone.")
    return f"vistr.{name}" if name.startswith(_DETR_PARTS) else name


def _from_detectron2(name: str) -> str | None:
    if "." not in name:  # Caffe2's, as in detectron2's zoo of ImageNet weights
        name = convert_basic_c2_names([name])[0]
    name = name.removeprefix("backbone.").removeprefix("bottom_up.")
    return f"network.backbone.{name}" if re.match(r"stem\.|res[2-5]\.", name) else None


_from_vistr, _from_detr = translator(VISTR), translator(DETR)
_COCO = dict(COCO_CATEGORIES)

LAYOUTS = {
    "vistr": Layout(
        lambda name: _from_vistr(_official(name)),
        slots=10,
        class_offset=1,
        classes=tuple(name for _, name in YTVIS_2019_CATEGORIES),
    ),
    "detr": Layout(
        lambda name: _from_detr(_official(name)),
        slots=0,
        class_offset=1,
        classes=tuple(_COCO.get(i, "") for i in range(1, max(_COCO) + 1)),
    ),
    "torchvision": Layout(translator(TORCHVISION)),
    "detectron2": Layout(_from_detectron2),
    "simplevtr": Layout(lambda name: name if name.startswith("network.") else None),
}


def layout_of(weights: Mapping[str, Tensor]) -> str:
    """The key of ``LAYOUTS`` that the names belong to.

    VisTR's own initialisation has VisTR's names, but the queries and classes of DETR on COCO, and
    VisTR without masks has DETR's names; their class rows tell both from the rest.

    Raises:
        ValueError: no layout is recognised.
    """

    def any_matches(pattern: str) -> bool:
        return any(re.match(pattern, name) for name in weights)

    if any_matches(r"network\."):
        return "simplevtr"
    is_vistr = any_matches(r"vistr\.|insmask_head\.")
    if is_vistr or any(name.startswith(_DETR_NAMES) for name in weights):
        classes = next((len(v) for k, v in weights.items() if k.endswith("class_embed.bias")), 0)
        is_vistr = is_vistr or classes == VISTR_CLASS_ROWS
        return "vistr" if is_vistr and classes not in COCO_CLASS_ROWS else "detr"
    if any_matches(r"conv1_w$|(backbone\.)?(\w+\.)?res\d\.\d"):
        return "detectron2"
    if any_matches(r"layer1\.0\.conv1\."):
        return "torchvision"
    shown = ", ".join(sorted(weights)[:3]) or "none"
    raise ValueError(
        f"the names of the weights ({shown}, ...) belong to no known layout; "
        f"known are {', '.join(LAYOUTS)}"
    )
