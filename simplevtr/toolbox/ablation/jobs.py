"""From a plan to jobs: each (run, seed) with its commands, in the words that a user would type.

Before anything trains, every config of the plan is checked, and whether what an earlier call left
in a job's folder has the plan's settings.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simplevtr.config import default_config
from simplevtr.config_file import flat
from simplevtr.data.builtin import check_registered
from simplevtr.data.class_names import settle_classes
from simplevtr.formats.files import read_json
from simplevtr.formats.ytvis import load_annotated
from simplevtr.run_config import check_device, setup_cfg
from simplevtr.terminal import error_text
from simplevtr.toolbox.ablation.plan import ROOT, Plan, Run, from_anywhere

import msgspec
from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from detectron2.modeling import build_model

Step = tuple[list[str], Path]

_RUN_FILES = ("last_checkpoint", "metrics.json", "model_final.pth", "result.json")


def read_configs(plan: Plan, *, check: bool = False) -> dict[str, CfgNode]:
    """The configs by the names of the runs and starts.

    With ``check``, after each model was built and each test set read.

    ValueError: a config cannot be read, or of a run has not one test set; the message names the
    plan and the run.
    """
    configs: dict[str, CfgNode] = {}
    parts = {part.name: part for run in plan.runs.values() for part in (run.source, run) if part}
    for name, part in parts.items():
        try:
            cfg = configs[name] = setup_cfg(part.config, part.words)
            if check:
                _check_config(part, cfg)
            if part.kind != "start" and len(tests := cfg.DATASETS.TEST) != 1:
                text = "a table has the scores of exactly one dataset"
                raise ValueError(f"DATASETS.TEST is {tests}; {text}")
            check_registered(cfg.DATASETS.TEST)
        except (ValueError, KeyError, OSError) as error:
            where = name if part.kind == "start" else f"run {name!r}"
            raise ValueError(f"{plan.path}: {where}: {error_text(error)}") from error
    if check:
        for path in dict.fromkeys(_test_file(configs[name]) for name in plan.runs):
            load_annotated(path)
    return configs


def _check_config(run: Run, cfg: CfgNode) -> None:
    trains = run.kind != "evaluate"
    check_device(cfg)
    settle_classes(cfg, train=trains)
    path = cfg.MODEL.WEIGHTS
    if run.source is None and path and "://" not in path and not Path(path).is_file():
        raise FileNotFoundError(f"MODEL.WEIGHTS {path} does not exist")
    if trains and cfg.SOLVER.MAX_ITER <= 0 and cfg.SOLVER.MAX_EPOCHS <= 0:
        raise ValueError("set SOLVER.MAX_ITER or SOLVER.MAX_EPOCHS to more than 0")
    # A value that no part of the model allows is found only where that part is built.
    on_cpu = cfg.clone()
    on_cpu.MODEL.DEVICE = "cpu"
    build_model(on_cpu)


def _test_file(cfg: CfgNode) -> str:
    return MetadataCatalog.get(cfg.DATASETS.TEST[0]).json_file


@dataclass(frozen=True, eq=False)
class Job:
    """One (run, seed), or the costs of a run."""

    run: Run
    seed: int | None  # None for costs
    folder: Path  # what it leaves there has the names that ``file`` returns
    steps: list[Step]  # a command each; it is left out if the file exists that comes with it
    settings: dict[str, Any]  # what settings.json holds, see ``job_settings``
    needs: Path | None = None  # result of another job that must be there first

    @property
    def name(self) -> str:
        """For messages, e.g. "base, seed 1"."""
        return f"{self.run.name}, {'costs' if self.seed is None else f'seed {self.seed}'}"

    @property
    def result(self) -> Path:
        """The file whose presence shows that the job is finished."""
        return self.folder / ("cost.json" if self.seed is None else "result.json")

    def file(self, name: str) -> Path:
        """Where another file is; that of the costs is in the folder of all seeds."""
        return self.folder / (f"cost_{name}" if self.seed is None else name)


def make_jobs(
    plan: Plan, names: list[str], output: Path, configs: Mapping[str, CfgNode]
) -> list[Job]:
    """The jobs of the named runs and of those that they need, in an order that works.

    All runs have one seed before any has two. ``output`` is the folder of all runs, ``configs``
    those of ``read_configs``.
    """
    jobs: dict[Path, Job] = {}
    runs = [plan.runs[name] for name in names]

    def add(run: Run, seed: int) -> None:
        if run.source:
            add(run.source, seed)
        folder = output / run.name / f"seed_{seed}"
        jobs.setdefault(folder, _job(run, seed, folder, output, configs))

    for seed in dict.fromkeys(seed for run in runs for seed in run.seeds):
        for run in runs:
            if seed in run.seeds:
                add(run, seed)
    return [*jobs.values()]


def _job(run: Run, seed: int, folder: Path, output: Path, configs: Mapping[str, CfgNode]) -> Job:
    cfg, steps, needs = configs[run.name], [], None
    config, keys = ("--config-file", run.config), ["SEED", seed, "OUTPUT_DIR", folder, *run.words]
    if source := run.source:
        weights = output / source.name / folder.name / "model_final.pth"
        needs = weights.with_name("result.json")
        if source.kind == "start":
            words = [weights, weights := folder / "start.pth", "--overwrite", *config, *run.words]
            begin, model = configs[source.name].MODEL.SIMPLEVTR, cfg.MODEL.SIMPLEVTR
            if begin.HEAD == model.HEAD == "paper":
                words[3:3] = ["--source-slots", begin.NUM_QUERIES]
            begun = folder / "last_checkpoint"  # a training that has begun no longer reads it
            steps.append(_step(begun, "tools/convert_checkpoint.py", *words))
        keys += ["MODEL.WEIGHTS", weights]
    done = folder / ("model_final.pth" if run.kind == "start" else "scores.json")
    how = ("--eval-only", "--overwrite") if run.kind == "evaluate" else ("--resume",)
    # Complete scores are those of a complete training. An interrupted one continues.
    steps.append(_step(done, "train_net.py", *how, *config, *keys))
    if run.kind != "start":
        results = folder / "inference" / cfg.DATASETS.TEST[0] / "results.json"
        options = ("--gt", _test_file(cfg), "--area-limits", *cfg.TEST.AREA_LIMITS)
        options += ("--results", results, "--output", done)
        steps.append(_step(done, "tools/evaluate.py", *options))
    return Job(run, seed, folder, steps, job_settings(run, cfg), needs)


def job_settings(run: Run, cfg: CfgNode) -> dict[str, Any]:
    """What results depend on: the run's settings, and ``values``, as config files change.

    These are what differs from the defaults in the run's config, by key. All is as JSON has it.
    """
    cfg = cfg.clone()
    cfg.MODEL.WEIGHTS = from_anywhere(cfg.MODEL.WEIGHTS) if cfg.MODEL.WEIGHTS else ""
    set_here = ["OUTPUT_DIR", *(["MODEL.WEIGHTS"] if run.source or run.kind == "costs" else [])]
    usual, given = flat(default_config()), flat(cfg)
    changed = {key: value for key, value in given.items() if value != usual.get(key)}
    values = {key: value for key, value in changed.items() if key not in set_here}
    return msgspec.json.decode(msgspec.json.encode({**run.settings, "values": values}))


def cost_job(run: Run, output: Path, cfg: CfgNode) -> Job:
    """The measurement of the costs of a run that trains."""
    folder = output / run.name
    result = folder / "cost.json"
    options = ("--config-file", run.config, "--threads", 1, "--json", result, *run.words)
    step = _step(result, "benchmarks/training_step.py", *options)
    return Job(run.costs, None, folder, [step], job_settings(run.costs, cfg))


def _step(unless: Path, script: str, *options: object) -> Step:
    path, here = ROOT / script, Path.cwd()
    path = path.relative_to(here) if path.is_relative_to(here) else path
    return [sys.executable, str(path), *map(str, options)], unless


def check_settings(job: Job) -> None:
    """Refuse a folder in which the plan's earlier settings have left something.

    Raises:
        ValueError: names what changed and which folder to delete.
    """
    path = job.file("settings.json")
    if path.is_file():
        if changes := changed_settings(read_json(path), job.settings):
            what = f"{job.result} and {path}" if job.seed is None else job.folder
            raise ValueError(
                f"{job.name} was run with other settings ({changes}): delete {what}, "
                "or choose another --output"
            )
    elif job.seed is not None and (found := [n for n in _RUN_FILES if job.file(n).exists()]):
        raise ValueError(
            f"{job.folder} holds a run of unknown settings ({', '.join(found)}, but no "
            f"{path.name}): delete it, or choose another --output"
        )


def refuse_changed_config(job: Job) -> None:
    """ValueError if the job's config files, which its commands read, say now what they did not."""
    now = job_settings(job.run, setup_cfg(job.run.config, job.run.words))
    if changes := changed_settings(job.settings, now):
        raise ValueError(f"not run: its config has changed meanwhile ({changes})")


def changed_settings(before: Any, now: dict[str, Any]) -> str:
    """What differs between the settings of a file and those of the plan; "" if nothing does."""
    before, now = flat(before if isinstance(before, dict) else {}), flat(now)
    keys = [key for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key)]
    pairs = [(key, before.get(key, "not set"), now.get(key, "not set")) for key in keys]
    return "; ".join(f"{key}: {old} before, {new} now" for key, old, new in pairs)
