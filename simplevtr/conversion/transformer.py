"""Transformers of another depth, and query embeddings with another number of frames or slots.

Rows of queries are frame-major, row = t Q + q. Queries without a frame axis count as those of one
frame.
"""

import re
from collections.abc import Iterable

from simplevtr.conversion.draft import Draft, Target
from simplevtr.conversion.layouts import Layout

import torch.nn.functional as F
from einops import rearrange
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
        have, want = _layers(stack, draft.pieces), _layers(stack, target.weights)
        before, after = (max(layers.values(), default=-1) + 1 for layers in (have, want))
        if before in (0, after):
            continue
        picked = pick_layers(before, after)
        change = f"{stack} layers {before} -> {after}"
        renamed = {}
        for name, layer in have.items():
            places = [place for place, source in enumerate(picked) if source == layer]
            if places:
                old = f".{stack}.{layer}."
                renamed[name] = [name.replace(old, f".{stack}.{i}.", 1) for i in places]
            else:
                draft.drop(name, f"{change}: this layer is not used")
        draft.rename(renamed, f"{change}: taken from layers {', '.join(map(str, picked))}")


def _layers(stack: str, names: Iterable[str]) -> dict[str, int]:
    """The number of its layer by the name of each tensor in the encoder or the decoder."""
    pattern = re.compile(rf"network\.transformer\.{stack}\.(\d+)\..+")
    return {name: int(match[1]) for name in names if (match := pattern.fullmatch(name))}


def refit_frames(queries: Tensor, frames: int) -> Tensor:
    """Give queries (T, Q, C) another number of frames.

    Returns:
        (frames, Q, C): the mean over the frames if one is wanted, else linear interpolation along
        time in which the first and the last frame keep theirs; of a single frame that is copies.
    """
    if len(queries) == frames:
        return queries
    exact = queries.double()
    if frames == 1:
        return exact.mean(dim=0, keepdim=True).to(queries.dtype)
    lines = rearrange(exact, "t q c -> q c t")
    lines = F.interpolate(lines, size=frames, mode="linear", align_corners=True)
    return rearrange(lines, "q c t -> t q c").to(queries.dtype)


def refit_queries(draft: Draft, target: Target, layout: Layout, source_slots: int | None) -> None:
    """Give the query embedding the model's number of frames and slots.

    Of fewer slots the first are taken, further ones are initial. Without ``source_slots``, slots
    per frame of the source, the layout or the rows decide.

    Raises:
        ValueError: if the rows are not a multiple of the slots, or could be either slots without
            frames or slots of several frames, or the model has no use for ``source_slots``.
    """
    if QUERIES not in target.weights and source_slots is not None:
        raise ValueError(f"--source-slots: the model has no {QUERIES}, whose rows it counts")
    if QUERIES not in draft.pieces or QUERIES not in target.weights:
        return
    source, initial = draft.pieces[QUERIES].tensor, target.weights[QUERIES]
    if source.shape[1:] != initial.shape[1:]:
        return
    slots = source_slots or _slots(len(source), target, layout)
    if len(source) % slots:
        raise ValueError(
            f"the source has {len(source)} queries, not a multiple of {slots} slots; "
            "say how many slots per frame it has (--source-slots)"
        )
    have, want = len(source) // slots, max(target.query_frames, 1)
    if (have, slots) == (want, target.slots):
        return
    steps = []
    queries = refit_frames(rearrange(source, "(t q) c -> t q c", q=slots), want)
    if have != want:
        way = "repeated over the frames" if have == 1 else "interpolated along time"
        way = "their mean over the frames" if want == 1 else way
        steps.append(f"frames {have} -> {want}, {way}")
    if slots != target.slots:
        kept, found = min(slots, target.slots), queries
        queries = rearrange(initial, "(t q) c -> t q c", q=target.slots).clone()
        queries[:, :kept] = found[:, :kept].to(queries.dtype)
        rest = "initial" if kept == slots else "left out"
        steps.append(f"slots {slots} -> {target.slots}, the first {kept}, the others {rest}")
    draft.put(QUERIES, rearrange(queries, "t q c -> (t q) c"), f"queries: {'; '.join(steps)}")


def _slots(rows: int, target: Target, layout: Layout) -> int:
    if layout.slots is not None:
        return layout.slots or rows
    if rows == len(target.weights[QUERIES]):
        return target.slots
    if rows > target.slots and rows % target.slots == 0:
        raise ValueError(
            f"the source's {rows} queries may be {rows} slots without frames or {target.slots} "
            f"slots of {rows // target.slots} frames; say which (--source-slots)"
        )
    return rows
