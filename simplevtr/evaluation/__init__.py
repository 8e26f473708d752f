"""Evaluation of video instance segmentation as the YouTube-VIS servers do it, and what explains it.

What scores or counts takes what ``load_ground_truth`` and ``load_results`` return.
"""

from simplevtr.evaluation.ytvis_eval import (
    AREA_LIMITS,
    TrackScores,
    evaluate_tracks,
    scores_as_json,
    scores_table,
)
from simplevtr.formats.results import load_results, write_results
from simplevtr.formats.ytvis import load_ground_truth

__all__ = [
    "AREA_LIMITS", "TrackScores", "YTVISEvaluator", "evaluate_tracks", "load_ground_truth",
    "load_results", "scores_as_json", "scores_table", "write_results",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name == "YTVISEvaluator":
        # Scoring a file needs neither torch nor detectron2, which take seconds to import.
        from simplevtr.evaluation.ytvis_evaluator import YTVISEvaluator

        return YTVISEvaluator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
