"""Class heads of other rows: classes go by name where names are known, else start anew."""

from collections.abc import Sequence

from simplevtr.conversion.draft import Draft, Target
from simplevtr.conversion.layouts import Layout
from simplevtr.data.categories import match_categories, plain_name

WEIGHT, BIAS = "network.class_head.weight", "network.class_head.bias"
_DENSE = "network.dense_head."  # of single cells: without "no object"
# Logit of a class index that no category uses: its probability is 0 in float32.
UNUSED_LOGIT = -100.0


def refit_classes(
    draft: Draft,
    target: Target,
    layout: Layout,
    source_offset: int | None,
    source_classes: Sequence[str] | None,
) -> None:
    """Give the class heads the model's rows: unused leading ones, classes, and last "no object".

    Where both sides' class names are known and differ, rows go by name: an index means another
    class in YTVIS-2021 than in 2019. Else equal rows are taken as they are, unless
    ``source_offset`` says that they mean other classes; as many classes after other offsets move;
    and of other classes only the last row, "no object", is taken.

    ``source_offset`` (unused leading rows) and ``source_classes`` are None for those of the layout.

    Raises:
        ValueError: the number of the source's rows does not match its classes.
    """
    offset = layout.class_offset if source_offset is None else source_offset
    as_it_is = source_offset in (None, target.class_offset)
    names = layout.classes if source_classes is None else tuple(source_classes)
    same = [*map(plain_name, names)] == [*map(plain_name, target.classes)]
    by_name = bool(names and target.classes) and not same
    for name in (WEIGHT, BIAS, f"{_DENSE}weight", f"{_DENSE}bias"):
        if name not in draft.pieces or name not in target.weights:
            continue
        unused, last = UNUSED_LOGIT * name.endswith("bias"), int(not name.startswith(_DENSE))
        rows, fitted = draft.pieces[name].tensor, target.weights[name].clone()
        have, want, expected = len(rows), len(fitted), offset + len(names) + last
        if source_classes is not None and have != expected:
            raise ValueError(
                f"the source's {name} has {have} rows, but {len(names)} classes, {offset} unused "
                f"leading ones{' and no object' * last} make {expected}"
            )
        if rows.shape[1:] != fitted.shape[1:]:
            continue
        fitted[want - last :] = rows[have - last :]
        if by_name and have == expected:
            row_of = {n: row for row, n in enumerate(names, start=offset) if n}
            found = match_categories(dict.fromkeys(row_of), target.classes)
            for n, place in found.items():
                fitted[place - last - len(target.classes)] = rows[row_of[n]]
            rest = ' and "no object"' * last + " by their names, others initial"
            rule = f"{len(found)} of {len(target.classes)}{rest}"
        elif have == want and as_it_is:
            continue
        elif have - offset == want - target.class_offset:
            fitted = rows.new_full(fitted.shape, unused)
            fitted[target.class_offset :] = rows[offset:]
            rule = f"rows {have} -> {want}, unused leading rows {offset} -> {target.class_offset}"
        else:
            kept = 'only "no object", the last row, is taken, the others' if last else "all"
            rule = f"rows {have} -> {want} are other classes; {kept} are initial"
        draft.put(name, fitted, f"classes: {rule}")
