"""SimpleVTR in the comparison, by the parts of the commands: the trainer and the predictor.

A training has a fixed number of iterations, so a trial first measures how many fit the budget.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from benchmarks.peers import protocol
from simplevtr import setup_cfg
from simplevtr.data.class_names import settle_classes
from simplevtr.engine.trainer import ClipTrainer
from simplevtr.inference import VideoPredictor

import numpy as np
from detectron2.config import CfgNode
from detectron2.engine.hooks import CallbackHook
from detectron2.utils.env import seed_all_rng
from detectron2.utils.logger import setup_logger
from torch import nn

PACKAGES = ()
CONFIGS = Path(__file__).resolve().parents[2] / "configs/embedded"
TRIAL, WARMUP = 40, 10  # iterations; the first of them are not timed
AIM = 0.98  # share of the budget that is planned for, since the pace varies


def stage_config(stage: str, *words: object) -> CfgNode:
    """The config of a stage with further keys and values, without evaluation."""
    words = ("DATASETS.TEST", (), "SOLVER.CHECKPOINT_PERIOD", 10**9, *words)
    return setup_cfg(str(CONFIGS / f"{stage}.yaml"), [str(word) for word in words])


def train_stage(args: argparse.Namespace, stage: str, *words: object) -> list[float]:
    """Train as train_net.py does; CPU seconds at the start of the loop and after each iteration."""
    cfg = stage_config(stage, "SEED", args.seed, *words)
    settle_classes(cfg, train=True)
    Path(cfg.OUTPUT_DIR).mkdir(parents=True, exist_ok=True)
    seed_all_rng(cfg.SEED)
    trainer = ClipTrainer(cfg)
    trainer.resume_or_load(resume=False)
    marks: list[float] = []
    mark = lambda _: marks.append(protocol.cpu_seconds())  # noqa: E731
    trainer.register_hooks([CallbackHook(before_train=mark, after_step=mark)])
    trainer.train()
    return marks


def train(args: argparse.Namespace) -> float:
    """Train the stages, their iterations in the proportion of the configs."""
    setup_logger()
    cost = 0.0  # of the configs' iterations
    for stage in args.stages:
        words = ("OUTPUT_DIR", args.folder / "trial", "MODEL.WEIGHTS", "", "SOLVER.MAX_ITER", TRIAL)
        marks = train_stage(args, stage, *words)
        pace = (marks[-1] - marks[WARMUP]) / (TRIAL - WARMUP)
        cost += pace * stage_config(stage).SOLVER.MAX_ITER
    seconds, weights = 0.0, ""
    for stage in args.stages:
        folder = args.folder / stage
        steps = max(1, int(stage_config(stage).SOLVER.MAX_ITER * AIM * args.budget / cost))
        words = ("OUTPUT_DIR", folder, "MODEL.WEIGHTS", weights, "SOLVER.MAX_ITER", steps)
        marks = train_stage(args, stage, *words)
        seconds += marks[-1] - marks[0]
        weights = str(folder / "model_final.pth")
    return seconds


def load(args: argparse.Namespace) -> tuple[nn.Module, protocol.Tracker]:
    """The model of the last stage and its predictor."""
    stage = args.stages[-1]
    weights = args.folder / stage / "model_final.pth"
    predictor = VideoPredictor(stage_config(stage, "MODEL.WEIGHTS", weights))

    def track(frames: list[np.ndarray]) -> Iterator[protocol.Track]:
        found = predictor.predict(frames)
        labels, scores, masks = (found[f"pred_{key}"] for key in ("labels", "ranking", "masks"))
        ids = [predictor.category_ids[label] for label in labels]
        return zip(ids, scores, [track.rles for track in masks], strict=True)

    return predictor.model, track
