"""Transformers of another depth, and query embeddings with another number of frames or slots.

Rows of queries are frame-major, row = t Q + q. Queries without a frame axis count as those of one
frame.
"""

import re
from collections.abc import Iterable

from simplevtr.conversion.draft import Draft, Target
from simplevtr.conversion.layouts import Layout

import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor

QUERIES = "network.query_embedding.weight"


def pick_layers(have: int, want: int) -> list[int]:
    """Spread ``want`` layers evenly over ``have``: the first and the last stay where they are.

    Layer i starts from round(i (have - 1) / (want - 1)), a half to the even number. A single layer
    starts from the source's last; with more layers than the source has, some are repeated.
    """
    if want == 1:
        return [have - 1]
    return [round(i * (have - 1) / (want - 1)) for i in range(want)]


def refit_layers(draft: Draft, target: Target) -> None:
    """Renumber the layers of the encoder and the decoder if the model has another number."""
    for stack in ("encoder", "decoder"):
        pattern = re.compile(rf"(network\.transformer\.{stack}\.)(\d+)(\..+)")
        have, want = _count(pattern, draft.pieces), _count(pattern, target.weights)
        if not have or have == want:
            continue
        picked = pick_layers(have, want)
        rule = f"{stack} layers {have} -> {want}: taken from layers {', '.join(map(str, picked))}"
        unused = f"{stack} layers {have} -> {want}: this layer is not used"
        renamed: dict[str, list[str]] = {}
        for match in [m for name in draft.pieces if (m := pattern.fullmatch(name))]:
            prefix, old, rest = match.groups()
            if new := [f"{prefix}{i}{rest}" for i, p in enumerate(picked) if p == int(old)]:
                renamed[match[0]] = new
            else:
                draft.drop([match[0]], unused)
        draft.rename(renamed, rule)


def _count(pattern: re.Pattern[str], names: Iterable[str]) -> int:
    matches = (pattern.fullmatch(name) for name in names)
    return max((int(m[2]) + 1 for m in matches if m), default=0)


def refit_frames(queries: Tensor, frames: int) -> Tensor:
    """Give queries (T, Q, C) another number of frames.

    Returns:
        (frames, Q, C): the mean over the frames if one is wanted, copies if there is one, else
        linear interpolation along time in which the first and the last frame keep theirs.
    """
    have, slots = queries.shape[:2]
    if have == frames:
        return queries
    if frames == 1:
        return queries.float().mean(dim=0, keepdim=True).to(queries.dtype)
    if have == 1:
        return repeat(queries, "1 q c -> t q c", t=frames)
    lines = rearrange(queries.float(), "t q c -> 1 (q c) t")
    lines = F.interpolate(lines, size=frames, mode="linear", align_corners=True)
    return rearrange(lines, "1 (q c) t -> t q c", q=slots).to(queries.dtype)


def refit_slots(queries: Tensor, initial: Tensor) -> Tensor:
    """Take the first slots of ``queries`` (T, Q, C) into a copy of ``initial`` (T, Q', C)."""
    result = initial.clone()
    slots = min(queries.shape[1], initial.shape[1])
    result[:, :slots] = queries[:, :slots].to(result.dtype)
    return result


def refit_queries(draft: Draft, target: Target, layout: Layout, source_slots: int | None) -> None:
    """Give the query embedding the model's number of frames and slots.

    Without ``source_slots``, slots a frame of the source, the layout or the rows tell.

    Raises:
        ValueError: if the rows are no multiple of the slots, or could be either slots without
            frames or slots of several frames.
    """
    if QUERIES not in draft.pieces or QUERIES not in target.weights:
        return
    source, initial = draft.pieces[QUERIES].tensor, target.weights[QUERIES]
    if source.shape[1:] != initial.shape[1:]:
        return
    if source_slots is not None and source_slots < 1:
        raise ValueError(f"source_slots is {source_slots}; it must be at least 1")
    slots = source_slots or _slots(len(source), target, layout)
    if len(source) % slots:
        raise ValueError(
            f"the source has {len(source)} queries, no multiple of {slots} slots; "
            "say how many slots a frame it has (--source-slots)"
        )
    have = (len(source) // slots, slots)
    want = (max(target.query_frames, 1), target.slots)
    if have == want:
        return
    queries = refit_frames(rearrange(source, "(t q) c -> t q c", q=slots), want[0])
    if have[1] != want[1]:
        queries = refit_slots(queries, rearrange(initial, "(t q) c -> t q c", q=target.slots))
    draft.put(QUERIES, rearrange(queries, "t q c -> (t q) c"), _rule(have, want))


def _slots(rows: int, target: Target, layout: Layout) -> int:
    if layout.slots is not None:
        return layout.slots
    if not layout.has_frames:
        return rows
    if rows == len(target.weights[QUERIES]):
        return target.slots
    if rows > target.slots and rows % target.slots == 0:
        raise ValueError(
            f"the source's {rows} queries may be {rows} slots without frames or {target.slots} "
            f"slots of {rows // target.slots} frames; say which (--source-slots)"
        )
    return rows


def _rule(have: tuple[int, int], want: tuple[int, int]) -> str:
    steps = []
    if have[0] != want[0]:
        way = "repeated over the frames" if have[0] == 1 else "interpolated along time"
        if want[0] == 1:
            way = "their mean over the frames"
        steps.append(f"frames {have[0]} -> {want[0]}, {way}")
    if have[1] != want[1]:
        rest = "the others initial" if want[1] > have[1] else "the others left out"
        steps.append(f"slots {have[1]} -> {want[1]}, the first {min(have[1], want[1])}, {rest}")
    return f"queries: {'; '.join(steps)}"
