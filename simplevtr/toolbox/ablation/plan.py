"""The plan file of an ablation: which config deltas are run, with which seeds."""

import os
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from simplevtr.config_file import read_yaml

import msgspec

Opts = dict[str, str | int | float | bool | list | None]
"""Config key -> value, as a command line would give them."""

ROOT = Path(__file__).resolve().parents[3]
"""Folder of ``train_net.py``, ``tools`` and ``benchmarks``."""

# Set by the runner: where a run's weights come from and go to.
_RESERVED = ("SEED", "OUTPUT_DIR")
_Seeds = Annotated[tuple[Annotated[int, msgspec.Meta(ge=0)], ...], msgspec.Meta(min_length=1)]
# Also that of a folder.
_Name = Annotated[
    str, msgspec.Meta(pattern=r"^(?!start$|table\.|plot\.)[A-Za-z0-9_][A-Za-z0-9_.-]*$")
]


class _Start(msgspec.Struct, forbid_unknown_fields=True):
    """The training whose weights start every run of the same seed."""

    config: str
    opts: Opts | None = None


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    """One line of the table."""

    name: _Name  # also that of its folder
    title: str
    section: str = ""  # of the paper
    opts: Opts | None = None  # on top of the plan's; for ``evaluate`` on top of that run's too
    seeds: _Seeds | None = None  # an evaluation, or a run with fewer seeds, has some of the plan's
    start_from: str | None = None  # the run whose final weights this one trains on from
    evaluate: str | None = None  # the run whose final weights are evaluated; nothing is trained
    own_start: bool = False  # its opts hold for the plan's start too, trained for this run alone

    @property
    def source(self) -> str | None:
        return self.start_from or self.evaluate


class _PlanFile(msgspec.Struct, forbid_unknown_fields=True):
    config: str
    seeds: _Seeds
    baseline: str
    runs: Annotated[list[_Entry], msgspec.Meta(min_length=1)]
    opts: Opts | None = None
    start: _Start | None = None


@dataclass(frozen=True)
class Run:
    """A training or an evaluation, with everything that its results depend on but the seed."""

    name: str  # of its folder
    # "start": no scores; "evaluate": no losses; "costs": of steps with random weights
    kind: Literal["start", "train", "evaluate", "costs"]
    config: str
    opts: Opts  # all of them, on top of the config
    source: Self | None = None  # the run or the start whose final weights it begins with
    seeds: tuple[int, ...] = ()  # a start has those of the runs that need it
    title: str = ""
    section: str = ""  # of the paper

    @property
    def costs(self) -> Self:
        """Its steps alone, whatever weights they begin with."""
        return replace(self, kind="costs", source=None)

    @property
    def words(self) -> list[str]:
        """The options as KEY VALUE pairs of a command line."""
        return [str(word) for pair in self.opts.items() for word in pair]

    @property
    def settings(self) -> dict[str, Any]:
        """What the results depend on: the run's own settings and those that it starts from."""
        settings: dict[str, Any] = {"config": from_anywhere(self.config), "opts": self.opts}
        if self.source:
            trained_on = "start" if self.source.kind == "start" else "start_from"
            key = "evaluate" if self.kind == "evaluate" else trained_on
            settings[key] = self.source.settings
        return settings


@dataclass(frozen=True)
class Plan:
    """A whole plan file."""

    path: Path
    baseline: str
    runs: dict[str, Run]  # the lines of the table, by name

    def reference(self, run: Run) -> str:
        """The run that AP is compared with: the baseline, or the first on the same test set."""
        tests = {name: other.opts.get("DATASETS.TEST") for name, other in self.runs.items()}
        same = [name for name in tests if tests[name] == tests[run.name]]
        return self.baseline if self.baseline in same else same[0]


def from_anywhere(path: str) -> str:
    """The name of a file, or its address, that is the same wherever a command is called from."""
    if "://" in path:
        return path
    whole = Path(path).resolve()
    return str(whole.relative_to(ROOT) if whole.is_relative_to(ROOT) else whole)


