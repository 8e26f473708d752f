"""Score a result file once and print, as JSON, what each stage took and the peak of memory.

    python benchmarks/evaluation_stages.py ANNOTATIONS.json RESULTS.json

A process of its own for benchmarks/evaluation.py; it does what tools/evaluate.py does.
"""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installation too

from benchmarks.resident_memory import peak_resident_bytes
from simplevtr.evaluation import evaluate_tracks, load_ground_truth, ytvis_eval
from simplevtr.formats.files import read_json
from simplevtr.formats.results import check_results

from pycocotools.cocoeval import COCOeval

STAGES = ("ground truth", "parse", "masks", "track IoU", "match", "accumulate")


class Stages:
    """Seconds of the processor by stage, which other programs disturb little.

    Attributes:
        seconds: by name of ``STAGES``.
    """

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """What happens inside counts for ``stage``."""
        start = time.process_time()
        yield
        self.seconds[stage] += time.process_time() - start

    def wrap(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function``, whose calls count for ``stage``."""

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.time(stage):
                return function(*args, **kwargs)

        return timed


def measure(annotations: str, results: str) -> dict[str, Any]:
    """Score and report.

    Returns:
        ``seconds`` of the processor by stage, ``cpu_seconds``, their sum, ``elapsed_seconds``,
        ``start_bytes`` and ``peak_bytes`` (resident, before anything is read and at most), and the
        ``scores``.
    """
    before = peak_resident_bytes()
    stages = Stages()
    start, cpu_start = time.perf_counter(), time.process_time()
    with stages.time("ground truth"):
        gt = load_ground_truth(annotations)
    with stages.time("parse"):
        content = read_json(results)
    with stages.time("masks"):
        tracks = check_results(content, gt)
    del content
    with ExitStack() as stack:
        for stage, owner, name in (
            ("track IoU", ytvis_eval, "track_iou"),
            ("accumulate", COCOeval, "accumulate"),
        ):
            wrapped = stages.wrap(stage, getattr(owner, name))
            stack.enter_context(mock.patch.object(owner, name, wrapped))
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
