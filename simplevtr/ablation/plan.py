"""The plan file of an ablation: which config deltas are run, with which seeds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from simplevtr.config_file import read_yaml

import msgspec

Opts = dict[str, str | int | float | bool | list | None]
"""Config key -> value, as a command line would give them."""

START = "start"
"""Name of the folder of the plan's start, which no run may have."""

# Set by the runner: where a run's weights come from and go to.
_RESERVED = ("SEED", "OUTPUT_DIR")
_Seeds = Annotated[tuple[Annotated[int, msgspec.Meta(ge=0)], ...], msgspec.Meta(min_length=1)]
# Also that of a folder.
_Name = Annotated[str, msgspec.Meta(pattern=r"^(?!start$)[A-Za-z0-9_][A-Za-z0-9_.-]*$")]


class Start(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The training whose weights start every run of the same seed."""

    config: str
    opts: Opts | None = None


class Run(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
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

    name: _Name
    title: str
    section: str = ""
    opts: Opts | None = None
    seeds: _Seeds | None = None
    start_from: str | None = None
    evaluate: str | None = None

    @property
    def source(self) -> str | None:
        """Name of the run whose weights this one needs."""
        return self.start_from or self.evaluate


class _PlanFile(msgspec.Struct, forbid_unknown_fields=True):
    config: str
    seeds: _Seeds
    baseline: str
    runs: Annotated[list[Run], msgspec.Meta(min_length=1)]
    opts: Opts | None = None
    start: Start | None = None


class Plan(msgspec.Struct, frozen=True):
    """A whole plan file; every name in it exists, and every run has opts and seeds."""

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
    try:
        content = msgspec.convert(read_yaml(path, "plan file"), _PlanFile)
    except msgspec.ValidationError as error:
        hint = ' (text needs quotes: "3.2")' if str(error).startswith("Expected `str`, got") else ""
        raise ValueError(f"{path}: {error}{hint}") from error
    try:
        return _plan(path, content, tuple(seeds or ()))
    except (ValueError, FileNotFoundError) as error:
        raise type(error)(f"{path}: {error}") from error


def _plan(path: Path, content: _PlanFile, seeds: tuple[int, ...]) -> Plan:
    own_weights = content.start is None
    start = None
    if content.start is not None:
        start = Start(
            config=_config(path, content.start.config), opts=_opts("start", content.start.opts)
        )
    runs = {}
    for run in content.runs:
        where = f"run {run.name!r}"
        if run.name in runs:
            raise ValueError(f"{where}: two runs have this name")
        if run.start_from and run.evaluate:
            raise ValueError(f"{where}: has start_from and evaluate; allowed is one of them")
        chosen = _seeds(where, run.seeds or content.seeds)
        if seeds:
            chosen = seeds if run.seeds is None else tuple(s for s in chosen if s in seeds)
        opts = _opts(where, run.opts, weights=own_weights and not run.source)
        runs[run.name] = msgspec.structs.replace(run, opts=opts, seeds=chosen)
    _check_sources(content.baseline, runs)
    return Plan(
        path=path,
        config=Path(_config(path, content.config)),
        opts=_opts("the plan", content.opts, weights=own_weights),
        baseline=content.baseline,
        start=start,
        runs=runs,
    )


def _config(plan: Path, name: str) -> str:
    """A config file, relative to the plan's folder."""
    path = os.path.normpath(plan.parent / name)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"config {path} does not exist")
    return path


def _opts(where: str, opts: Opts | None, *, weights: bool = True) -> dict[str, Any]:
    """The options; ``weights``: whether MODEL.WEIGHTS may be among them."""
    for key in _RESERVED if weights else (*_RESERVED, "MODEL.WEIGHTS"):
        if key in (opts or {}):
            raise ValueError(f"{where}: opts sets {key}, which the runner sets itself")
    return dict(opts or {})


def _seeds(where: str, seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"{where}: seeds is {[*seeds]}; they must be different")
    return seeds


def _check_sources(baseline: str, runs: dict[str, Run]) -> None:
    names = ", ".join(runs)
    if baseline not in runs:
        raise ValueError(f"baseline {baseline!r} is not a run; runs: {names}")
    for run in runs.values():
        where, passed, seen = f"run {run.name!r}", run, [run.name]
        while passed.source:
            if passed.source not in runs:
                raise ValueError(f"{where}: {passed.source!r} is not a run; runs: {names}")
            passed = runs[passed.source]
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
