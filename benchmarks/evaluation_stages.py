"""Score a result file once and print, as JSON, what each stage took and the peak of memory.

    python benchmarks/evaluation_stages.py ANNOTATIONS.json RESULTS.json

A process of its own for benchmarks/evaluation.py; it does what tools/evaluate.py does.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installation too

from benchmarks.measure import peak_resident_bytes
from benchmarks.stages import Stages
from simplevtr.evaluation import evaluate_tracks, load_ground_truth, ytvis_eval
from simplevtr.formats.files import read_json
from simplevtr.formats.results import check_results

from pycocotools.cocoeval import COCOeval

STAGES = ("ground truth", "parse", "masks", "track IoU", "match", "accumulate")


def measure(annotations: str, results: str) -> dict[str, Any]:
    """Score and report.

    Returns:
        ``seconds`` of the processor by stage, ``cpu_seconds``, their sum, ``elapsed_seconds``,
        ``start_bytes`` and ``peak_bytes`` (resident, before anything is read and at most), and the
        ``scores``.
    """
    before = peak_resident_bytes()
    stages = Stages(STAGES)
    start, cpu_start = time.perf_counter(), time.process_time()
    with stages.time("ground truth"):
        gt = load_ground_truth(annotations)
    with stages.time("parse"):
        content = read_json(results)
    with stages.time("masks"):
        tracks = check_results(content, gt)
    del content
    with ExitStack() as stack:
        stages.watch(stack, "track IoU", ytvis_eval, "track_iou")
        stages.watch(stack, "accumulate", COCOeval, "accumulate")
        with stages.time("match"):
            scores = evaluate_tracks(gt, tracks)
    stages.seconds["match"] -= stages.seconds["track IoU"] + stages.seconds["accumulate"]
    return {
        "seconds": stages.seconds,
        "elapsed_seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu_start,
        "start_bytes": before,
        "peak_bytes": peak_resident_bytes(),
        "scores": scores.stats,
    }


if __name__ == "__main__":
    print(json.dumps(measure(*sys.argv[1:])))
