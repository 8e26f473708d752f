"""Class heads of other rows: classes go by name where names are known, else start anew."""

from collections.abc import Mapping, Sequence

from simplevtr.conversion.draft import Draft, Target
from simplevtr.conversion.layouts import Layout
from simplevtr.data.categories import match_categories, plain_name

import torch
from torch import Tensor

WEIGHT, BIAS = "network.class_head.weight", "network.class_head.bias"
# Logit of a class index that no category uses: its probability is 0 in float32.
UNUSED_LOGIT = -100.0


def shift_classes(rows: Tensor, offset: int, new_offset: int, unused: float) -> Tensor:
    """Give a class layer (offset + K + 1, ...) ``new_offset`` leading rows of the value ``unused``.

    Returns:
        (new_offset + K + 1, ...), the last row "no object" in both.
    """
    return torch.cat([rows.new_full((new_offset, *rows.shape[1:]), unused), rows[offset:]])


def keep_no_object(rows: Tensor, initial: Tensor) -> Tensor:
    """A copy of ``initial`` (N', ...) with the last row, "no object", of ``rows`` (N, ...)."""
    result = initial.clone()
    result[-1] = rows[-1].to(result.dtype)
    return result


def _rows_by_name(
    rows: Tensor,
    names: Sequence[str],
    initial: Tensor,
    wanted: Sequence[str],
    kinds: Mapping[str, str],
) -> tuple[Tensor, int]:
    """``initial`` with the rows (K + 1, ...) of equal names, and how many classes have one."""
    result = keep_no_object(rows, initial)
    row_of = {name: row for row, name in enumerate(names) if name}
    places = match_categories({name: kinds.get(name) for name in row_of}, wanted)
    found = {index: row_of[name] for name, index in places.items() if index is not None}
    first = len(initial) - 1 - len(wanted)
    for index, row in found.items():
        result[first + index] = rows[row].to(result.dtype)
    return result, len(found)


def refit_classes(
    draft: Draft,
    target: Target,
    layout: Layout,
    source_offset: int | None,
    source_classes: Sequence[str] | None,
) -> None:
    """Give the class head the model's rows.

    Where both sides' class names are known and differ, rows go by name: an index means another
    class in YTVIS-2021 than in 2019. Else equal rows are taken as they are, unless
    ``source_offset`` says that they mean other classes; as many classes behind other offsets move;
    and of other classes only the last row, "no object", is taken.

    ``source_offset`` (unused leading rows) and ``source_classes`` are None for those of the layout.

    Raises:
        ValueError: if the source has not as many rows as classes.
    """
    offset = layout.class_offset if source_offset is None else source_offset
    as_it_is = source_offset in (None, target.class_offset)
    names = layout.classes if source_classes is None else tuple(source_classes)
    same = [*map(plain_name, names)] == [*map(plain_name, target.classes)]
    by_name = bool(names and target.classes) and not same
    for name, unused in ((WEIGHT, 0.0), (BIAS, UNUSED_LOGIT)):
        if name not in draft.pieces or name not in target.weights:
            continue
        rows, initial = draft.pieces[name].tensor, target.weights[name]
        have, want = len(rows), len(initial)
        expected = offset + len(names) + 1
        if source_classes is not None and have != expected:
            raise ValueError(
                f"the source's class head has {have} rows, but {len(names)} classes, {offset} "
                f"unused leading ones and no object make {expected}"
            )
        if rows.shape[1:] != initial.shape[1:]:
            continue
        if by_name and have == expected:
            kinds = layout.kinds if source_classes is None else {}
            fitted, found = _rows_by_name(rows[offset:], names, initial, target.classes, kinds)
            count = len(target.classes)
            rule = f'{found} of {count} and "no object" by their names, others initial'
        elif have == want and as_it_is:
            continue
        elif have - offset == want - target.class_offset:
            fitted = shift_classes(rows, offset, target.class_offset, unused)
            rule = f"rows {have} -> {want}, unused leading rows {offset} -> {target.class_offset}"
        else:
            fitted = keep_no_object(rows, initial)
            rule = f"rows {have} -> {want} are other classes; only "
            rule += '"no object", the last row, is taken, the others are initial'
        draft.put(name, fitted, f"classes: {rule}")
