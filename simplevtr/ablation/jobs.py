"""From a plan to jobs: each (run, seed) with its commands, in the words that a user would type.

Whether every config of the plan works is asked first, before anything trains.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from simplevtr.ablation.plan import ROOT, Opts, Plan, Run
from simplevtr.data.class_names import settle_classes
from simplevtr.formats.ytvis import load_annotated
from simplevtr.run_config import check_device, setup_cfg

from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from detectron2.modeling import build_model


@dataclass(frozen=True)
class ScoredSet:
    """The one dataset that a run is scored on."""

    name: str
    annotations: str
    area_limits: tuple[float, float]


@dataclass(frozen=True)
class Checked:
    """What a plan's configs say."""

    scored: dict[str, ScoredSet]  # the test set of each run
    start_slots: dict[str, int]  # instance slots of each start


def check_configs(plan: Plan) -> Checked:
    """Build the config and the model of every start and run.

    Raises:
        ValueError: a config does not work; the message names the plan and the run.
    """
    start_slots: dict[str, int] = {}
    scored: dict[str, ScoredSet] = {}
    try:
        for run in plan.runs.values():
            source, trains = plan.source(run), run.evaluate is None
            if source and source not in plan.runs and source not in start_slots:
                where = source
                opts = plan.start_opts(run)
                cfg = _checked_config(plan.start.config, opts, trains=True, weights=True)
                start_slots[source] = cfg.MODEL.SIMPLEVTR.NUM_QUERIES
            where, weights = f"run {run.name!r}", source is None
            cfg = _checked_config(plan.config, plan.opts_of(run), trains=trains, weights=weights)
            if len(cfg.DATASETS.TEST) != 1:
                raise ValueError(
                    f"DATASETS.TEST is {cfg.DATASETS.TEST}; a table has the scores of exactly one "
                    "dataset"
                )
            name = cfg.DATASETS.TEST[0]
            path = MetadataCatalog.get(name).json_file
            if path not in {known.annotations for known in scored.values()}:  # it takes time
                load_annotated(path)
            scored[run.name] = ScoredSet(name, path, tuple(cfg.TEST.AREA_LIMITS))
    except (ValueError, KeyError, OSError) as error:
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        raise ValueError(f"{plan.path}: {where}: {message}") from error
    return Checked(scored, start_slots)


def _words(opts: Opts) -> list[str]:
    """KEY VALUE pairs of a command line."""
    return [str(word) for pair in opts.items() for word in pair]


def _checked_config(config: str, opts: Opts, *, trains: bool, weights: bool) -> CfgNode:
    cfg = setup_cfg(config, _words(opts))
    check_device(cfg)
    settle_classes(cfg, train=trains)
    path = cfg.MODEL.WEIGHTS
    if weights and path and "://" not in path and not Path(path).is_file():
        raise FileNotFoundError(f"MODEL.WEIGHTS {path} does not exist")
    if trains and cfg.SOLVER.MAX_ITER <= 0 and cfg.SOLVER.MAX_EPOCHS <= 0:
        raise ValueError("set SOLVER.MAX_ITER or SOLVER.MAX_EPOCHS to more than 0")
    # A value that no part of the model knows is found only where that part is built.
    on_cpu = cfg.clone()
    on_cpu.MODEL.DEVICE = "cpu"
    build_model(on_cpu)
    return cfg


@dataclass(frozen=True)
class Step:
    """One command, which is left out if the file ``unless`` exists."""

    command: tuple[str, ...]
    unless: Path


@dataclass(frozen=True)
class Job:
    """One (run, seed), or the costs of a run."""

    kind: Literal["start", "train", "evaluate", "cost"]  # "start": no scores; "evaluate": no losses
    run: str  # name of the run or the start
    seed: int | None  # None for costs
    folder: Path  # what it leaves there has the names that ``file`` returns
    settings: dict[str, Any]  # what the result depends on; with other settings it is not valid
    steps: tuple[Step, ...]  # commands, one after the other
    needs: tuple[Path, ...] = ()  # results of other jobs that must be there first

    @property
    def name(self) -> str:
        """For messages, e.g. "base, seed 1"."""
        return f"{self.run}, {'costs' if self.kind == 'cost' else f'seed {self.seed}'}"

    @property
    def result(self) -> Path:
        """The file that says that the job is finished."""
        return self.folder / ("cost.json" if self.kind == "cost" else "result.json")

    def file(self, name: str) -> Path:
        """Where another file is; that of the costs is in the folder of all seeds."""
        return self.folder / (f"cost_{name}" if self.kind == "cost" else name)


