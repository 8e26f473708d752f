"""Track scores as a table for people and as plain values for JSON."""

from __future__ import annotations

import math
from typing import Any

from simplevtr.evaluation.ytvis_eval import TrackScores
from simplevtr.terminal import table_cell

from tabulate import tabulate

_PAIRS_A_ROW = 3  # categories side by side, as in detectron2's tables


def scores_table(scores: TrackScores) -> str:
    """All scores in per cent ("nan" without ground truth), then AP by category that has some."""
    tables = [_table(list(scores.stats), [list(map(_shown, scores.stats.values()))])]
    by_name = {name: row["AP"] for name, row in scores.per_category.items()}
    pairs = [(table_cell(name), _shown(ap)) for name, ap in by_name.items() if not math.isnan(ap)]
    if pairs:
        beside = min(_PAIRS_A_ROW, len(pairs))
        rows = [sum(pairs[i : i + beside], ()) for i in range(0, len(pairs), beside)]
        tables.append(_table(["category", "AP"] * beside, rows))
    return "\n\n".join(tables)


def scores_as_json(scores: TrackScores) -> dict:
    """The scores in per cent as JSON can hold them: None where there is no ground truth.

    Returns:
        The keys of ``TrackScores.stats``, and ``per_category`` with a dict for each name.
    """
    return without_nan({**scores.stats, "per_category": scores.per_category})


def without_nan(value: Any) -> Any:
    """The value as JSON can hold it: None for NaN, also inside dicts, lists and tuples."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _shown(value: float) -> str:
    return f"{value:.3f}"


def _table(headers: list[str], rows: list) -> str:
    # Category names such as "1e5" stay as they are.
    return tabulate(rows, headers=headers, tablefmt="pipe", disable_numparse=True)
