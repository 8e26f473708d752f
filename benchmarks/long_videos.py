"""What windowed inference costs in quality: AP and identity switches at several windows.

    python datasets/make_embedded.py --variant easy
    python benchmarks/long_videos.py --config-file configs/embedded/pretrained.yaml \\
        --dataset embedded_easy_long --windows 0 10 20 40 80 --overlaps 0.25 0.5

The first row, window 0, looks at every video as a whole. An overlap is a share of the window; the
stride is what is left of it. Each of --powers ranks the same tracks in its own way
(TEST.LENGTH_POWER). Identity switches are those of CLEAR MOT at a mask IoU of 0.5, among tracks
whose ranking by the first power is at least --score-threshold. TEST.* keys of the config and of the
command line hold for every row.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installation too

from benchmarks.command_line import NATURAL, argument_parser, model_config, run
from simplevtr.data import build_test_loader
from simplevtr.evaluation import YTVISEvaluator, load_ground_truth, load_results
from simplevtr.evaluation.analysis.id_switches import SCORE_THRESHOLD, count_id_switches
from simplevtr.inference import VideoPredictor
from simplevtr.terminal import number
from simplevtr.tracking import VideoSegmenter

import torch
from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from tabulate import tabulate
from tqdm import tqdm


def measure(
    cfg: CfgNode, model: torch.nn.Module, args: argparse.Namespace, window: int, stride: int
) -> dict[str, Any]:
    """Evaluate ``model`` on ``args.dataset`` with one window and stride."""
    cfg, dataset, powers, score = cfg.clone(), args.dataset, args.powers, args.score_threshold
    cfg.defrost()
    cfg.TEST.WINDOW, cfg.TEST.STRIDE, cfg.TEST.LENGTH_POWER = window, stride, 1.0
    model.segmenter = VideoSegmenter.from_config(cfg)
    loader = build_test_loader(cfg, dataset)  # which learns the classes that the evaluator needs
    with tempfile.TemporaryDirectory() as folder:
        evaluators = {
            power: YTVISEvaluator(
                dataset_name=dataset,
                output_dir=f"{folder}/{power}",
                area_limits=cfg.TEST.AREA_LIMITS,
            )
            for power in powers
        }
        frames, seconds = 0, 0.0
        for clips in tqdm(loader, desc=f"{window}/{stride}", leave=False):
            begin = time.perf_counter()
            result = model(clips)
            seconds += time.perf_counter() - begin
            frames += clips[0]["length"]
            for power, evaluator in evaluators.items():
                evaluator.process(clips, {**result, "pred_ranking": ranking(result, power)})
        scores = {power: each.evaluate()["segm"] for power, each in evaluators.items()}
        truth = load_ground_truth(MetadataCatalog.get(dataset).json_file)
        results = load_results(Path(folder) / str(powers[0]) / "results.json", truth)
    row: dict[str, Any] = {"window": window or "whole video", "stride": stride if window else ""}
    for power, found in scores.items():
        suffix = f", power {power:g}" if len(powers) > 1 else ""
        row |= {f"AP{suffix}": f"{found['AP']:.1f}", f"AP50{suffix}": f"{found['AP50']:.1f}"}
    row["id switches"] = count_id_switches(truth, results, score_threshold=score).total
    row["tracks"] = sum(track.score >= score for track in results)
    return row | {"frames/s": f"{frames / seconds:.0f}"}


def ranking(result: dict[str, Any], power: float) -> list[float]:
    """What orders the tracks of a result whose ranking was made with a power of 1."""
    pairs = zip(result["pred_scores"], result["pred_ranking"], strict=True)
    return [score * (ranked / score) ** power if score else 0.0 for score, ranked in pairs]


def measure_all(args: argparse.Namespace) -> tuple[list[dict[str, Any]], str]:
    """Evaluate at every window and overlap."""
    cfg = model_config(args)
    model = VideoPredictor(cfg).model
    rows = []
    for window in args.windows:
        for overlap in args.overlaps if window else [0.0]:
            stride = max(1, round(window * (1 - overlap)))
            rows.append(measure(cfg, model, args, window, stride))
    return rows, tabulate(rows, "keys", tablefmt="github", disable_numparse=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argument_parser(__file__, __doc__, model=True)
    add = parser.add_argument
    add("--dataset", default="embedded_easy_long", help="a registered dataset")
    share, score, windows = number(least=0, below=1), number(least=0, most=1), [0, 10, 20, 40, 80]
    powers = {"type": number(least=0), "nargs": "+", "default": [1.0]}
    add("--windows", type=NATURAL, nargs="+", default=windows, help="0: the whole video")
    add("--overlaps", type=share, nargs="+", default=[0.25, 0.5], help="shares of the window")
    add("--powers", **powers, help="of the share of windows that saw a track, in its ranking")
    add("--score-threshold", type=score, default=SCORE_THRESHOLD, help="of identity switches")
    return run(parser, measure_all, arguments)


if __name__ == "__main__":
    sys.exit(main())
