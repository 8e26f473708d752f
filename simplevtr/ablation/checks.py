"""Does every config of a plan work? Asked before anything trains."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from simplevtr.ablation.plan import Opts, Plan
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
    """What a plan's configs say.

    Attributes:
        scored: the test set of each run, by the run's name.
        start_slots: instance slots of the plan's start, None without a start.
    """

    scored: dict[str, ScoredSet]
    start_slots: int | None


def check_configs(plan: Plan) -> Checked:
    """Build the config and the model of the start and of every run.

    Raises:
        ValueError: a config does not work; the message names the plan and the run.
    """
    start_slots, where = None, "start"
    scored: dict[str, ScoredSet] = {}
    try:
        if plan.start is not None:
            cfg = _checked_config(plan.start.config, plan.start.opts, trains=True, weights=True)
            start_slots = cfg.MODEL.SIMPLEVTR.NUM_QUERIES
        for run in plan.runs.values():
            where = f"run {run.name!r}"
            weights, trains = plan.source(run) is None, run.evaluate is None
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


def words(opts: Opts) -> list[str]:
    """KEY VALUE pairs of a command line."""
    return [str(word) for pair in opts.items() for word in pair]


def _checked_config(config: str, opts: Opts, *, trains: bool, weights: bool) -> CfgNode:
    cfg = setup_cfg(config, words(opts))
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
