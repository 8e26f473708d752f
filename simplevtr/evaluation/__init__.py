"""Evaluation of video instance segmentation as the YouTube-VIS servers do it, and what explains it.

What scores or counts takes what ``load_ground_truth`` and ``load_results`` return.
"""

from importlib import import_module

from simplevtr.evaluation.analysis.error_breakdown import ErrorBreakdown, break_down_errors
from simplevtr.evaluation.analysis.hota import HotaScores, score_hota
from simplevtr.evaluation.analysis.subsets import SubsetScores, score_subsets
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
    "AREA_LIMITS",
    "ErrorBreakdown",
    "HotaScores",
    "IdSwitches",
    "SubsetScores",
    "TrackScores",
    "YTVISEvaluator",
    "break_down_errors",
    "count_id_switches",
    "evaluate_tracks",
    "load_ground_truth",
    "load_results",
    "score_hota",
    "score_subsets",
    "scores_as_json",
    "scores_table",
    "write_results",
]


# Scoring a file needs neither torch nor detectron2 nor scipy, which take seconds to import.
_LATE = {
    "IdSwitches": "analysis.id_switches",
    "YTVISEvaluator": "ytvis_evaluator",
    "count_id_switches": "analysis.id_switches",
}


def __getattr__(name: str) -> object:
    if name in _LATE:
        return getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
