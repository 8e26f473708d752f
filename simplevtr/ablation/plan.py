"""The plan file of an ablation: which config deltas are run, with which seeds."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simplevtr.config_file import read_yaml

Opts = dict[str, Any]
"""Config key -> value, as a command line would give them."""

START = "start"
"""Name of the folder of the plan's start, which no run may have."""

# Set by the runner: where a run's weights come from and go to.
_RESERVED = ("SEED", "OUTPUT_DIR")
_PLAN_KEYS = {"config", "opts", "seeds", "baseline", "start", "runs"}
_START_KEYS = {"config", "opts"}
_RUN_KEYS = {"name", "title", "section", "opts", "start_from", "evaluate", "seeds"}
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Start:
    """The training whose weights start every run of the same seed."""

    config: Path
    opts: Opts


@dataclass(frozen=True)
class Run:
    """One line of the table.

    Attributes:
        name: also the name of its folder.
        title: for the table.
        section: of the paper; "" for none.
        opts: on top of the plan's; for ``evaluate`` on top of that run's too.
        seeds: an evaluation, or a run with fewer seeds, has some of the plan's.
        start_from: name of the run whose final weights this one trains on from.
        evaluate: name of the run whose final weights are evaluated; nothing is trained.
    """

    name: str
    title: str
    section: str
    opts: Opts
    seeds: tuple[int, ...]
    start_from: str | None = None
    evaluate: str | None = None

    @property
    def source(self) -> str | None:
        """Name of the run whose weights this one needs."""
        return self.start_from or self.evaluate


@dataclass(frozen=True)
class Plan:
    """A whole plan file; every name in it exists."""

    path: Path
    config: Path
    opts: Opts
    baseline: str
    start: Start | None
    runs: dict[str, Run]

    def opts_of(self, run: Run) -> Opts:
        """All options of a run on top of the plan's config."""
        if run.evaluate:
            return {**self.opts_of(self.runs[run.evaluate]), **run.opts}
        return {**self.opts, **run.opts}

    def uses_start(self, run: Run) -> bool:
        """Whether the run's weights are those of the plan's start."""
        return self.start is not None and run.source is None


def read_plan(path: str | os.PathLike, seeds: list[int] | None = None) -> Plan:
    """Read and check a plan file.

    Args:
        path: YAML file.
        seeds: replace the plan's; a run with seeds of its own keeps those that are among them.

    Raises:
        FileNotFoundError: the plan or a config that it names does not exist.
        ValueError: an entry is unknown, missing or wrong; the message says which and what is
            allowed.
    """
    path = Path(path)
    content = read_yaml(path, "plan file")
    entry = _Entry(str(path), content, _PLAN_KEYS)
    chosen = tuple(seeds) if seeds else entry.seeds()
    start = None
    if content.get("start") is not None:
        part = _Entry(f"{path}: start", content["start"], _START_KEYS)
        start = Start(config=part.config(path.parent), opts=part.opts(weights=True))
    plan = Plan(
        path=path,
        config=entry.config(path.parent),
        opts=entry.opts(weights=start is None),
        baseline=entry.text("baseline"),
        start=start,
        runs=_runs(entry, chosen, narrow=bool(seeds), weights=start is None),
    )
    _check_sources(plan)
    return plan


def _runs(plan: _Entry, seeds: tuple[int, ...], *, narrow: bool, weights: bool) -> dict[str, Run]:
    runs: dict[str, Run] = {}
    for number, content in enumerate(plan.value("runs", list, "a list of runs"), start=1):
        named = isinstance(content, dict) and isinstance(content.get("name"), str)
        where = f"{plan.where}: run {content['name']!r}" if named else f"{plan.where}: run {number}"
        entry = _Entry(where, content, _RUN_KEYS)
        run = Run(
            name=entry.name(),
            title=entry.text("title"),
            section=entry.text("section", ""),
            opts=entry.opts(weights=weights and not (content.keys() & {"start_from", "evaluate"})),
            seeds=entry.seeds() if "seeds" in content else seeds,
            start_from=entry.text("start_from", None),
            evaluate=entry.text("evaluate", None),
        )
        if narrow and "seeds" in content:
            run = Run(**{**vars(run), "seeds": tuple(s for s in run.seeds if s in seeds)})
        if run.start_from and run.evaluate:
            raise ValueError(f"{where}: has start_from and evaluate; allowed is one of them")
        if run.name in runs:
            raise ValueError(f"{where}: two runs have this name")
        runs[run.name] = run
    if not runs:
        raise ValueError(f"{plan.where}: runs is empty; at least the baseline is needed")
    return runs


