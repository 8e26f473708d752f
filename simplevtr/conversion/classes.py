"""Class heads of other rows: unused leading indices come and go, other classes start anew."""

from __future__ import annotations

from simplevtr.conversion.draft import Draft, Target
from simplevtr.conversion.layouts import Layout

import torch
from torch import Tensor

WEIGHT, BIAS = "network.class_head.weight", "network.class_head.bias"
# Logit of a class index that no category uses: its probability is 0 in float32.
UNUSED_LOGIT = -100.0


def shift_classes(rows: Tensor, offset: int, new_offset: int, unused: float) -> Tensor:
    """Replace the unused leading rows of a class layer.

    Args:
        rows: (offset + K + 1, ...), the last of them "no object".
        offset: unused leading rows.
        new_offset: unused leading rows of the result.
        unused: their value.

    Returns:
        (new_offset + K + 1, ...).
    """
    return torch.cat([rows.new_full((new_offset, *rows.shape[1:]), unused), rows[offset:]])


def keep_no_object(rows: Tensor, initial: Tensor) -> Tensor:
    """A copy of ``initial`` (N', ...) with the last row, "no object", of ``rows`` (N, ...)."""
    result = initial.clone()
    result[-1] = rows[-1].to(result.dtype)
    return result


def refit_classes(draft: Draft, target: Target, layout: Layout, source_offset: int | None) -> None:
    """Give the class head the model's rows.

    Equal rows are taken as they are, unless ``source_offset`` says that they mean other classes.
    With as many classes behind other offsets the rows move; with other classes only the last row,
    "no object", is taken.

    Args:
        draft: changed in place.
        target: the model.
        layout: of the source, which has a usual offset.
        source_offset: unused leading rows of the source; None for the usual.
    """
    offset = layout.class_offset if source_offset is None else source_offset
    as_it_is = source_offset in (None, target.class_offset)
    for name, unused in ((WEIGHT, 0.0), (BIAS, UNUSED_LOGIT)):
        if name not in draft.pieces or name not in target.weights:
            continue
        rows, initial = draft.pieces[name].tensor, target.weights[name]
        have, want = len(rows), len(initial)
        if (have == want and as_it_is) or rows.shape[1:] != initial.shape[1:]:
            continue
        if have - offset == want - target.class_offset:
            shifted = shift_classes(rows, offset, target.class_offset, unused)
            draft.put(
                name,
                shifted,
                f"classes: rows {have} -> {want}, unused leading rows {offset} -> "
                f"{target.class_offset}",
            )
        else:
            draft.put(
                name,
                keep_no_object(rows, initial),
                f'classes: rows {have} -> {want} are other classes; only "no object", the last '
                "row, is taken, the others are initial",
            )
