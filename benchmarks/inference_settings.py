"""Score one set of weights under several settings of inference: windows, rankings, dropout.

    python datasets/make_embedded.py --variant easy
    python benchmarks/inference_settings.py --config-file configs/embedded/pretrained.yaml \\
        --dataset embedded_easy_long --windows 0 10 20 40 80 --overlaps 0.25 0.5
    python benchmarks/inference_settings.py --config-file configs/embedded/clips.yaml \\
        --windows 0 --dropout-seeds 666 1 2 --dataset embedded_easy_val \\
        MODEL.SIMPLEVTR.DROPOUT 0.1 MODEL.WEIGHTS output/ablations/dropout/seed_1/model_final.pth

Window 0 is the whole video. An overlap is a share of the window; the stride is what is left of it.
Each of --powers ranks the same tracks in its own way (TEST.LENGTH_POWER). Identity switches are
those of CLEAR MOT at a mask IoU of 0.5, among tracks whose ranking by the first power is at least
--score-threshold. Other TEST.* keys of the config and of the command line hold for every row.

The paper's AP moves with the seed of inference (§4.2), where nothing else is random. With
--dropout-seeds each row is followed by others with dropout on (TEST.DROPOUT), as in a network that
was never put into evaluation mode. Norms are those of evaluation in all rows.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.command_line import benchmark, model_config, table
from simplevtr.data.build import build_test_loader
from simplevtr.evaluation.analysis.id_switches import SCORE_THRESHOLD, find_id_switches
from simplevtr.evaluation.ytvis_evaluator import YTVISEvaluator
from simplevtr.formats.results import load_results
from simplevtr.formats.ytvis import load_annotated
from simplevtr.inference import VideoPredictor
from simplevtr.terminal import NATURAL, number
from simplevtr.tracking import VideoSegmenter

from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from detectron2.utils.env import seed_all_rng
from torch import nn
from tqdm import tqdm


def measure(
    cfg: CfgNode, model: nn.Module, args: argparse.Namespace, window: int, stride: int
) -> dict[str, Any]:
    """Evaluate ``model`` on ``args.dataset`` with one window and stride."""
    cfg = cfg.clone()
    cfg.defrost()
    cfg.TEST.WINDOW, cfg.TEST.STRIDE, cfg.TEST.LENGTH_POWER = window, stride, 1.0
    model.segmenter = VideoSegmenter.from_config(cfg)
    loader = build_test_loader(cfg, args.dataset)  # learns the classes that the evaluator needs
    truth = load_annotated(MetadataCatalog.get(args.dataset).json_file)
    videos, frames, seconds = [], 0, 0.0
    for clips in tqdm(loader, desc=f"{window}/{stride}", leave=False):
        begin = time.perf_counter()
        result = model(clips)
        seconds += time.perf_counter() - begin
        frames += clips[0]["length"]
        videos.append(([{k: v for k, v in clips[0].items() if k != "image"}], result))
    row: dict[str, Any] = {"window": window or "whole video", "stride": stride if window else ""}
    for power in args.powers:
        with tempfile.TemporaryDirectory() as folder:
            evaluator = YTVISEvaluator(
                dataset_name=args.dataset, output_dir=folder, area_limits=cfg.TEST.AREA_LIMITS
            )
            for clips, result in videos:
                evaluator.process(clips, result | {"pred_ranking": ranking(result, power)})
            scores = evaluator.evaluate()["segm"]
            if power == args.powers[0]:
                tracks = load_results(Path(folder) / "results.json", truth)
        suffix = f", power {power:g}" if len(args.powers) > 1 else ""
        row |= {f"{name}{suffix}": f"{scores[name]:.1f}" for name in ("AP", "AP50")}
    least = args.score_threshold
    row["id switches"] = len(find_id_switches(truth, tracks, score_threshold=least))
    row["tracks"] = sum(track.score >= least for track in tracks)
    return row | {"frames/s": f"{frames / seconds:.0f}"}


def ranking(result: dict[str, Any], power: float) -> list[float]:
    """What orders the tracks of a result whose ranking was made with a power of 1."""
    pairs = zip(result["pred_scores"], result["pred_ranking"], strict=True)
    return [score * (ranked / score) ** power if score else 0.0 for score, ranked in pairs]


def set_dropout(model: nn.Module, seed: int | None) -> None:
    """Evaluation mode; with a ``seed``, of all randomness, dropout stays on in it."""
    model.inference_dropout = seed is not None
    model.eval()
    if seed is not None:
        seed_all_rng(seed)


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--dataset", default="embedded_easy_long", help="a registered dataset")
    share, score, windows = number(least=0, below=1), number(least=0, most=1), [0, 10, 20, 40, 80]
    add("--windows", type=NATURAL, nargs="+", default=windows, help="0: the whole video")
    add("--overlaps", type=share, nargs="+", default=[0.25, 0.5], help="shares of the window")
    add("--powers", type=number(least=0), nargs="+", help="default: TEST.LENGTH_POWER")
    add("--score-threshold", type=score, default=SCORE_THRESHOLD, help="of identity switches")
    add("--dropout-seeds", type=NATURAL, nargs="+", default=[], help="of rows with dropout on")


@benchmark(_add_options, model=True)
def main(args: argparse.Namespace) -> tuple[list[dict[str, Any]], str]:
    """Evaluate at every window and overlap, with dropout off and on with each seed."""
    if args.dropout_seeds:  # so that a model without any dropout is refused
        args.opts = [*args.opts, "TEST.DROPOUT", "True"]
    cfg = model_config(args)
    args.powers = args.powers or [cfg.TEST.LENGTH_POWER]
    model, rows = VideoPredictor(cfg).model, []
    for window in args.windows:
        for overlap in args.overlaps if window else [0.0]:
            for seed in (None, *args.dropout_seeds):
                if args.dropout_seeds:
                    set_dropout(model, seed)
                dropout = "off" if seed is None else f"on, seed {seed}"
                row = measure(cfg, model, args, window, max(1, round(window * (1 - overlap))))
                rows.append(({"dropout": dropout} if args.dropout_seeds else {}) | row)
    return rows, table(rows)


if __name__ == "__main__":
    raise SystemExit(main())