def _check_sources(plan: Plan) -> None:
    names = ", ".join(plan.runs)
    if plan.baseline not in plan.runs:
        raise ValueError(f"{plan.path}: baseline {plan.baseline!r} is no run; runs: {names}")
    for run in plan.runs.values():
        where = f"{plan.path}: run {run.name!r}"
        passed = run
        seen = [run.name]
        while passed.source:
            if passed.source not in plan.runs:
                raise ValueError(f"{where}: {passed.source!r} is no run; runs: {names}")
            passed = plan.runs[passed.source]
            if passed.name in seen:
                raise ValueError(f"{where}: its weights come from itself: {' <- '.join(seen)}")
            if passed.evaluate:
                raise ValueError(
                    f"{where}: {passed.name!r} is an evaluation and has no weights of its own; "
                    "name a run that trains"
                )
            missing = [seed for seed in run.seeds if seed not in passed.seeds]
            if missing:
                raise ValueError(
                    f"{where}: has seeds {missing}, which {passed.name!r} has not: "
                    f"{list(passed.seeds)}"
                )
            seen.append(passed.name)


class _Entry:
    """A mapping of the plan file; every error names the entry."""

    def __init__(self, where: str, content: Any, keys: set[str]) -> None:
        self.where = where
        if not isinstance(content, dict):
            raise ValueError(f"{where}: must be a mapping with the keys {', '.join(sorted(keys))}")
        unknown = [key for key in content if key not in keys]
        if unknown:
            raise ValueError(
                f"{where}: unknown key {unknown[0]!r}; allowed: {', '.join(sorted(keys))}"
            )
        self._content = content

    def value(self, key: str, kind: type, description: str) -> Any:
        """A value that must be there."""
        if key not in self._content:
            raise ValueError(f"{self.where}: lacks {key}, {description}")
        value = self._content[key]
        if not isinstance(value, kind):
            raise ValueError(f"{self.where}: {key} is {value!r}; it must be {description}")
        return value

    def text(self, key: str, *default: str | None) -> Any:
        """A string; with a default it may be left out."""
        if default and key not in self._content:
            return default[0]
        return self.value(key, str, 'a string (in quotes: "3.2")')

    def name(self) -> str:
        """A run's name, which is that of a folder too."""
        name = self.text("name")
        if not _NAME.fullmatch(name) or name == START:
            raise ValueError(
                f"{self.where}: name {name!r} cannot be a folder's; allowed are letters, digits, "
                f'"_", "-" and ".", and not {START!r}'
            )
        return name

    def config(self, folder: Path) -> Path:
        """A config file, relative to the plan's folder."""
        path = Path(os.path.normpath(folder / self.text("config")))
        if not path.is_file():
            raise FileNotFoundError(f"{self.where}: config {path} does not exist")
        return path

    def seeds(self) -> tuple[int, ...]:
        """Different whole numbers of 0 or more."""
        description = "a list of different whole numbers >= 0"
        seeds = self.value("seeds", list, description)
        whole = all(type(seed) is int and seed >= 0 for seed in seeds)
        if not seeds or not whole or len(set(seeds)) < len(seeds):
            raise ValueError(f"{self.where}: seeds is {seeds!r}; it must be {description}")
        return tuple(seeds)

    def opts(self, *, weights: bool) -> Opts:
        """Config keys with plain values; ``weights``: whether MODEL.WEIGHTS may be among them."""
        if self._content.get("opts") is None:
            return {}
        opts = self.value("opts", dict, "a mapping of config keys to values")
        reserved = _RESERVED if weights else (*_RESERVED, "MODEL.WEIGHTS")
        for key, value in opts.items():
            if not isinstance(key, str) or isinstance(value, dict):
                raise ValueError(
                    f"{self.where}: opts has {key!r}: {value!r}; allowed is KEY.OF.THE.CONFIG: "
                    "number, string or list"
                )
            if key in reserved:
                raise ValueError(f"{self.where}: opts sets {key}, which the runner sets itself")
        return dict(opts)
