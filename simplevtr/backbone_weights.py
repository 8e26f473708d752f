"""Files with the weights of a timm backbone alone: which tensor is which of the model's."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

_INSIDE = ".features.model."  # what a ``TimmBackbone`` has in front of timm's own names


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
    if not ours or len(pairs) < len(ours):
        return {}
    if any(_kind(given, weights[given]) != _kind(own, state[own]) for given, own in pairs):
        return {}
    return dict(pairs)


def norm_is_folded(weights: Mapping[str, Tensor], norm: str) -> bool:
    """Whether the ``norm`` whose tensors' names begin so has no statistics of its own.

    That of the first convolution tells Caffe's ResNets, whose frames are BGR in [0, 255].
    """
    if f"{norm}weight" not in weights:
        return False
    mean, variance = (weights.get(f"{norm}running_{key}") for key in ("mean", "var"))
    if mean is None or variance is None:
        return True
    return not mean.any() and torch.allclose(variance, torch.ones_like(variance), atol=1e-4)


def _counted(names: Iterable[str]) -> list[str]:
    """The names without those of norms' counters of batches, which files may lack."""
    return [name for name in names if not name.endswith("num_batches_tracked")]


def _kind(name: str, tensor: Any) -> tuple[str, tuple[int, ...]]:
    """What a tensor is in its layer, and its shape."""
    return name.rpartition(".")[2], tuple(tensor.shape)
