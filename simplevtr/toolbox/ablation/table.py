"""Results of several seeds -> one row per run, as Markdown and CSV."""

import csv
import io
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from simplevtr.formats.files import read_json
from simplevtr.terminal import markdown_table, mean_and_deviation, mean_text, table_cell
from simplevtr.toolbox.ablation.jobs import changed_settings, cost_job, make_jobs
from simplevtr.toolbox.ablation.plan import Plan

from detectron2.config import CfgNode

logger = logging.getLogger(__name__)

Record = dict[str, Any]  # of a run, by the column of table.csv

_COLUMNS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "loss", "loss_first")
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


def collect(
    plan: Plan, output: Path, configs: Mapping[str, CfgNode]
) -> tuple[dict[str, dict[int, dict]], dict[str, dict]]:
    """The results at hand of the plan's seeds, by run and seed, and costs by run.

    Results of other settings than the plan's, or that began with weights of such, are left out,
    with a warning. ``configs`` are those of the plan, see ``read_configs``.
    """
    results: dict[str, dict[int, dict]] = {}
    costs = {}
    jobs = make_jobs(plan, [*plan.runs], output, configs)
    jobs += [cost_job(run, output, configs[name]) for name, run in plan.runs.items()]
    outdated: set[Path | None] = set()
    for job in jobs:
        settings = job.file("settings.json")
        before = read_json(settings) if settings.is_file() else {}
        why = changed_settings(before, job.settings)
        if job.needs in outdated:
            why = why or f"it began with {job.needs}"
        if why:
            outdated.add(job.result)
        if not job.result.is_file() or job.run.kind == "start":
            continue
        if why:
            logger.warning("%s is left out; other settings: %s", job.result, why)
        elif not isinstance(result := read_json(job.result), dict):
            raise ValueError(f"{job.result} is not a result; delete the folder it lies in")
        elif job.seed is None:
            costs[job.run.name] = result
        else:
            results.setdefault(job.run.name, {})[job.seed] = result
    return {name: results[name] for name in plan.runs if name in results}, costs


def summarise(
    plan: Plan, results: Mapping[str, Mapping[int, dict]], costs: Mapping[str, dict]
) -> list[Record]:
    """What table.csv has of each run with a result, in the order of the plan.

    ``results`` and ``costs`` are what ``collect`` returned. ``AP_difference`` is the AP minus that
    of the run it is compared with, seed by seed, of the seeds of both; ``AP_difference_agree`` how
    many have the sign of the mean, "2 of 3", "" for a run that others are compared with. Costs that
    were not measured are left out.
    """
    base_cost = costs.get(plan.baseline)
    records = []
    for name in filter(results.get, plan.runs):
        run, found, reference = plan.runs[name], results[name], plan.reference(plan.runs[name])
        seeds = sorted(found)
        others = results.get(reference, {}) if reference != name else {}
        pairs = [(found[s].get("AP"), others[s].get("AP")) for s in seeds if s in others]
        differences = [a - b for a, b in pairs if a is not None and b is not None]
        agree = sum(difference * sum(differences) > 0 for difference in differences)
        mean, deviation = mean_and_deviation(differences)
        aps = (found[s].get("AP") for s in seeds)
        record: Record = {
            "name": name,
            "title": run.title,
            "section": run.section,
            "kind": run.kind,
            "n": len(seeds),
            "seeds": " ".join(map(str, seeds)),
            "AP_by_seed": " ".join(f"{ap:.4f}" for ap in aps if ap is not None),
            "AP_difference_mean": mean,
            "AP_difference_std": deviation,
            "AP_difference_n": len(differences),
            "AP_difference_agree": f"{agree} of {len(differences)}" if differences else "",
        }
        for key in _COLUMNS:
            spread = mean_and_deviation(found[s].get(key) for s in seeds)
            record[f"{key}_mean"], record[f"{key}_std"] = spread
        if name in costs:
            step = costs[name]["step_seconds"]["median"]
            record |= {key: costs[name].get(key) for key in _COSTS}
            record["step_seconds"] = step
            record["step_ratio"] = base_cost and step / base_cost["step_seconds"]["median"]
        records.append(record)
    return records


def markdown(records: Sequence[Record], baseline: str) -> str:
    """Two tables: scores, and costs where there are any."""
    parts = [
        f"AP in per cent, mean ± sample standard deviation over n seeds; Δ AP is to `{baseline}` "
        "(on another test set to the first run there), seed by seed;\nagree: the seeds whose Δ AP "
        "has the sign of the mean. The loss is that of the last decoder layer, over the last fifth "
        "of the iterations; at first: at the first line of the log.",
        _table(records, _score_cells),
    ]
    if with_cost := [record for record in records if "step_seconds" in record]:
        parts.append(
            f"One training step on one thread; the ratio is to `{baseline}`. Memory is the peak "
            "of the step, and what the forward pass keeps for the backward pass."
        )
        parts.append(_table(with_cost, _cost_cells))
    return "\n\n".join(parts) + "\n"


def _table(records: Sequence[Record], cells: Callable[[Record], dict[str, str]]) -> str:
    lines = []
    for record in records:
        section = f"§{record['section']}" if record["section"] else ""
        lines.append([table_cell(record["title"]), section, *cells(record).values()])
    return markdown_table(["run", "section", *cells(records[0])], lines, left=2)


def _score_cells(record: Record) -> dict[str, str]:
    def spread(key: str, digits: int = 1, *, sign: bool = False) -> str:
        return mean_text(record[f"{key}_mean"], record[f"{key}_std"], digits, sign=sign)

    return {
        "n": str(record["n"]),
        "AP": spread("AP"),
        "Δ AP": spread("AP_difference", sign=True) if record["AP_difference_n"] else "",
        "agree": record["AP_difference_agree"],
        "AP50": spread("AP50"),
        **{key: _number(record[f"{key}_mean"], 1) for key in ("APs", "APm", "APl")},
        "loss": spread("loss", 2),
        "at first": _number(record["loss_first_mean"], 2),
    }


def _cost_cells(record: Record) -> dict[str, str]:
    return {
        column: _number(record[key], digits, unit)
        for column, (key, digits, unit) in _COST_COLUMNS.items()
    }


def _number(value: float | None, digits: int, unit: float = 1) -> str:
    return "-" if value is None else f"{value / unit:.{digits}f}"


def csv_text(records: Sequence[Record]) -> str:
    """Everything, one line per run; empty cells for what is not known."""
    columns = list(dict.fromkeys(key for record in records for key in record))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()