def read_plan(path: str | os.PathLike, seeds: list[int] | None = None) -> Plan:
    """Read and check a plan file.

    ``seeds`` replace the plan's; a run with seeds of its own keeps those that are among them.

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
        runs = _runs(path.parent, content, seeds)
    except (ValueError, FileNotFoundError) as error:
        raise type(error)(f"{path}: {error}") from error
    return Plan(path, content.baseline, runs)


def _runs(folder: Path, plan: _PlanFile, seeds: list[int] | None) -> dict[str, Run]:
    """The runs with all their options, by name, in the order of the file."""
    start: Run | Any = None
    config = _config(folder, plan.config)
    if plan.start is not None:
        opts = _opts("start", plan.start.opts)
        start = Run("start", "start", _config(folder, plan.start.config), opts)
    all_opts = _opts("the plan", plan.opts, weights=start is None)
    runs: dict[str | None, Run] = {}
    for entry in _sources_first(plan):
        where, source = f"run {entry.name!r}", runs.get(entry.source, start)
        if entry.own_start and (entry.source or not start):
            raise ValueError(
                f"{where}: has own_start; allowed in a plan with a start, without start_from and "
                "evaluate"
            )
        opts = _opts(where, entry.opts, weights=source is None)
        if entry.own_start:
            source = replace(start, name=f"{entry.name}/start", opts={**start.opts, **opts})
        chosen = entry.seeds or plan.seeds
        if len(set(chosen)) < len(chosen):
            raise ValueError(f"{where}: seeds is {[*chosen]}; they must be different")
        if seeds:
            chosen = tuple(s for s in chosen if s in seeds) if entry.seeds else tuple(seeds)
        if entry.source and (missing := [seed for seed in chosen if seed not in source.seeds]):
            lacks = f"{missing}, which {source.name!r} has not: {[*source.seeds]}"
            raise ValueError(f"{where}: has seeds {lacks}")
        runs[entry.name] = Run(
            name=entry.name,
            kind="evaluate" if entry.evaluate else "train",
            config=config,
            opts={**(source.opts if entry.evaluate else all_opts), **opts},
            source=source,
            seeds=chosen,
            title=entry.title,
            section=entry.section,
        )
    return {entry.name: runs[entry.name] for entry in plan.runs}


def _sources_first(plan: _PlanFile) -> list[_Entry]:
    """The entries, each after the one whose weights it needs; every name is that of an entry."""
    entries = {entry.name: entry for entry in plan.runs}
    titles = {entry.title: entry for entry in plan.runs}  # by which the plot shows them
    for entry in plan.runs:
        for kind, last in (("name", entries[entry.name]), ("title", titles[entry.title])):
            if last is not entry:
                raise ValueError(f"run {entry.name!r}: two runs have this {kind}")
    names = ", ".join(entries)
    if plan.baseline not in entries:
        raise ValueError(f"baseline {plan.baseline!r} is not a run; runs: {names}")
    for entry in plan.runs:
        where, source = f"run {entry.name!r}", entry.source
        if entry.start_from and entry.evaluate:
            raise ValueError(f"{where}: has start_from and evaluate; allowed is one of them")
        if source and source not in entries:
            raise ValueError(f"{where}: {source!r} is not a run; runs: {names}")
        if source and entries[source].evaluate:
            why = f"{source!r} is an evaluation and has no weights of its own"
            raise ValueError(f"{where}: {why}; name a run that trains")
    needs = {entry.name: [entry.source] if entry.source else [] for entry in plan.runs}
    try:
        return [entries[name] for name in TopologicalSorter(needs).static_order()]
    except CycleError as error:
        first, way = error.args[1][0], " <- ".join(error.args[1])
        raise ValueError(f"run {first!r}: its weights come from itself: {way}") from None


def _config(folder: Path, name: str) -> str:
    path = os.path.normpath(folder / name)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"config {path} does not exist")
    return path


def _opts(where: str, opts: Opts | None, *, weights: bool = True) -> Opts:
    """The options; ``weights``: whether MODEL.WEIGHTS may be among them."""
    for key in _RESERVED if weights else (*_RESERVED, "MODEL.WEIGHTS"):
        if key in (opts or {}):
            raise ValueError(f"{where}: opts sets {key}, which the runner sets itself")
    return dict(opts or {})
