"""Results of several seeds -> one row a run, as Markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simplevtr.ablation.plan import Plan
from simplevtr.ablation.spread import Spread

from tabulate import tabulate

SCORES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10")
LOSSES = ("loss", "loss_first")
_MILLION, _BILLION, _MIB = 1e6, 1e9, 2**20


@dataclass(frozen=True)
class Row:
    """One run.

    Attributes:
        seeds: seeds with a result.
        values: of each of ``SCORES`` (per cent) and ``LOSSES`` over the seeds.
        by_seed: AP and loss of every seed, in the order of ``seeds``.
        difference: AP minus the baseline's AP of the same seed, over the seeds of both.
        cost: ``parameters`` and ``trainable`` (number), ``flops``, ``step_seconds``,
            ``step_ratio`` (to the baseline), ``peak_bytes``, ``saved_bytes``; {} if not measured.
    """

    name: str
    title: str
    section: str
    kind: str
    seeds: tuple[int, ...]
    values: dict[str, Spread]
    by_seed: dict[str, list[float | None]]
    difference: Spread
    cost: dict[str, float | None]


def summarise(
    plan: Plan, results: Mapping[str, Mapping[int, dict]], costs: Mapping[str, dict]
) -> list[Row]:
    """One row for each run with a result, in the order of the plan.

    Args:
        plan: names, titles and the baseline.
        results: content of result.json by run and seed.
        costs: content of cost.json by run.
    """
    baseline = {s: result.get("AP") for s, result in results.get(plan.baseline, {}).items()}
    base_step = _cost(costs.get(plan.baseline)).get("step_seconds")
    rows = []
    for run in plan.runs.values():
        found = results.get(run.name, {})
        if not found:
            continue
        seeds = tuple(sorted(found))
        columns = {key: [found[s].get(key) for s in seeds] for key in (*SCORES, *LOSSES)}
        pairs = [(found[s].get("AP"), baseline.get(s)) for s in seeds]
        cost = _cost(costs.get(run.name))
        step = cost.get("step_seconds")
        if cost:
            cost["step_ratio"] = step / base_step if step and base_step else None
        rows.append(
            Row(
                name=run.name,
                title=run.title,
                section=run.section,
                kind="evaluate" if run.evaluate else "train",
                seeds=seeds,
                values={key: Spread.of(column) for key, column in columns.items()},
                by_seed={key: columns[key] for key in ("AP", "loss")},
                difference=Spread.of([a - b for a, b in pairs if None not in (a, b)]),
                cost=cost,
            )
        )
    return rows


def _cost(content: dict | None) -> dict[str, float | None]:
    if content is None:
        return {}
    keys = ("parameters", "trainable", "flops", "peak_bytes", "saved_bytes")
    step = content.get("step_seconds")
    seconds = step.get("median") if isinstance(step, dict) else step
    return {**{key: content.get(key) for key in keys}, "step_seconds": seconds}


def markdown(rows: Sequence[Row], baseline: str) -> str:
    """Two tables: scores, and costs where there are any."""
    parts = [
        f"AP in per cent, mean ± sample standard deviation over n seeds; Δ AP is to `{baseline}`, "
        "seed by seed.\nThe loss is that of the last decoder layer, over the last fifth of the "
        "iterations; at first: at the first line of the log.",
        _table([_score_cells(row, baseline) for row in rows]),
    ]
    with_cost = [row for row in rows if row.cost]
    if with_cost:
        parts.append(
            f"One training step on one thread; the ratio is to `{baseline}`. Memory is the peak "
            "of the step, and what the forward pass keeps for the backward pass."
        )
        parts.append(_table([_cost_cells(row) for row in with_cost]))
    return "\n\n".join(parts) + "\n"


def _table(rows: list[dict[str, str]]) -> str:
    align = ["left", "left"] + ["right"] * (len(rows[0]) - 2)
    rows = [{key: cell.replace("|", "\\|") for key, cell in row.items()} for row in rows]
    return tabulate(rows, headers="keys", tablefmt="pipe", disable_numparse=True, colalign=align)


def _head_cells(row: Row) -> dict[str, str]:
    return {"run": row.title, "section": f"§{row.section}" if row.section else ""}


def _score_cells(row: Row, baseline: str) -> dict[str, str]:
    values = row.values
    return {
        **_head_cells(row),
        "n": str(len(row.seeds)),
        "AP": values["AP"].shown(),
        "Δ AP": "" if row.name == baseline else row.difference.shown(sign=True),
        "AP50": values["AP50"].shown(),
        "APs": _number(values["APs"].mean, 1),
        "APm": _number(values["APm"].mean, 1),
        "APl": _number(values["APl"].mean, 1),
        "loss": values["loss"].shown(2),
        "at first": _number(values["loss_first"].mean, 2),
    }


def _cost_cells(row: Row) -> dict[str, str]:
    cost = row.cost
    return {
        **_head_cells(row),
        "parameters (M)": _number(cost["parameters"], 2, _MILLION),
        "GFLOPs": _number(cost["flops"], 2, _BILLION),
        "step (s)": _number(cost["step_seconds"], 3),
        "ratio": _number(cost["step_ratio"], 2),
        "peak (MiB)": _number(cost["peak_bytes"], 0, _MIB),
        "saved (MiB)": _number(cost["saved_bytes"], 1, _MIB),
    }


def _number(value: float | None, digits: int, unit: float = 1.0) -> str:
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
    record: dict[str, Any] = {
        "name": row.name,
        "title": row.title,
        "section": row.section,
        "kind": row.kind,
        "n": len(row.seeds),
        "seeds": " ".join(map(str, row.seeds)),
        "AP_difference_mean": row.difference.mean,
        "AP_difference_std": row.difference.std,
        "AP_difference_n": row.difference.n,
    }
    for key, spread in row.values.items():
        record |= {f"{key}_mean": spread.mean, f"{key}_std": spread.std}
    return record | row.cost
