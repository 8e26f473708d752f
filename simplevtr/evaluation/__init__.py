"""Evaluation of video instance segmentation as the YouTube-VIS servers do it, and what explains it.

What scores or counts takes what ``load_ground_truth`` and ``load_results`` return. Only
``ytvis_evaluator`` needs torch and detectron2, which take seconds to import.
"""
