"""The YouTube-VIS metric: COCO's average precision and recall with a track in place of a mask.

pycocotools' ``COCOeval`` does the matching and the accumulation; what differs is where tracks come
from, their IoU (``track_iou``), the limits between small, medium and large, and that crowd tracks
are compared by plain IoU.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from simplevtr.evaluation.scored_video import track_iou
from simplevtr.formats.results import PredictedTrack
from simplevtr.formats.ytvis import GroundTruth, require_annotations
from simplevtr.terminal import markdown_table, table_cell

import numpy as np
from pycocotools.cocoeval import COCOeval

AREAS = ("all", "small", "medium", "large")
# Limits between small, medium and large, in mean pixels of the frames in which a track is visible.
# A limit belongs to both of its ranges.
AREA_LIMITS = (128**2, 256**2)
MAX_TRACKS = (1, 10, 100)  # tracks that count per video and category, best scores first
METRICS: tuple[str, ...] = ("AP", "AP50", "AP75", "APs", "APm", "APl")
METRICS += ("AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
_PAIRS_A_ROW = 3  # categories side by side in a table, as in detectron2's


@dataclass(frozen=True)
class TrackScores:
    """What ``evaluate_tracks`` finds."""

    stats: dict[str, float]  # ``METRICS`` in per cent; NaN where there is no ground truth
    # name -> AP, AP50, AP75, AR1, AR10, AR100 in per cent, of ``category_ids``
    per_category: dict[str, dict[str, float]]
    # (10, 101, K, 4, 3) float64 in [0, 1], -1 where there is no ground truth: IoU thresholds
    # .50:.05:.95, recalls 0:.01:1, ``category_ids``, areas all / small / medium / large, at most
    # 1 / 10 / 100 tracks per video and category.
    precision: np.ndarray
    recall: np.ndarray  # (10, K, 4, 3) float64, the greatest recall, without the second axis
    category_ids: list[int]  # K, ascending, of the categories with a true or predicted track


def evaluate_tracks(
    gt: GroundTruth, results: list[PredictedTrack], *, area_limits: Sequence[float] = AREA_LIMITS
) -> TrackScores:
    """Score predicted tracks.

    The limits between small, medium and large are in pixels of the original frames. ValueError if
    there are no annotations or the limits are not two ascending numbers above 0.
    """
    check_area_limits(area_limits)
    require_annotations(gt)
    evaluation = _TrackEval(gt, results, area_limits)
    evaluation.evaluate()
    evaluation.accumulate()
    precision, recall = evaluation.eval["precision"], evaluation.eval["recall"]
    names = {category.id: category.name for category in gt.categories}
    per_category = {}
    for k, category_id in enumerate(evaluation.params.catIds):
        stats = average_scores(precision[:, :, k : k + 1], recall[:, k : k + 1])
        per_category[names[category_id]] = {
            key: stats[key] for key in ("AP", "AP50", "AP75", "AR1", "AR10", "AR100")
        }
    return TrackScores(
        average_scores(precision, recall), per_category, precision, recall, evaluation.params.catIds
    )


def check_area_limits(limits: Sequence[float]) -> None:
    """Raise ValueError unless ``limits`` are two ascending numbers above 0."""
    if len(limits) != 2 or not 0 < limits[0] <= limits[1] < math.inf:
        raise ValueError(
            f"area limits {list(limits)}: give two ascending numbers of pixels above 0, none "
            "of them infinite, the greatest small and the greatest medium area"
        )


def _silent(method: Any) -> Any:
    """A method of COCOeval without its prints; sys.stdout is all threads' and stays as it is."""
    names = {**method.__globals__, "print": lambda *_: None}
    return FunctionType(method.__code__, names, argdefs=method.__defaults__)


