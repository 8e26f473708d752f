"""What a run leaves in its folder -> its result.json."""

import logging
import os
import shlex
from pathlib import Path
from statistics import fmean, median
from typing import Any

from simplevtr.ablation.jobs import Job
from simplevtr.ablation.plan import Plan
from simplevtr.formats.files import read_json, write_bytes
from simplevtr.formats.metrics import read_metrics

import msgspec

logger = logging.getLogger(__name__)

FINAL_TERMS = ("loss_ce", "loss_bbox", "loss_giou", "loss_mask", "loss_dice")
"""Losses of the last decoder layer; comparable between different numbers of layers."""

_RUN_FILES = ("last_checkpoint", "metrics.json", "model_final.pth", "result.json")
_LAST_PART = 0.2  # of the iterations: what ``loss`` is the mean of


def write_result(job: Job) -> None:
    """Write ``result.json`` of a finished (run, seed).

    Raises:
        FileNotFoundError: the commands left no metrics or scores.
        ValueError: they cannot be read.
    """
    commands = [shlex.join(step.command) for step in job.steps]
    result: dict[str, Any] = {"name": job.run, "seed": job.seed, "commands": commands}
    result["settings"] = job.settings
    if job.kind != "start":
        result |= read_json(job.folder / "scores.json")
        result.pop("per_category", None)
    if job.kind != "evaluate":
        result |= summarise_training(job.folder)
    write_json(job.result, result)


def summarise_training(folder: str | os.PathLike) -> dict[str, Any]:
    """Losses and times from a run's metrics.json.

    Returns:
        ``losses`` [[iteration, sum of the final-layer terms], ...], each the median of about 20
        iterations; ``loss`` their mean over the last fifth of the iterations; ``loss_first`` the
        first of them; ``iterations``; ``seconds_per_iteration``, the median, None if unknown.
    """
    curves = read_metrics(folder)
    terms = [dict(curves[name]) for name in FINAL_TERMS if name in curves]
    common = set.intersection(*map(set, terms)) if terms else ()
    losses = [[iteration, sum(term[iteration] for term in terms)] for iteration in sorted(common)]
    if not losses:
        raise ValueError(f"{Path(folder) / 'metrics.json'}: has none of {', '.join(FINAL_TERMS)}")
    total = losses[-1][0] + 1
    late = [value for iteration, value in losses if iteration + 1 > (1 - _LAST_PART) * total]
    times = [seconds for _, seconds in curves.get("time", [])]
    return {
        "loss": fmean(late),
        "loss_first": losses[0][1],
        "losses": losses,
        "iterations": total,
        "seconds_per_iteration": median(times) if times else None,
    }


def write_json(path: Path, content: Any) -> None:
    """Write a file in one step; values that are no number become null, paths text."""
    text = msgspec.json.format(msgspec.json.encode(content, enc_hook=str), indent=1)
    write_bytes(path, text + b"\n", overwrite=True)


def check_settings(job: Job) -> None:
    """Refuse a folder in which the plan's earlier settings have left something.

    Raises:
        ValueError: names what changed and which folder to delete.
    """
    path = job.file("settings.json")
    if path.is_file():
        if changes := _changes(read_json(path), job.settings):
            what = f"{job.result} and {path}" if job.kind == "cost" else job.folder
            raise ValueError(
                f"{job.name} was run with other settings ({changes}): delete {what}, "
                "or choose another --output"
            )
    elif job.kind != "cost":
        if found := [name for name in _RUN_FILES if (job.folder / name).exists()]:
            raise ValueError(
                f"{job.folder} holds a run of unknown settings ({', '.join(found)}, but no "
                f"{path.name}): delete it, or choose another --output"
            )


def collect(plan: Plan, output: Path) -> tuple[dict[str, dict[int, dict]], dict[str, dict]]:
    """The results at hand: by run and seed, and costs by run.

    Results of other settings than the plan's are left out, with a warning.
    """
    results: dict[str, dict[int, dict]] = {}
    costs = {}
    for name, run in plan.runs.items():
        for path in sorted((output / name).glob("seed_*/result.json")):
            result = read_json(path)
            if _same(path, result["settings"], plan.settings(run)):
                results.setdefault(name, {})[result["seed"]] = result
        path, settings = output / name / "cost.json", output / name / "cost_settings.json"
        if path.is_file() and settings.is_file():
            if _same(path, read_json(settings), plan.cost_settings(run)):
                costs[name] = read_json(path)
    return results, costs


def _same(path: Path, before: Any, now: Any) -> bool:
    if changes := _changes(before, now):
        logger.warning("%s is left out; its settings differ: %s", path, changes)
    return not changes


def _changes(before: Any, now: Any) -> str:
    """What differs between the settings of a file and those of the plan; "" if nothing does."""

    def changes(before: Any, now: Any, key: str) -> list[str]:
        if isinstance(before, dict) and isinstance(now, dict):
            names = sorted(before.keys() | now.keys())
            pairs = [(before.get(n, "not set"), now.get(n, "not set"), n) for n in names]
            return [change for pair in pairs for change in changes(*pair)]
        return [] if before == now else [f"{key}: {before} before, {now} now"]

    # As write_json and read_json give the plan's back.
    now = msgspec.json.decode(msgspec.json.encode(now, enc_hook=str))
    return "; ".join(changes(before, now, ""))
