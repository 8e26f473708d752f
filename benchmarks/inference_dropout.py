"""Score one set of weights with dropout off and on: what the seed of inference can be about.

    python benchmarks/inference_dropout.py --config-file configs/embedded/clips.yaml \\
        MODEL.SIMPLEVTR.DROPOUT 0.1 MODEL.WEIGHTS output/ablations/dropout/seed_1/model_final.pth

The paper's AP moves with the seed of inference (§4.2), where nothing else is random. With dropout
on, as in a network that is never told to evaluate, the rows differ by their seeds. Norms are those
of evaluation in all rows. Scored is the first set of DATASETS.TEST.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installation too

from benchmarks.command_line import NATURAL, argument_parser, model_config, run
from simplevtr.data import build_test_loader
from simplevtr.evaluation import YTVISEvaluator
from simplevtr.inference import VideoPredictor
from simplevtr.modeling.attention import MultiheadAttention
from simplevtr.terminal import markdown_table

from detectron2.config import CfgNode
from detectron2.utils.env import seed_all_rng
from torch import nn


def score(cfg: CfgNode, model: nn.Module, seed: int | None) -> dict[str, float]:
    """Evaluate ``model`` with dropout on and ``seed``; None: off."""
    model.eval()
    if seed is not None:
        seed_all_rng(seed)
        for module in model.modules():
            if isinstance(module, nn.Dropout | MultiheadAttention):
                module.train()
    dataset = cfg.DATASETS.TEST[0]
    loader = build_test_loader(cfg, dataset)  # which learns the classes that the evaluator needs
    evaluator = YTVISEvaluator(dataset_name=dataset, area_limits=cfg.TEST.AREA_LIMITS)
    for clips in loader:
        evaluator.process(clips, model(clips))
    return evaluator.evaluate()["segm"]


def measure(args: argparse.Namespace) -> tuple[list[dict[str, Any]], str]:
    """Evaluate with dropout off, and on with each seed; ValueError if there is none."""
    cfg = model_config(args)
    if not cfg.MODEL.SIMPLEVTR.DROPOUT or not cfg.DATASETS.TEST:
        raise ValueError("MODEL.SIMPLEVTR.DROPOUT must be above 0 and DATASETS.TEST name a set")
    model = VideoPredictor(cfg).model
    scores = [(seed, score(cfg, model, seed)) for seed in (None, *args.seeds)]
    rows = [{"seed": seed, "AP": found["AP"], "AP50": found["AP50"]} for seed, found in scores]
    table = [
        ("off" if seed is None else f"on, seed {seed}", f"{s['AP']:.2f}") for seed, s in scores
    ]
    return rows, markdown_table(["dropout", "AP"], table)


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argument_parser(__file__, __doc__, model=True)
    parser.add_argument(
        "--seeds", type=NATURAL, nargs="+", default=[666, 1, 2], help="of inference"
    )
    return run(parser, measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
