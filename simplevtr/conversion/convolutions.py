"""Deformable convolutions of another kind or offset kernel, and first convolutions of Caffe.

At rest, that is with an offset layer of zeros, a deformable v1 layer is a plain convolution, and a
v2 layer is one times sigmoid(0) = 1/2.

The ResNets of Caffe in detectron2's zoo ("MSRA") and most detectors trained from them take BGR
frames in [0, 255] from which only the mean is subtracted. The statistics of their norms are folded
into weight and bias, which is how they are told.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from simplevtr.conversion.draft import Draft, Target

import torch
import torch.nn.functional as F
from torch import Tensor

TAPS = 9
OUTPUTS = {"dcnv1": 2 * TAPS, "dcnv2": 3 * TAPS}  # of the offset layer
AT_REST = {"plain": 1.0, "dcnv1": 1.0, "dcnv2": 0.5}
STEM = "network.backbone.stem.conv1.weight"
CAFFE_MEAN = (123.675, 116.280, 103.530)  # of R, G, B
_STEM_NORM = "network.backbone.stem.conv1.norm."
_LAYER = re.compile(r"(network\.mask_head\.deform\.\d+\.(?:conv\.)?)weight")
_LOGIT = re.compile(r"(network\.mask_head\.deform\.\d+\.)weight")


def kind_of(weights: Mapping[str, Tensor], prefix: str) -> str:
    """Kind of the 3x3 layer ``prefix``, "plain", "dcnv1" or "dcnv2", from its offset layer.

    Raises:
        ValueError: if the offset layer belongs to neither kind.
    """
    offset = weights.get(f"{prefix}offset.weight")
    if offset is None:
        return "plain"
    for kind, outputs in OUTPUTS.items():
        if len(offset) == outputs:
            return kind
    raise ValueError(
        f"{prefix}offset.weight has {len(offset)} outputs; 18 (v1) and 27 (v2) are known"
    )


def refit_outputs(offset: Tensor, outputs: int) -> Tensor:
    """Give an offset layer's weight or bias (18 or 27, ...) ``outputs`` rows.

    The offsets come first in both kinds. Added rows are zero: modulation at rest.
    """
    if len(offset) >= outputs:
        return offset[:outputs]
    return F.pad(offset, (0, 0) * (offset.dim() - 1) + (0, outputs - len(offset)))


def refit_kernel(weight: Tensor, kernel: int) -> Tensor:
    """Give an offset layer's weight (outputs, C, k, k), k odd, an odd kernel size.

    A smaller kernel is put into the centre of zeros, which is the same function; of a larger one
    the centre is taken, which is not.
    """
    margin = (kernel - weight.shape[-1]) // 2
    return F.pad(weight, (margin, margin, margin, margin))  # negative margins cut


def refit_deform(draft: Draft, target: Target) -> None:
    """Give every deformable layer the model's kind and offset kernel.

    Only layers whose 3x3 weight has the model's shape; the offsets of others are left out.
    """
    have, want = _prefixes(_LOGIT, draft.pieces), _prefixes(_LOGIT, target.weights)
    if len(have) == len(want) == 1 and have != want:  # the layer that gives the logit, the last
        old = [name for name in draft.pieces if name.startswith(have[0])]
        names = {name: [want[0] + name.removeprefix(have[0])] for name in old}
        draft.rename(names, "the logit layer stays the last of the deformable ones")
    for prefix in _prefixes(_LAYER, target.weights):
        piece = draft.pieces.get(f"{prefix}weight")
        if piece is None or piece.tensor.shape != target.weights[f"{prefix}weight"].shape:
            reason = "the layer that these offsets belong to does not fit"
            draft.drop(_offsets(draft, prefix), reason)
            continue
        offset = target.weights.get(f"{prefix}offset.weight")
        kernel = 1 if offset is None else offset.shape[-1]
        refit_layer(draft, prefix, kind_of(target.weights, prefix), kernel)


def refit_layer(draft: Draft, prefix: str, want: str, kernel: int) -> None:
    """Give the 3x3 layer ``prefix`` another kind, and its offset layer, if any, the kernel size."""
    weight, offset = f"{prefix}weight", f"{prefix}offset.weight"
    have = kind_of({name: piece.tensor for name, piece in draft.pieces.items()}, prefix)
    factor = AT_REST[have] / AT_REST[want]
    if factor != 1:
        how = "1/2, what modulation at rest makes of it"
        if want == "dcnv2":
            how = "2, as modulation starts at 1/2: the same function"
        rule = f"{have} -> {want}: weight times {how}"
        draft.put(weight, draft.pieces[weight].tensor * factor, rule)
    if want == "plain":
        reason = f"{have} -> plain: a plain convolution has no offsets"
        draft.drop(_offsets(draft, prefix), reason)
    if "plain" in (have, want):
        return
    for name in _offsets(draft, prefix):
        tensor, outputs = draft.pieces[name].tensor, OUTPUTS[want]
        if len(tensor) != outputs:
            how = "zeros for the" if len(tensor) < outputs else "without the"
            draft.put(name, refit_outputs(tensor, outputs), f"{have} -> {want}: {how} modulation")
    tensor = draft.pieces[offset].tensor
    if (size := tensor.shape[-1]) != kernel:
        how = "in the centre of zeros, the same function" if size < kernel else "its centre alone"
        draft.put(offset, refit_kernel(tensor, kernel), f"offset kernel {size} -> {kernel}: {how}")


def _offsets(draft: Draft, prefix: str) -> list[str]:
    names = (f"{prefix}offset.weight", f"{prefix}offset.bias")
    return [name for name in names if name in draft.pieces]


def _prefixes(pattern: re.Pattern[str], names: Iterable[str]) -> list[str]:
    return [match[1] for name in names if (match := pattern.fullmatch(name))]


def to_scaled_rgb(weight: Tensor, std: Sequence[float]) -> Tensor:
    """A first convolution (N, 3, k, k) for RGB divided by ``std`` that returns the same.

    That of ``weight`` is for B, G, R in [0, 255] less their mean.
    """
    return weight.flip(1) * weight.new_tensor(std)[:, None, None]


def has_folded_statistics(draft: Draft) -> bool:
    """Whether the norm behind the first convolution has no statistics of its own."""
    if f"{_STEM_NORM}weight" not in draft.pieces:
        return False
    mean, variance = (draft.pieces.get(f"{_STEM_NORM}running_{key}") for key in ("mean", "var"))
    if mean is None or variance is None:
        return True
    folded = torch.ones_like(variance.tensor)
    return not mean.tensor.any() and torch.allclose(variance.tensor, folded, atol=1e-4)


def refit_stem(draft: Draft, target: Target) -> None:
    """Turn a first convolution for Caffe's frames into one for the model's.

    Raises:
        ValueError: if the model subtracts another mean.
    """
    if STEM not in draft.pieces:
        return
    if any(abs(a - b) > 0.01 for a, b in zip(target.pixel_mean, CAFFE_MEAN, strict=True)):
        raise ValueError(
            f"the source expects frames less {CAFFE_MEAN} (RGB), and MODEL.PIXEL_MEAN is "
            f"{tuple(target.pixel_mean)}"
        )
    draft.put(
        STEM,
        to_scaled_rgb(draft.pieces[STEM].tensor, target.pixel_std),
        "BGR in [0, 255] (Caffe's) -> RGB divided by MODEL.PIXEL_STD: the same function; the "
        "bottlenecks of these weights expect MODEL.RESNETS.STRIDE_IN_1X1 True",
    )
