"""Transformers of another depth: which layer of the source a layer of the model starts from."""

from __future__ import annotations

import re
from collections.abc import Iterable

from simplevtr.conversion.draft import Draft
from simplevtr.conversion.target import Target

STACKS = ("encoder", "decoder")


def pick_layers(have: int, want: int) -> list[int]:
    """Spread ``want`` layers evenly over ``have``: the first and the last stay where they are.

    Args:
        have: layers of the source, >= 1.
        want: layers of the model, >= 0.

    Returns:
        For each layer of the model the layer of the source, round(i (have - 1) / (want - 1)), a
        half to the even number. A single layer is the source's last; with more layers than the
        source has, some are repeated.
    """
    if want == 1:
        return [have - 1]
    return [round(i * (have - 1) / (want - 1)) for i in range(want)]


def refit_layers(draft: Draft, target: Target) -> None:
    """Renumber the layers of the encoder and the decoder if the model has another number."""
    for stack in STACKS:
        pattern = re.compile(rf"(network\.transformer\.{stack}\.)(\d+)(\..+)")
        have, want = _count(pattern, draft.pieces), _count(pattern, target.weights)
        if not have or have == want:
            continue
        picked = pick_layers(have, want)
        rule = f"{stack} layers {have} -> {want}: taken from layers {', '.join(map(str, picked))}"
        unused = f"{stack} layers {have} -> {want}: this layer is not used"
        renamed: dict[str, list[str]] = {}
        for name in [name for name in draft.pieces if pattern.fullmatch(name)]:
            prefix, old, rest = pattern.fullmatch(name).groups()
            renamed[name] = [f"{prefix}{i}{rest}" for i, p in enumerate(picked) if p == int(old)]
            if not renamed[name]:
                del renamed[name]
                draft.drop([name], unused)
        draft.rename(renamed, rule)


def _count(pattern: re.Pattern[str], names: Iterable[str]) -> int:
    matches = (pattern.fullmatch(name) for name in names)
    return max((int(m[2]) + 1 for m in matches if m), default=0)
