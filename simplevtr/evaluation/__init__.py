"""Evaluation of video instance segmentation as the YouTube-VIS servers do it."""

from simplevtr.evaluation.ground_truth import has_ground_truth, load_ground_truth
from simplevtr.evaluation.report import scores_as_json, scores_table
from simplevtr.evaluation.results_file import load_results, write_results
from simplevtr.evaluation.ytvis_eval import AREA_LIMITS, TrackScores, evaluate_tracks

__all__ = [
    "AREA_LIMITS",
    "TrackScores",
    "YTVISEvaluator",
    "evaluate_tracks",
    "has_ground_truth",
    "load_ground_truth",
    "load_results",
    "scores_as_json",
    "scores_table",
    "write_results",
]


def __getattr__(name: str) -> object:
    # Scoring a file needs neither torch nor detectron2, which take seconds to import.
    if name == "YTVISEvaluator":
        from simplevtr.evaluation import ytvis_evaluator

        return getattr(ytvis_evaluator, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
