"""From a plan to jobs: each (run, seed) with its commands, in the words that a user would type."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from simplevtr.ablation.checks import Checked, words
from simplevtr.ablation.plan import ROOT, START, Plan, Run


@dataclass(frozen=True)
class Step:
    """One command, which is left out if the file ``unless`` exists."""

    command: tuple[str, ...]
    unless: Path


@dataclass(frozen=True)
class Job:
    """One (run, seed), or the costs of a run.

    Attributes:
        kind: what it does; a "start" has no scores, an "evaluate" no losses.
        run: name of the run, or "start".
        seed: None for costs, which have none.
        folder: what it leaves there goes by the names that ``file`` gives.
        settings: what the result depends on; with other settings it is not valid.
        steps: commands, one after the other.
        needs: results of other jobs that must be there first.
    """

    kind: Literal["start", "train", "evaluate", "cost"]
    run: str
    seed: int | None
    folder: Path
    settings: dict[str, Any]
    steps: tuple[Step, ...]
    needs: tuple[Path, ...] = ()

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
        costs = [self._cost(run) for run in runs if cost and not run.evaluate]
        return [*jobs.values(), *costs]

    def _add(self, jobs: dict[Path, Job], run: Run, seed: int) -> None:
        """Add the job of a (run, seed) after those that it needs."""
        source = self.plan.source(run)
        if source == START:
            job = self._start(seed)
            jobs.setdefault(job.folder, job)
        elif source:
            self._add(jobs, self.plan.runs[source], seed)
        job = self._job(run, seed)
        jobs.setdefault(job.folder, job)

    def _folder(self, name: str, seed: int) -> Path:
        return self.output / name / f"seed_{seed}"

    def _start(self, seed: int) -> Job:
        start, folder = self.plan.start, self._folder(START, seed)
        keys = ("SEED", seed, "OUTPUT_DIR", folder, *words(start.opts))
        command = _command("train_net.py", "--resume", "--config-file", start.config, *keys)
        steps = (Step(command, folder / "model_final.pth"),)
        return Job("start", START, seed, folder, self.plan.start_settings(), steps)

    def _job(self, run: Run, seed: int) -> Job:
        plan, folder, steps, needs = self.plan, self._folder(run.name, seed), [], ()
        config = ("--config-file", plan.config)
        keys = ["SEED", seed, "OUTPUT_DIR", folder, *words(plan.opts_of(run))]
        if source := plan.source(run):
            weights = self._folder(source, seed) / "model_final.pth"
            needs = (self._folder(source, seed) / "result.json",)
            if source == START:
                files = (weights, weights := folder / "start.pth")
                options = ("--overwrite", "--source-slots", self.checked.start_slots, *config)
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
        folder, opts = self.output / run.name, words(self.plan.opts_of(run))
        options = ("--config-file", self.plan.config, "--threads", 1)
        options += ("--json", folder / "cost.json", *opts)
        steps = (Step(_command("benchmarks/training_step.py", *options), folder / "cost.json"),)
        return Job("cost", run.name, None, folder, self.plan.cost_settings(run), steps)


def _command(script: str, *options: object) -> tuple[str, ...]:
    path, here = ROOT / script, Path.cwd()
    path = path.relative_to(here) if path.is_relative_to(here) else path
    return (sys.executable, str(path), *map(str, options))
