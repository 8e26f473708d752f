"""What a run leaves in its folder -> its result.json."""

from __future__ import annotations

import logging
import os
import shlex
from pathlib import Path
from statistics import fmean, median
from typing import Any

from simplevtr.ablation.plan import Plan
from simplevtr.ablation.steps import Job, JobBuilder
from simplevtr.formats.files import read_json, write_bytes
from simplevtr.formats.metrics import Curve, read_metrics

import msgspec

logger = logging.getLogger(__name__)

FINAL_TERMS = ("loss_ce", "loss_bbox", "loss_giou", "loss_mask", "loss_dice")
"""Losses of the last decoder layer; comparable between different numbers of layers."""

COST_SETTINGS = "cost_settings.json"
_RUN_FILES = ("last_checkpoint", "metrics.json", "model_final.pth", "result.json")
_LAST_PART = 0.2  # of the iterations: what ``loss`` is the mean of


def write_result(job: Job) -> None:
    """Write ``result.json`` of a finished (run, seed).

    Raises:
        FileNotFoundError: the commands left no metrics or scores.
        ValueError: they cannot be read.
    """
    result: dict[str, Any] = {"name": job.run, "seed": job.seed}
    result["commands"] = [shlex.join(step.command) for step in job.steps]
    result["settings"] = job.settings
    if job.scores is not None:
        scores = read_json(job.scores)
        result |= {key: value for key, value in scores.items() if key != "per_category"}
    if job.trains:
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
    losses = final_losses(curves)
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


def final_losses(curves: dict[str, Curve]) -> list[list[float]]:
    """The sum of the final-layer terms at every iteration that has all of them."""
    terms = [dict(curves[name]) for name in FINAL_TERMS if name in curves]
    if not terms:
        return []
    common = set.intersection(*(set(term) for term in terms))
    return [[i, sum(term[i] for term in terms)] for i in sorted(common)]


def write_json(path: Path, content: Any) -> None:
    """Write a file in one step; values that are no number become null, paths text."""
    text = msgspec.json.format(msgspec.json.encode(content, enc_hook=str), indent=1)
    write_bytes(path, text + b"\n", overwrite=True)


def _plain(value: Any) -> Any:
    """The value as ``write_json`` and ``read_json`` give it back."""
    return msgspec.json.decode(msgspec.json.encode(value, enc_hook=str))


def check_settings(job: Job) -> None:
    """Refuse a folder in which the plan's earlier settings have left something.

    Raises:
        ValueError: names what changed and which folder to delete.
    """
    path = settings_file(job)
    if not path.is_file():
        found = [name for name in _RUN_FILES if (job.folder / name).exists()]
        if found and job.seed is not None:
            raise ValueError(
                f"{job.folder} holds a run of unknown settings ({', '.join(found)}, but no "
                f"{path.name}): delete it, or choose another --output"
            )
        return
    before, now = read_json(path), _plain(job.settings)
    if before != now:
        what = job.result if job.seed is None else job.folder
        raise ValueError(
            f"{job.name} was run with other settings ({'; '.join(_changes(before, now))}): "
            f"delete {what}{f' and {path}' if job.seed is None else ''}, "
            "or choose another --output"
        )


def collect(
    plan: Plan, builder: JobBuilder, output: Path
) -> tuple[dict[str, dict[int, dict]], dict[str, dict]]:
    """The results at hand: by run and seed, and costs by run.

    Results of other settings than the plan's are left out, with a warning.
    """
    results: dict[str, dict[int, dict]] = {}
    costs = {}
    for name, run in plan.runs.items():
        for path in sorted((output / name).glob("seed_*/result.json")):
            result = read_json(path)
            if _same(path, result["settings"], builder.settings(run)):
                results.setdefault(name, {})[result["seed"]] = result
        path, settings = output / name / "cost.json", output / name / COST_SETTINGS
        if path.is_file() and settings.is_file():
            if _same(path, read_json(settings), builder.cost_settings(run)):
                costs[name] = read_json(path)
    return results, costs


def _same(path: Path, before: Any, now: Any) -> bool:
    changes = _changes(before, _plain(now))
    if changes:
        logger.warning("%s is left out; its settings differ: %s", path, "; ".join(changes))
    return not changes


def settings_file(job: Job) -> Path:
    """Where a job's settings are kept from before its first command on."""
    return job.folder / (COST_SETTINGS if job.seed is None else "settings.json")


def _changes(before: Any, now: Any, key: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted(before.keys() | now.keys())
        absent = "not set"
        return [
            change
            for name in keys
            for change in _changes(before.get(name, absent), now.get(name, absent), name)
        ]
    return [] if before == now else [f"{key}: {before} before, {now} now"]
