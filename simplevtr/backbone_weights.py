"""Files with the weights of a timm backbone alone: which tensor is which of the model's."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

_INSIDE = ".features.model."  # what a ``TimmBackbone`` has in front of timm's own names
# Of a ResNet's first block, by detectron2's names and torchvision's.
_VARIANCE = re.compile(r"(backbone\.(\w+\.)?)?(res2\.0\.conv1\.norm|layer1\.0\.bn1)\.running_var")


def backbone_names(weights: Mapping[str, Any], state: Mapping[str, Tensor]) -> dict[str, str]:
    """Name in ``weights`` -> name in the ``state`` of a model with a timm backbone.

    The file has timm's names, or others' for the same tensors in the same order: each the same part
    of its layer (weight, bias, ...) and of the same shape. What the backbone does not have, such as
    a classifier, is not in the result; {} if the file is something else, such as a whole model.

    Raises:
        ValueError: the file has timm's names, but not all of the backbone's.
    """
    if weights.keys() & state.keys():
        return {}
    backbone = {
        name.partition(_INSIDE)[2]: name
        for name in state
        if name.startswith("network.backbone.") and _INSIDE in name
    }
    if backbone.keys() & weights.keys():
        if missing := [name for name in _counted(backbone) if name not in weights]:
            raise ValueError(
                f"lacks {len(missing)} of the {len(backbone)} tensors of the backbone: "
                f"{', '.join(missing[:5])}"
            )
        return {name: ours for name, ours in backbone.items() if name in weights}
    ours = _counted(backbone.values())
    pairs = [*zip(_counted(weights), ours, strict=False)]
    same = (_kind(given, weights[given]) == _kind(own, state[own]) for given, own in pairs)
    return dict(pairs) if len(pairs) == len(ours) and all(same) else {}


def is_caffe(weights: Mapping[str, Tensor]) -> bool:
    """Whether a ResNet of other code expects BGR frames in [0, 255], as Caffe's do.

    Its norms have their statistics folded into weight and bias. Group norms never had any.
    """
    for name, variance in weights.items():
        if _VARIANCE.fullmatch(name):
            mean = weights.get(name.removesuffix("var") + "mean", variance)
            return not mean.any() and bool(((variance - 1).abs() <= 1e-4).all())
    return "conv1_w" in weights  # Caffe2's names


def _counted(names: Iterable[str]) -> list[str]:
    """The names without those of norms' counters of batches, which files may lack."""
    return [name for name in names if not name.endswith("num_batches_tracked")]


def _kind(name: str, tensor: Any) -> tuple[str, tuple[int, ...]]:
    """What a tensor is in its layer, and its shape."""
    return name.rpartition(".")[2], tuple(tensor.shape)