@dataclass(frozen=True)
class JobBuilder:
    """Makes the jobs of a plan; ``output`` is the folder of all runs."""

    plan: Plan
    output: Path
    checked: Checked

    def jobs(self, names: list[str], *, cost: bool) -> list[Job]:
        """The jobs of the named runs and of those that they need, in an order that works.

        All runs have one seed before any has two. ``cost``: whether the costs of the runs that
        train are measured as well.
        """
        jobs: dict[Path, Job] = {}
        runs = [self.plan.runs[name] for name in names]
        for seed in dict.fromkeys(seed for run in runs for seed in run.seeds):
            for run in runs:
                if seed in run.seeds:
                    self._add(jobs, run, seed)
        costs = [self._cost(run) for run in runs if cost and not run.evaluate]
        return [*jobs.values(), *costs]

    def _add(self, jobs: dict[Path, Job], run: Run, seed: int) -> None:
        """Add the job of a (run, seed) after those that it needs."""
        source, job = self.plan.source(run), self._job(run, seed)
        if source in self.plan.runs:
            self._add(jobs, self.plan.runs[source], seed)
        elif source:
            jobs.setdefault(self._folder(source, seed), self._start(source, run, seed))
        jobs.setdefault(job.folder, job)

    def _folder(self, name: str, seed: int) -> Path:
        return self.output / name / f"seed_{seed}"

    def _start(self, name: str, run: Run, seed: int) -> Job:
        plan, folder = self.plan, self._folder(name, seed)
        keys = ("SEED", seed, "OUTPUT_DIR", folder, *_words(plan.start_opts(run)))
        command = _command("train_net.py", "--resume", "--config-file", plan.start.config, *keys)
        steps = (Step(command, folder / "model_final.pth"),)
        return Job("start", name, seed, folder, plan.start_settings(run), steps)

    def _job(self, run: Run, seed: int) -> Job:
        plan, folder, steps, needs = self.plan, self._folder(run.name, seed), [], ()
        config = ("--config-file", plan.config)
        keys = ["SEED", seed, "OUTPUT_DIR", folder, *_words(plan.opts_of(run))]
        if source := plan.source(run):
            weights = self._folder(source, seed) / "model_final.pth"
            needs = (self._folder(source, seed) / "result.json",)
            if source not in plan.runs:
                files = (weights, weights := folder / "start.pth")
                slots = self.checked.start_slots[source]
                options = ("--overwrite", "--source-slots", slots, *config)
                adapt = ("tools/convert_checkpoint.py", *files, *options, *keys[4:])
                # A training that has begun reads it no more.
                steps.append(Step(_command(*adapt), folder / "last_checkpoint"))
            keys += ["MODEL.WEIGHTS", weights]
        scores, scored = folder / "scores.json", self.checked.scored[run.name]
        how = ("--eval-only", "--overwrite") if run.evaluate else ("--resume",)
        # Complete scores are those of a complete training. An interrupted one continues.
        steps.append(Step(_command("train_net.py", *how, *config, *keys), scores))
        score = ("tools/evaluate.py", "--gt", scored.annotations)
        score += ("--area-limits", *scored.area_limits)
        score += ("--results", folder / "inference" / scored.name / "results.json")
        steps.append(Step(_command(*score, "--output", scores), scores))
        kind = "evaluate" if run.evaluate else "train"
        return Job(kind, run.name, seed, folder, plan.settings(run), tuple(steps), needs)

    def _cost(self, run: Run) -> Job:
        folder, opts = self.output / run.name, _words(self.plan.opts_of(run))
        options = ("--config-file", self.plan.config, "--threads", 1)
        options += ("--json", folder / "cost.json", *opts)
        steps = (Step(_command("benchmarks/training_step.py", *options), folder / "cost.json"),)
        return Job("cost", run.name, None, folder, self.plan.cost_settings(run), steps)


def _command(script: str, *options: object) -> tuple[str, ...]:
    path, here = ROOT / script, Path.cwd()
    path = path.relative_to(here) if path.is_relative_to(here) else path
    return (sys.executable, str(path), *map(str, options))
