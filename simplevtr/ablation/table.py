"""Results of several seeds -> one row a run, as Markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from simplevtr.ablation.plan import Plan, Run
from simplevtr.terminal import markdown_table, table_cell

SCORES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10")
LOSSES = ("loss", "loss_first")
_COSTS = ("parameters", "trainable", "flops", "peak_bytes", "saved_bytes")
# Column of the table: key of the costs, digits, unit.
_COST_COLUMNS = {
    "parameters (M)": ("parameters", 2, 1e6),
    "GFLOPs": ("flops", 2, 1e9),
    "step (s)": ("step_seconds", 3, 1),
    "ratio": ("step_ratio", 2, 1),
    "peak (MiB)": ("peak_bytes", 0, 2**20),
    "saved (MiB)": ("saved_bytes", 1, 2**20),
}


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (n - 1); None where there are too few values."""

    mean: float | None
    std: float | None
    n: int

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Spread:
        """Of the values that are there."""
        known = [value for value in values if value is not None]
        mean = fmean(known) if known else None
        return cls(mean, stdev(known) if len(known) > 1 else None, len(known))

    def shown(self, digits: int = 1, *, sign: bool = False) -> str:
        """For a table: "12.3 ± 0.4"; "-" for what is not known."""
        if self.mean is None:
            return "-"
        mean = f"{self.mean:+.{digits}f}" if sign else f"{self.mean:.{digits}f}"
        return f"{mean} ± {'-' if self.std is None else f'{self.std:.{digits}f}'}"


@dataclass(frozen=True)
class Row:
    """One run.

    Attributes:
        by_seed: each of ``SCORES`` (per cent) and ``LOSSES`` of every seed, in the order of
            ``seeds``, which are those with a result.
        values: their means and deviations.
        differences: AP minus that of the run it is compared with, seed by seed, of the seeds of
            both; [] for a run that others are compared with.
        cost: ``parameters`` and ``trainable`` (number), ``flops``, ``step_seconds``,
            ``step_ratio`` (to the baseline), ``peak_bytes``, ``saved_bytes``; {} if not measured.
    """

    run: Run
    seeds: tuple[int, ...]
    by_seed: dict[str, list[float | None]]
    values: dict[str, Spread]
    differences: list[float]
    cost: dict[str, float | None]

    @property
    def agreement(self) -> str:
        """How many of the differences have the sign of their mean: "2 of 3"; "" without any."""
        same = sum(difference * sum(self.differences) > 0 for difference in self.differences)
        return f"{same} of {len(self.differences)}" if self.differences else ""


def summarise(
    plan: Plan, results: Mapping[str, Mapping[int, dict]], costs: Mapping[str, dict]
) -> list[Row]:
    """One row for each run with a result, in the order of the plan.

    ``results`` has the content of result.json by run and seed, ``costs`` of cost.json by run.
    """
    base_step = _cost(costs.get(plan.baseline), None).get("step_seconds")
    rows = []
    for name in filter(results.get, plan.runs):
        found = results[name]
        seeds = tuple(sorted(found))
        columns = {key: [found[s].get(key) for s in seeds] for key in (*SCORES, *LOSSES)}
        reference = plan.reference(plan.runs[name])
        others = results.get(reference, {}) if reference != name else {}
        pairs = [(found[s].get("AP"), others[s].get("AP")) for s in seeds if s in others]
        rows.append(
            Row(
                run=plan.runs[name],
                seeds=seeds,
                by_seed=columns,
                values={key: Spread.of(column) for key, column in columns.items()},
                differences=[a - b for a, b in pairs if None not in (a, b)],
                cost=_cost(costs.get(name), base_step),
            )
        )
    return rows


def _cost(content: dict | None, base_step: float | None) -> dict[str, float | None]:
    if content is None:
        return {}
    step = content.get("step_seconds")
    seconds = step.get("median") if isinstance(step, dict) else step
    ratio = seconds / base_step if seconds and base_step else None
    costs = {key: content.get(key) for key in _COSTS}
    return {**costs, "step_seconds": seconds, "step_ratio": ratio}


def markdown(rows: Sequence[Row], baseline: str) -> str:
    """Two tables: scores, and costs where there are any."""
    parts = [
        f"AP in per cent, mean ± sample standard deviation over n seeds; Δ AP is to `{baseline}` "
        "(on another test set to the first run there), seed by seed;\nagree: the seeds whose Δ AP "
        "has the sign of the mean. The loss is that of the last decoder layer, over the last fifth "
        "of the iterations; at first: at the first line of the log.",
        _table(rows, [_score_cells(row) for row in rows]),
    ]
    with_cost = [row for row in rows if row.cost]
    if with_cost:
        parts.append(
            f"One training step on one thread; the ratio is to `{baseline}`. Memory is the peak "
            "of the step, and what the forward pass keeps for the backward pass."
        )
        parts.append(_table(with_cost, [_cost_cells(row) for row in with_cost]))
    return "\n\n".join(parts) + "\n"


def _table(rows: Sequence[Row], cells: list[dict[str, str]]) -> str:
    heads = [(table_cell(r.run.title), f"§{r.run.section}" if r.run.section else "") for r in rows]
    lines = [(*head, *line.values()) for head, line in zip(heads, cells, strict=True)]
    return markdown_table(["run", "section", *cells[0]], lines, left=2)


def _score_cells(row: Row) -> dict[str, str]:
    values, difference = row.values, Spread.of(row.differences)
    return {
        "n": str(len(row.seeds)),
        "AP": values["AP"].shown(),
        "Δ AP": difference.shown(sign=True) if row.differences else "",
        "agree": row.agreement,
        "AP50": values["AP50"].shown(),
        **{key: _number(values[key].mean, 1) for key in ("APs", "APm", "APl")},
        "loss": values["loss"].shown(2),
        "at first": _number(values["loss_first"].mean, 2),
    }


def _cost_cells(row: Row) -> dict[str, str]:
    return {
        column: _number(row.cost[key], digits, unit)
        for column, (key, digits, unit) in _COST_COLUMNS.items()
    }


def _number(value: float | None, digits: int, unit: float = 1) -> str:
    return "-" if value is None else f"{value / unit:.{digits}f}"


def csv_text(rows: Sequence[Row]) -> str:
    """Everything, one line a run; empty cells for what is not known."""
    records = [_record(row) for row in rows]
    columns = list(dict.fromkeys(key for record in records for key in record))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def _record(row: Row) -> dict[str, Any]:
    difference = Spread.of(row.differences)
    record: dict[str, Any] = {
        "name": row.run.name,
        "title": row.run.title,
        "section": row.run.section,
        "kind": "evaluate" if row.run.evaluate else "train",
        "n": len(row.seeds),
        "seeds": " ".join(map(str, row.seeds)),
        "AP_by_seed": " ".join(f"{ap:.4f}" for ap in row.by_seed["AP"] if ap is not None),
        "AP_difference_mean": difference.mean,
        "AP_difference_std": difference.std,
        "AP_difference_n": difference.n,
        "AP_difference_agree": row.agreement,
    }
    for key, spread in row.values.items():
        record |= {f"{key}_mean": spread.mean, f"{key}_std": spread.std}
    return record | row.cost
