"""What windowed inference costs in quality: AP and identity switches at several windows.

    python datasets/make_embedded.py --variant easy
    python benchmarks/long_videos.py --config-file configs/embedded/pretrained.yaml \\
        --dataset embedded_easy_long --windows 0 10 20 40 80 --overlaps 0.25 0.5

The first row, window 0, looks at every video as a whole. An overlap is a share of the window; the
stride is what is left of it. Identity switches are those of CLEAR MOT at a mask IoU of 0.5 among
tracks that score at least --score-threshold. TEST.* keys of the config and of the command line hold
for every row.
"""

from __future__ import annotations

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
from simplevtr.modeling.meta_arch import build_segmenter
from simplevtr.terminal import number

import torch
from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from tabulate import tabulate
from tqdm import tqdm

HEADS = ["window", "stride", "AP", "AP50", "id switches", "tracks", "frames/s"]


def measure(
    cfg: CfgNode, model: torch.nn.Module, dataset: str, window: int, stride: int, score: float
) -> dict[str, Any]:
    """Evaluate ``model`` on ``dataset`` with one window and stride."""
    cfg = cfg.clone()
    cfg.defrost()
    cfg.TEST.WINDOW, cfg.TEST.STRIDE = window, stride
    model.segmenter = build_segmenter(cfg)
    loader = build_test_loader(cfg, dataset)  # which learns the classes that the evaluator needs
    with tempfile.TemporaryDirectory() as folder:
        limits = cfg.TEST.AREA_LIMITS
        evaluator = YTVISEvaluator(dataset_name=dataset, output_dir=folder, area_limits=limits)
        frames, seconds = 0, 0.0
        for clips in tqdm(loader, desc=f"{window}/{stride}", leave=False):
            begin = time.perf_counter()
            result = model(clips)
            seconds += time.perf_counter() - begin
            frames += clips[0]["length"]
            evaluator.process(clips, result)
        scores = evaluator.evaluate()["segm"]
        truth = load_ground_truth(MetadataCatalog.get(dataset).json_file)
        results = load_results(Path(folder) / "results.json", truth)
    switches = count_id_switches(truth, results, score_threshold=score).total
    tracks = sum(track.score >= score for track in results)
    figures = (window, stride, scores["AP"], scores["AP50"], switches, tracks, frames / seconds)
    return dict(zip(HEADS, figures, strict=True))


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    whole = {"window": "whole video", "stride": ""}
    cells = [row if row["window"] else row | whole for row in rows]
    formats = ("", "", ".1f", ".1f", "d", "d", ".0f")
    return tabulate(cells, "keys", tablefmt="github", floatfmt=formats)


def measure_all(args: argparse.Namespace) -> tuple[list[dict[str, Any]], str]:
    """Evaluate at every window and overlap."""
    cfg = model_config(args)
    model = VideoPredictor(cfg).model
    rows = []
    for window in args.windows:
        for overlap in args.overlaps if window else [0.0]:
            stride = max(1, round(window * (1 - overlap)))
            rows.append(measure(cfg, model, args.dataset, window, stride, args.score_threshold))
    return rows, table(rows)


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argument_parser(__file__, __doc__, model=True)
    add = parser.add_argument
    add("--dataset", default="embedded_easy_long", help="a registered data set")
    share, score, windows = number(least=0, below=1), number(least=0, most=1), [0, 10, 20, 40, 80]
    add("--windows", type=NATURAL, nargs="+", default=windows, help="0: the whole video")
    add("--overlaps", type=share, nargs="+", default=[0.25, 0.5], help="shares of the window")
    add("--score-threshold", type=score, default=SCORE_THRESHOLD, help="of identity switches")
    return run(parser, measure_all, arguments)


if __name__ == "__main__":
    sys.exit(main())
