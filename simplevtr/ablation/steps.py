"""From a plan to jobs: each (run, seed) with its commands, in the words that a user would type."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simplevtr.ablation.plan import START, Opts, Plan, Run


@dataclass(frozen=True)
class Step:
    """One command, which is left out if one of the files in ``unless`` exists."""

    command: tuple[str, ...]
    unless: tuple[Path, ...] = ()

    def needed(self) -> bool:
        """Whether the command is still to be run."""
        return not any(path.exists() for path in self.unless)


@dataclass(frozen=True)
class ScoredSet:
    """The one dataset that a run is scored on."""

    name: str
    annotations: str
    area_limits: tuple[float, float]


@dataclass(frozen=True)
class Job:
    """One (run, seed), or the costs of a run.

    Attributes:
        name: for messages, e.g. "base, seed 1".
        run: name of the run, or "start".
        seed: None for costs, which have none.
        folder: where it writes ``commands.txt`` and ``console.txt``.
        result: the file that says that the job is finished.
        settings: what the result depends on; with other settings it is not valid.
        steps: commands, one after the other.
        needs: results of other jobs that must be there first.
        alone: whether no other job may run at the same time.
        trains: whether its folder has the metrics of a training.
        scores: what ``tools/evaluate.py`` writes; None without scores.
    """

    name: str
    run: str
    seed: int | None
    folder: Path
    result: Path
    settings: dict[str, Any]
    steps: tuple[Step, ...]
    needs: tuple[Path, ...] = ()
    alone: bool = False
    trains: bool = True
    scores: Path | None = None


def words(opts: Opts) -> list[str]:
    """KEY VALUE pairs of a command line."""
    return [str(word) for pair in opts.items() for word in pair]


@dataclass(frozen=True)
class JobBuilder:
    """Makes the jobs of a plan.

    Attributes:
        plan: the plan.
        output: folder of all runs.
        root: folder of ``train_net.py``, ``tools`` and ``benchmarks``.
        scored_sets: by the name of the run; needed for ``jobs`` alone.
        start_slots: instance slots of the plan's start, which its weights do not tell.
    """

    plan: Plan
    output: Path
    root: Path
    scored_sets: Mapping[str, ScoredSet] = field(default_factory=dict)
    start_slots: int | None = None

    def jobs(self, names: list[str], *, cost: bool) -> list[Job]:
        """The jobs of the named runs and of those that they need, in an order that works.

        Args:
            names: runs; all their seeds are taken, so that all runs have one seed before any has
                two.
            cost: whether the costs of the runs that train are measured as well.
        """
        jobs: dict[Path, Job] = {}
        runs = [self.plan.runs[name] for name in names]
        for seed in dict.fromkeys(seed for run in runs for seed in run.seeds):
            for run in runs:
                if seed in run.seeds:
                    self._add(jobs, run, seed)
        if cost:
            for job in (self._cost(run) for run in runs if not run.evaluate):
                jobs[job.result] = job
        return list(jobs.values())

    def _add(self, jobs: dict[Path, Job], run: Run, seed: int) -> None:
        if run.source:
            self._add(jobs, self.plan.runs[run.source], seed)
        if self.plan.uses_start(run):
            job = self._start(seed)
            jobs.setdefault(job.result, job)
        job = self._evaluation(run, seed) if run.evaluate else self._training(run, seed)
        jobs.setdefault(job.result, job)

    def folder(self, name: str, seed: int) -> Path:
        """The folder of a (run, seed)."""
        return self.output / name / f"seed_{seed}"

    def settings(self, run: Run) -> dict[str, Any]:
        """What a run's results depend on, whatever the seed: its own and those it starts from."""
        plan = self.plan
        result = self.cost_settings(run)
        if run.start_from:
            result["start_from"] = self.settings(plan.runs[run.start_from])
        if run.evaluate:
            result["evaluate"] = self.settings(plan.runs[run.evaluate])
        if plan.uses_start(run):
            result["start"] = self._start_settings()
        return result

    def cost_settings(self, run: Run) -> dict[str, Any]:
        """What a run's costs depend on."""
        return {"config": self._name(self.plan.config), "opts": self.plan.opts_of(run)}

    def _start_settings(self) -> dict[str, Any]:
        start = self.plan.start
        return {"config": self._name(Path(start.config)), "opts": start.opts}

    def _name(self, config: Path) -> str:
        """The same wherever the command was called from."""
        config, root = config.resolve(), self.root.resolve()
        return str(config.relative_to(root) if config.is_relative_to(root) else config)

    def _start(self, seed: int) -> Job:
        start, folder = self.plan.start, self.folder(START, seed)
        command = self._train(Path(start.config), seed, folder, start.opts)
        return Job(
            name=f"start, seed {seed}",
            run=START,
            seed=seed,
            folder=folder,
            result=folder / "result.json",
            settings=self._start_settings(),
            steps=(Step(command, unless=(folder / "model_final.pth",)),),
        )

    def _training(self, run: Run, seed: int) -> Job:
        folder, opts, steps, needs = self.folder(run.name, seed), self.plan.opts_of(run), [], ()
        if run.start_from:
            source = self.folder(run.start_from, seed)
            opts = {**opts, "MODEL.WEIGHTS": source / "model_final.pth"}
            needs = (source / "result.json",)
        elif self.plan.uses_start(run):
            source, weights = self.folder(START, seed), folder / "start.pth"
            needs = (source / "result.json",)
            tool = self._script("tools/convert_checkpoint.py")
            command = (*tool, str(source / "model_final.pth"), str(weights), "--overwrite")
            if self.start_slots is not None:
                command += ("--source-slots", str(self.start_slots))
            command += ("--config-file", str(self.plan.config), *words(opts))
            # A training that has begun reads it no more.
            steps.append(Step(command, unless=(folder / "last_checkpoint",)))
            opts = {**opts, "MODEL.WEIGHTS": weights}
        scores = folder / "scores.json"
        # Complete scores are those of a complete training. An interrupted one continues.
        steps.append(Step(self._train(self.plan.config, seed, folder, opts), unless=(scores,)))
        steps.append(self._score(run.name, folder))
        return self._scored(run, seed, steps, needs, trains=True)

    def _evaluation(self, run: Run, seed: int) -> Job:
        folder, source = self.folder(run.name, seed), self.folder(run.evaluate, seed)
        opts = {**self.plan.opts_of(run), "MODEL.WEIGHTS": source / "model_final.pth"}
        head = (*self._script("train_net.py"), "--eval-only", "--overwrite")
        head += ("--config-file", str(self.plan.config))
        command = (*head, "SEED", str(seed), "OUTPUT_DIR", str(folder), *words(opts))
        steps = [Step(command, unless=(folder / "scores.json",)), self._score(run.name, folder)]
        return self._scored(run, seed, steps, (source / "result.json",), trains=False)

    def _scored(
        self, run: Run, seed: int, steps: list[Step], needs: tuple[Path, ...], *, trains: bool
    ) -> Job:
        folder = self.folder(run.name, seed)
        return Job(
            name=f"{run.name}, seed {seed}",
            run=run.name,
            seed=seed,
            folder=folder,
            result=folder / "result.json",
            settings=self.settings(run),
            steps=tuple(steps),
            needs=needs,
            trains=trains,
            scores=folder / "scores.json",
        )

    def _cost(self, run: Run) -> Job:
        folder = self.output / run.name
        result = folder / "cost.json"
        command = self._script("benchmarks/training_step.py")
        command += ("--config-file", str(self.plan.config), "--threads", "1")
        command += ("--json", str(result), *words(self.plan.opts_of(run)))
        return Job(
            name=f"{run.name}, costs",
            run=run.name,
            seed=None,
            folder=folder,
            result=result,
            settings=self.cost_settings(run),
            steps=(Step(command, unless=(result,)),),
            alone=True,
        )

    def _train(self, config: Path, seed: int, folder: Path, opts: Opts) -> tuple[str, ...]:
        head = (*self._script("train_net.py"), "--resume", "--config-file", str(config))
        return (*head, "SEED", str(seed), "OUTPUT_DIR", str(folder), *words(opts))

    def _score(self, name: str, folder: Path) -> Step:
        scores = folder / "scores.json"
        scored = self.scored_sets[name]
        predictions = folder / "inference" / scored.name / "results.json"
        command = (*self._script("tools/evaluate.py"), "--gt", scored.annotations)
        command += ("--area-limits", *map(str, scored.area_limits))
        command += ("--results", str(predictions), "--output", str(scores))
        return Step(command, unless=(scores,))

    def _script(self, name: str) -> tuple[str, ...]:
        path = self.root / name
        here = Path.cwd()
        return (sys.executable, str(path.relative_to(here) if path.is_relative_to(here) else path))