class _TrackEval(COCOeval):
    """COCOeval on tracks: "images" are videos."""

    evaluate, accumulate = map(_silent, (COCOeval.evaluate, COCOeval.accumulate))

    def __init__(self, gt: GroundTruth, results: list[PredictedTrack], areas: Sequence) -> None:
        super().__init__(iouType="segm")
        self.params.imgIds = [video.id for video in gt.videos]
        # Others affect no score, and an open vocabulary has tens of thousands.
        self.params.catIds = gt.categories_in_use(results)
        low, high = areas
        self.params.areaRng = [[0, math.inf], [0, low], [low, high], [high, math.inf]]
        self.params.areaRngLbl = list(AREAS)
        self.params.maxDets = list(MAX_TRACKS)
        self._tracks = gt.tracks or [], results

    def _prepare(self) -> None:
        gts, dts = self._tracks
        self._gts = self._by_cell(
            {"track": gt, "area": gt.area, "iscrowd": gt.iscrowd, "ignore": gt.iscrowd}
            for gt in gts
        )
        self._dts = self._by_cell(
            {"track": dt, "area": dt.strip.area, "score": dt.score} for dt in dts
        )

    def _by_cell(self, tracks: Iterable[dict]) -> dict[tuple[int, int], list[dict]]:
        # Own ids from 1 on: COCOeval marks a track without a match by id 0.
        cells = defaultdict(list)
        for i, entry in enumerate(tracks, start=1):
            track = entry["track"]
            cells[track.video_id, track.category_id].append({"id": i, **entry})
        return cells

    def computeIoU(self, imgId: int, catId: int) -> np.ndarray | list:  # noqa: N802, N803
        """IoU of a video's predicted and true tracks of one category, best scores first."""
        gts, dts = self._gts.get((imgId, catId)), self._dts.get((imgId, catId))
        if not gts or not dts:
            return []
        order = np.argsort([-dt["score"] for dt in dts], kind="mergesort")
        dts = [dts[i] for i in order[: self.params.maxDets[-1]]]
        return track_iou(*([entry["track"].strip for entry in side] for side in (dts, gts)))


def average_scores(precision: np.ndarray, recall: np.ndarray) -> dict[str, float]:
    """``TrackScores.stats`` of some categories: (10, 101, K, 4, 3) and (10, K, 4, 3)."""
    by_area = list(enumerate(AREAS))[1:]
    values = {
        "AP": precision[..., 0, -1],
        "AP50": precision[0, ..., 0, -1],
        "AP75": precision[5, ..., 0, -1],
        **{f"AP{area[0]}": precision[..., i, -1] for i, area in by_area},
        **{f"AR{most}": recall[..., 0, i] for i, most in enumerate(MAX_TRACKS)},
        **{f"AR{area[0]}": recall[..., i, -1] for i, area in by_area},
    }
    return {name: mean_per_cent(scores) for name, scores in values.items()}


def mean_per_cent(values: np.ndarray) -> float:
    """Mean in per cent of the values for which there is ground truth, NaN if there are none."""
    present = values[values > -1]
    return 100 * float(present.mean()) if present.size else math.nan


def scores_table(scores: TrackScores) -> str:
    """All scores in per cent ("nan" without ground truth), then AP by category that has some."""
    headers, row = list(scores.stats), [f"{value:.3f}" for value in scores.stats.values()]
    tables = [markdown_table(headers, [row], left=len(headers))]
    by_name = {name: row["AP"] for name, row in scores.per_category.items()}
    pairs = [(table_cell(name), f"{ap:.3f}") for name, ap in by_name.items() if not math.isnan(ap)]
    if pairs:
        pairs_per_row = min(_PAIRS_A_ROW, len(pairs))
        rows = [sum(pairs[i : i + pairs_per_row], ()) for i in range(0, len(pairs), pairs_per_row)]
        tables.append(
            markdown_table(["category", "AP"] * pairs_per_row, rows, left=2 * pairs_per_row)
        )
    return "\n\n".join(tables)


def scores_as_json(scores: TrackScores) -> dict:
    """``TrackScores.stats`` and ``per_category`` as JSON can hold them: None for NaN."""
    return without_nan({**scores.stats, "per_category": scores.per_category})


def without_nan(value: Any, digits: int | None = None) -> Any:
    """The value as JSON can hold it: None for NaN, also inside dicts, lists and tuples.

    Floats are rounded to so many decimals, if any are given.
    """
    if isinstance(value, dict):
        return {key: without_nan(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item, digits) for item in value]
    if isinstance(value, float) and math.isnan(value):
        return None
    return value if digits is None or not isinstance(value, float) else round(float(value), digits)
