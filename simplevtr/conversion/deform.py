"""Deformable convolutions of another kind or with another offset kernel.

At rest, that is with an offset layer of zeros, a v1 layer is a plain convolution, and a v2 layer
is one times sigmoid(0) = 1/2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from simplevtr.conversion.draft import Draft, Piece, Target

import torch.nn.functional as F
from torch import Tensor

TAPS = 9
OUTPUTS = {"dcnv1": 2 * TAPS, "dcnv2": 3 * TAPS}  # of the offset layer
AT_REST = {"plain": 1.0, "dcnv1": 1.0, "dcnv2": 0.5}
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
    _move_logit_layer(draft, target)
    for prefix in _prefixes(_LAYER, target.weights):
        weight, offset, bias = (prefix + k for k in ("weight", "offset.weight", "offset.bias"))
        offsets = [name for name in (offset, bias) if name in draft.pieces]
        wanted = target.weights[weight]
        if weight not in draft.pieces or draft.pieces[weight].tensor.shape != wanted.shape:
            draft.drop(offsets, "the layer that these offsets belong to does not fit")
            continue
        tensors = {name: piece.tensor for name, piece in draft.pieces.items()}
        have, want = kind_of(tensors, prefix), kind_of(target.weights, prefix)
        factor = AT_REST[have] / AT_REST[want]
        if factor != 1:
            draft.put(weight, tensors[weight] * factor, _kind_rule(have, want))
        if want == "plain":
            draft.drop(offsets, f"{have} -> plain: a plain convolution has no offsets")
        elif have != "plain":
            for name in offsets:
                _refit_offset(draft, name, len(target.weights[name]), f"{have} -> {want}")
            if offset in draft.pieces:
                refit_offset_kernel(draft, offset, target.weights[offset].shape[-1])


def refit_offset_kernel(draft: Draft, name: str, kernel: int) -> None:
    """Give the offset layer's weight ``name`` the kernel size, with the rule that says so."""
    weight = draft.pieces[name].tensor
    have = weight.shape[-1]
    if have != kernel:
        how = "in the centre of zeros, the same function" if have < kernel else "its centre alone"
        draft.put(name, refit_kernel(weight, kernel), f"offset kernel {have} -> {kernel}: {how}")


def _refit_offset(draft: Draft, name: str, outputs: int, change: str) -> None:
    tensor = draft.pieces[name].tensor
    if len(tensor) < outputs:
        draft.put(name, refit_outputs(tensor, outputs), f"{change}: zeros for the modulation")
    elif len(tensor) > outputs:
        draft.put(name, refit_outputs(tensor, outputs), f"{change}: without the modulation")


def _kind_rule(have: str, want: str) -> str:
    if want == "dcnv2":
        return f"{have} -> {want}: weight times 2, as modulation starts at 1/2: the same function"
    return f"{have} -> {want}: weight times 1/2, what modulation at rest makes of it"


def _move_logit_layer(draft: Draft, target: Target) -> None:
    """Number the layer that gives the logit, the last, as the model does."""
    have, want = _prefixes(_LOGIT, draft.pieces), _prefixes(_LOGIT, target.weights)
    if len(have) != 1 or len(want) != 1 or have == want:
        return
    for name in [n for n in draft.pieces if n.startswith(have[0])]:
        piece = draft.pieces.pop(name)
        rule = "the logit layer stays the last of the deformable ones"
        draft.pieces[want[0] + name.removeprefix(have[0])] = Piece(
            piece.tensor, piece.sources, (*piece.rules, rule)
        )


def _prefixes(pattern: re.Pattern[str], names: Iterable[str]) -> list[str]:
    return [match[1] for name in names if (match := pattern.fullmatch(name))]
