"""Evaluation of video instance segmentation as the YouTube-VIS servers do it, and what explains it.

Its functions take what ``load_ground_truth`` and ``load_results`` of ``simplevtr.formats`` return.
"""

from simplevtr.lazy import lazy_names

__all__, __getattr__ = lazy_names(
    __name__, ytvis_evaluator="YTVISEvaluator", ytvis_eval="evaluate_tracks"
)
