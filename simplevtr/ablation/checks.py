"""Does every config of a plan work? Asked before anything trains."""

from __future__ import annotations

from pathlib import Path

from simplevtr.ablation.plan import Opts, Plan
from simplevtr.ablation.steps import ScoredSet, words
from simplevtr.data.class_names import settle_classes
from simplevtr.formats.ytvis import load_annotated
from simplevtr.run_config import check_device, setup_cfg

from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from detectron2.modeling import build_model


def check_configs(plan: Plan) -> dict[str, ScoredSet]:
    """Build the config and the model of the start and of every run.

    Returns:
        The test set of each run, by the run's name.

    Raises:
        ValueError: a config does not work; the message names the plan and the run.
    """
    if plan.start is not None:
        _checked(plan, "start", plan.start.config, plan.start.opts, train=True, weights=True)
    annotated: set[str] = set()  # reading the same file again takes time
    result = {}
    for run in plan.runs.values():
        where = f"run {run.name!r}"
        own = run.source is None and plan.start is None
        trains = run.evaluate is None
        opts = plan.opts_of(run)
        cfg = _checked(plan, where, plan.config, opts, train=trains, weights=own)
        if len(cfg.DATASETS.TEST) != 1:
            raise ValueError(
                f"{plan.path}: {where}: DATASETS.TEST is {cfg.DATASETS.TEST}; a table has the "
                "scores of exactly one dataset"
            )
        name = cfg.DATASETS.TEST[0]
        path = MetadataCatalog.get(name).json_file
        if path not in annotated:
            try:
                load_annotated(path)
            except ValueError as error:
                raise ValueError(f"{plan.path}: {where}: {error}") from error
            annotated.add(path)
        result[run.name] = ScoredSet(
            name=name, annotations=path, area_limits=tuple(cfg.TEST.AREA_LIMITS)
        )
    return result


def start_slots(plan: Plan) -> int | None:
    """Instance slots of the plan's start, None without a start."""
    if plan.start is None:
        return None
    return setup_cfg(str(plan.start.config), words(plan.start.opts)).MODEL.SIMPLEVTR.NUM_QUERIES


def _checked(
    plan: Plan, where: str, config: Path, opts: Opts, *, train: bool, weights: bool
) -> CfgNode:
    try:
        cfg = setup_cfg(str(config), words(opts))
        check_device(cfg)
        settle_classes(cfg, train=train)
        path = cfg.MODEL.WEIGHTS
        if weights and path and "://" not in path and not Path(path).is_file():
            raise FileNotFoundError(f"MODEL.WEIGHTS {path} does not exist")
        if train and cfg.SOLVER.MAX_ITER <= 0 and cfg.SOLVER.MAX_EPOCHS <= 0:
            raise ValueError("set SOLVER.MAX_ITER or SOLVER.MAX_EPOCHS to more than 0")
        # A value that no part of the model knows is found only where that part is built.
        on_cpu = cfg.clone()
        on_cpu.MODEL.DEVICE = "cpu"
        build_model(on_cpu)
    except (ValueError, KeyError, OSError) as error:
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        raise ValueError(f"{plan.path}: {where}: {message}") from error
    return cfg
