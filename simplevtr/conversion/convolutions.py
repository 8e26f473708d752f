"""Deformable convolutions of another kind or offset kernel, and first convolutions of Caffe.

At rest, that is with an offset layer of zeros, a deformable v1 layer is a plain convolution, and a
v2 layer is one times sigmoid(0) = 1/2.

The ResNets of Caffe in detectron2's zoo ("MSRA") and most detectors trained from them take BGR
frames in [0, 255] from which only the mean is subtracted; its ResNeXts' are also divided.
"""

import re
from collections.abc import Iterable

from simplevtr.conversion.draft import Draft, Target

import torch.nn.functional as F
from torch import Tensor

OUTPUTS = {"dcnv1": 18, "dcnv2": 27}  # of the offset layer, two or three for each of nine taps
AT_REST = {"plain": 1.0, "dcnv1": 1.0, "dcnv2": 0.5}
STEM = "network.backbone.stem.conv1.weight"
_RESNEXT_STD = (58.395, 57.120, 57.375)  # RGB
_CONV2 = "network.backbone.res2.0.conv2.weight"
_LAYER = re.compile(r"(network\.mask_head\.deform\.\d+\.(?:conv\.)?)weight")
_LOGIT = re.compile(r"(network\.mask_head\.deform\.\d+\.)weight")


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
            for name in _offsets(draft, prefix):
                draft.drop(name, "the layer that these offsets belong to does not fit")
            continue
        offset = target.weights.get(f"{prefix}offset.weight")
        kernel = 1 if offset is None else offset.shape[-1]
        refit_layer(draft, prefix, _kind(offset, prefix), kernel)


def _prefixes(pattern: re.Pattern[str], names: Iterable[str]) -> list[str]:
    return [match[1] for name in names if (match := pattern.fullmatch(name))]


def _kind(offset: Tensor | None, prefix: str) -> str:
    """The kind of a 3x3 layer with this offset layer."""
    if offset is None:
        return "plain"
    for kind, outputs in OUTPUTS.items():
        if len(offset) == outputs:
            return kind
    raise ValueError(
        f"{prefix}offset.weight has {len(offset)} outputs; 18 (v1) and 27 (v2) are known"
    )


def _offsets(draft: Draft, prefix: str) -> list[str]:
    names = (f"{prefix}offset.weight", f"{prefix}offset.bias")
    return [name for name in names if name in draft.pieces]


def refit_layer(draft: Draft, prefix: str, want: str, kernel: int) -> None:
    """Give the 3x3 layer ``prefix`` another kind, and its offset layer, if any, the kernel size.

    Offsets come before modulation in the outputs of an offset layer. Added outputs, and what is
    around the centre of a larger kernel, are zero: the same function.
    """
    weight, offset = f"{prefix}weight", f"{prefix}offset.weight"
    piece = draft.pieces.get(offset)
    have = _kind(None if piece is None else piece.tensor, prefix)
    factor = AT_REST[have] / AT_REST[want]
    if factor != 1:
        how = "1/2, what modulation at rest makes of it"
        if want == "dcnv2":
            how = "2, as modulation starts at 1/2: the same function"
        rule = f"{have} -> {want}: weight times {how}"
        draft.put(weight, draft.pieces[weight].tensor * factor, rule)
    if want == "plain":
        for name in _offsets(draft, prefix):
            draft.drop(name, f"{have} -> plain: a plain convolution has no offsets")
    if "plain" in (have, want):
        return
    for name in _offsets(draft, prefix):
        tensor = draft.pieces[name].tensor
        if more := OUTPUTS[want] - len(tensor):
            how = "zeros for the" if more > 0 else "without the"
            tensor = F.pad(tensor, (0, 0) * (tensor.dim() - 1) + (0, more))  # below 0 it cuts
            draft.put(name, tensor, f"{have} -> {want}: {how} modulation")
    tensor = draft.pieces[offset].tensor
    if margin := (kernel - tensor.shape[-1]) // 2:
        how = "in the centre of zeros, the same function" if margin > 0 else "its centre alone"
        rule = f"offset kernel {tensor.shape[-1]} -> {kernel}: {how}"
        draft.put(offset, F.pad(tensor, (margin,) * 4), rule)


def is_grouped(draft: Draft) -> bool:
    """Whether the backbone is a ResNeXt, whose 3x3 convolutions have groups."""
    return _CONV2 in draft.pieces and len(w := draft.pieces[_CONV2].tensor) > w.shape[1]


def refit_stem(draft: Draft, target: Target) -> None:
    """Turn a first convolution for Caffe's frames into one for the model's."""
    piece, wanted = draft.pieces.get(STEM), target.weights.get(STEM)
    if piece is None:
        raise ValueError("the source is Caffe's, and this model has no place for its first layer")
    if wanted is None or piece.tensor.shape != wanted.shape:
        return
    weight = piece.tensor.flip(1)  # (N, 3, k, k)
    scale = weight.new_tensor(target.settings["MODEL.PIXEL_STD"])
    frames = "BGR in [0, 255]"
    if is_grouped(draft):
        scale /= weight.new_tensor(_RESNEXT_STD)
        frames = "BGR divided by ImageNet's deviation"
    rule = f"{frames} (Caffe's) -> RGB divided by MODEL.PIXEL_STD: the same function"
    draft.put(STEM, weight * scale[:, None, None], rule)
