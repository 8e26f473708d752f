"""The plan file of an ablation: which config deltas are run, with which seeds."""

import os
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Any

from simplevtr.config_file import read_yaml

import msgspec

Opts = dict[str, str | int | float | bool | list | None]
"""Config key -> value, as a command line would give them."""

ROOT = Path(__file__).resolve().parents[2]
"""Folder of ``train_net.py``, ``tools`` and ``benchmarks``."""

START = "start"
"""Name of the folder of the plan's start, which no run may have; also that of a run's own start,
inside the run's folder."""

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
    """One line of the table."""

    name: _Name  # also that of its folder
    title: str
    section: str = ""  # of the paper
    opts: Opts | None = None  # on top of the plan's; for ``evaluate`` on top of that run's too
    seeds: _Seeds | None = None  # an evaluation, or a run with fewer seeds, has some of the plan's
    start_from: str | None = None  # the run whose final weights this one trains on from
    evaluate: str | None = None  # the run whose final weights are evaluated; nothing is trained
    own_start: bool = False  # its opts hold for the plan's start too, trained for this run alone


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
    config: str
    opts: Opts
    baseline: str
    start: Start | None
    runs: dict[str, Run]

    def source(self, run: Run) -> str | None:
        """Name of the run or the start whose weights this one needs; None without one."""
        if run.own_start:
            return f"{run.name}/{START}"
        return run.start_from or run.evaluate or (START if self.start else None)

    def opts_of(self, run: Run) -> Opts:
        """All options of a run on top of the plan's config."""
        below = self.opts_of(self.runs[run.evaluate]) if run.evaluate else self.opts
        return {**below, **run.opts}

    def start_opts(self, run: Run) -> Opts:
        """All options of a run's start on top of the start's config."""
        return {**self.start.opts, **(run.opts if run.own_start else {})}

    def reference(self, run: Run) -> str:
        """The run that AP is compared with: the baseline, or the first on the same test set."""
        same = [
            other.name for other in self.runs.values() if self._tests(other) == self._tests(run)
        ]
        return self.baseline if self.baseline in same else same[0]

    def _tests(self, run: Run) -> Any:
        return self.opts_of(run).get("DATASETS.TEST")

    def settings(self, run: Run) -> dict[str, Any]:
        """What a run's results depend on, whatever the seed: its own and those it starts from."""
        result, source = self.cost_settings(run), self.source(run)
        if source in self.runs:
            key = "evaluate" if run.evaluate else "start_from"
            result[key] = self.settings(self.runs[source])
        elif source:
            result["start"] = self.start_settings(run)
        return result

    def cost_settings(self, run: Run) -> dict[str, Any]:
        """What a run's costs depend on."""
        return {"config": _from_root(self.config), "opts": self.opts_of(run)}

    def start_settings(self, run: Run) -> dict[str, Any]:
        """What the weights of a run's start depend on."""
        return {"config": _from_root(self.start.config), "opts": self.start_opts(run)}


def _from_root(config: str) -> str:
    """The same wherever the command was called from."""
    path = Path(config).resolve()
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


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
        return _plan(path, content, tuple(seeds or ()))
    except (ValueError, FileNotFoundError) as error:
        raise type(error)(f"{path}: {error}") from error


def _plan(path: Path, content: _PlanFile, seeds: tuple[int, ...]) -> Plan:
    start = content.start
    if start is not None:
        start = Start(config=_config(path, start.config), opts=_opts("start", start.opts))
    runs: dict[str, Run] = {}
    for run in content.runs:
        where = f"run {run.name!r}"
        if run.name in runs:
            raise ValueError(f"{where}: two runs have this name")
        if run.start_from and run.evaluate:
            raise ValueError(f"{where}: has start_from and evaluate; allowed is one of them")
        if run.own_start and (not start or run.start_from or run.evaluate):
            raise ValueError(
                f"{where}: has own_start; allowed in a plan with a start, without start_from and "
                "evaluate"
            )
        chosen = run.seeds or content.seeds
        if len(set(chosen)) < len(chosen):
            raise ValueError(f"{where}: seeds is {[*chosen]}; they must be different")
        if seeds:
            chosen = seeds if run.seeds is None else tuple(s for s in chosen if s in seeds)
        own_weights = not (start or run.start_from or run.evaluate)
        opts = _opts(where, run.opts, weights=own_weights)
        runs[run.name] = msgspec.structs.replace(run, opts=opts, seeds=chosen)
    _check_names(content.baseline, runs)
    config = _config(path, content.config)
    opts = _opts("the plan", content.opts, weights=start is None)
    return Plan(path, config, opts, content.baseline, start, runs)


def _config(plan: Path, name: str) -> str:
    """A config file, relative to the plan's folder."""
    path = os.path.normpath(plan.parent / name)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"config {path} does not exist")
    return path


def _opts(where: str, opts: Opts | None, *, weights: bool = True) -> Opts:
    """The options; ``weights``: whether MODEL.WEIGHTS may be among them."""
    for key in _RESERVED if weights else (*_RESERVED, "MODEL.WEIGHTS"):
        if key in (opts or {}):
            raise ValueError(f"{where}: opts sets {key}, which the runner sets itself")
    return dict(opts or {})


def _check_names(baseline: str, runs: dict[str, Run]) -> None:
    """The baseline and the sources are runs, and a source has the weights that are asked for."""
    if baseline not in runs:
        raise ValueError(f"baseline {baseline!r} is not a run; runs: {', '.join(runs)}")
    sources = {run.name: run.start_from or run.evaluate for run in runs.values()}
    for run in runs.values():
        where, name = f"run {run.name!r}", sources[run.name]
        if not name:
            continue
        if name not in runs:
            raise ValueError(f"{where}: {name!r} is not a run; runs: {', '.join(runs)}")
        if runs[name].evaluate:
            why = f"{name!r} is an evaluation and has no weights of its own"
            raise ValueError(f"{where}: {why}; name a run that trains")
        has = runs[name].seeds
        if missing := [seed for seed in run.seeds if seed not in has]:
            raise ValueError(f"{where}: has seeds {missing}, which {name!r} has not: {list(has)}")
    try:
        TopologicalSorter({run: [s] if s else [] for run, s in sources.items()}).prepare()
    except CycleError as error:
        first, way = error.args[1][0], " <- ".join(error.args[1])
        raise ValueError(f"run {first!r}: its weights come from itself: {way}") from None
