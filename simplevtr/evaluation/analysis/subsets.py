"""AP of short and long, slow and fast, free and occluded tracks.

A property gives every track a number, true and predicted alike, and two limits cut the numbers into
three groups. A group is scored as COCO scores areas: true tracks of other groups are ignored, and
so are predictions that match one of these, or match nothing and are of another group themselves.

- length: frames in which the track has a mask.
- motion: over neighbouring frames that both have a mask, the mean distance between the centroids of
  the two masks divided by the square root of the mean of their areas; 0 without such frames.
- occlusion: share of the frames from the first to the last with a mask in which the track has none,
  or in which its box overlaps the box of another true track (crowds are others too). For a
  prediction, other than the true track with which its track IoU is greatest.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from simplevtr.evaluation.scored_video import ScoredVideo, scored_videos, track_iou
from simplevtr.evaluation.ytvis_eval import evaluate_tracks, mean_per_cent
from simplevtr.formats.results import PredictedTrack
from simplevtr.formats.rle import decode_texts, starts_of
from simplevtr.formats.ytvis import GroundTruth, TrueTrack
from simplevtr.terminal import markdown_table

import numpy as np
from pycocotools import mask as coco_mask

# The names of each property's groups, the one with the least numbers first.
GROUPS = {
    "length": ("short", "middle", "long"),
    "motion": ("slow", "middle", "fast"),
    "occlusion": ("free", "middle", "occluded"),
}


@dataclass(frozen=True)
class SubsetScores:
    """The scores of one property's groups."""

    limits: list[float]  # greatest number of the first and second group; NaN without true tracks
    # By name in the order of ``GROUPS``: ``true_tracks``, their number without crowds; ``AP``,
    # ``AP50`` and ``AR100`` in per cent, NaN where there is no ground truth.
    groups: dict[str, dict[str, float]]


def score_subsets(
    gt: GroundTruth,
    results: list[PredictedTrack],
    *,
    limits: Mapping[str, Sequence[float]] | None = None,
) -> dict[str, SubsetScores]:
    """Score the groups of every property, in the order of ``GROUPS``.

    ``limits`` has two ascending numbers by property, the greatest of the first and of the second
    group. A property that is not there gets the terciles of the true tracks, which leave a group
    empty where many tracks have the same number. Raises ValueError if there are no annotations or
    the limits are not such numbers.
    """
    limits = limits or {}
    check_subset_limits(limits)
    true: list[tuple[TrueTrack, dict[str, float]]] = []
    predicted: list[tuple[PredictedTrack, dict[str, float]]] = []
    for scored in scored_videos(gt, results, "subsets"):
        numbers = _properties_of_video(scored)
        annotations = scored.true + scored.crowds
        true += zip(annotations, numbers[: len(annotations)], strict=True)
        predicted += zip(scored.predicted, numbers[len(annotations) :], strict=True)
    return {name: _score(gt, true, predicted, name, limits.get(name)) for name in GROUPS}


def check_subset_limits(limits: Mapping[str, Sequence[float]]) -> None:
    """Raise ValueError unless the limits are two ascending numbers of 0 or more by property."""
    for name, pair in limits.items():
        if name not in GROUPS:
            raise ValueError(f"unknown property {name!r}; allowed: {', '.join(GROUPS)}")
        if len(pair) != 2 or not 0 <= pair[0] <= pair[1] < math.inf:
            raise ValueError(f"{name} limits {list(pair)}: give two ascending numbers of 0 or more")


def subsets_table(subsets: Mapping[str, SubsetScores]) -> str:
    """A Markdown table with one row per group; "nan" where there is no ground truth."""
    rows = []
    for name, scores in subsets.items():
        low, high = (f"{limit:.4g}" for limit in scores.limits)
        bounds = (f"up to {low}", f"up to {high}", f"above {high}")
        for (group, values), bound in zip(scores.groups.items(), bounds, strict=True):
            count, *shares = values.values()
            rows.append([name, group, bound, str(count), *(f"{share:.3f}" for share in shares)])
    headers = ["property", "group", "values", "true tracks", "AP", "AP50", "AR100"]
    return markdown_table(headers, rows, left=3)


def _score(
    gt: GroundTruth,
    true: list[tuple[TrueTrack, dict[str, float]]],
    predicted: list[tuple[PredictedTrack, dict[str, float]]],
    name: str,
    limits: Sequence[float] | None,
) -> SubsetScores:
    """The scores of one property; tracks come with their numbers by property."""
    numbers = [numbers_of[name] for track, numbers_of in true if not track.iscrowd]
    if limits is None:
        limits = np.quantile(numbers or [math.nan], (1 / 3, 2 / 3), method="lower").tolist()

    def group(number: float) -> int:
        return sum(number > limit for limit in limits)

    # The groups 1, 2, 3 take the places of small, medium and large areas.
    grouped = [replace(track, area=1.0 + group(numbers_of[name])) for track, numbers_of in true]
    results = [
        replace(track, strip=replace(track.strip, area=1.0 + group(numbers_of[name])))
        for track, numbers_of in predicted
    ]
    scores = evaluate_tracks(replace(gt, tracks=grouped), results, area_limits=(1.5, 2.5))
    stats, at_50 = scores.stats, scores.precision[0, ..., -1]
    counts = [group(number) for number in numbers]
    groups = {
        group_name: {
            "true_tracks": counts.count(i),
            "AP": stats[f"AP{area}"],
            "AP50": mean_per_cent(at_50[..., i + 1]),
            "AR100": stats[f"AR{area}"],
        }
        for i, (group_name, area) in enumerate(zip(GROUPS[name], "sml", strict=True))
    }
    return SubsetScores([float(limit) for limit in limits], groups)


def _properties_of_video(scored: ScoredVideo) -> list[dict[str, float]]:
    """The numbers of the true tracks, the crowds and the predictions, in this order."""
    true = scored.true + scored.crowds
    areas, centroids, boxes = _shapes(scored, [*true, *scored.predicted])
    iou = track_iou(*([track.strip for track in side] for side in (scored.predicted, true)))
    itself = [*range(len(true)), *(int(row.argmax()) if row.any() else -1 for row in iou)]
    numbers = []
    for i, own in enumerate(itself):
        others = [column for column in range(len(true)) if column != own]
        numbers.append(
            {
                "length": float((areas[i] > 0).sum()),
                "motion": _motion(areas[i], centroids[i]),
                "occlusion": _occlusion(areas[i] > 0, boxes[i], boxes[others]),
            }
        )
    return numbers


def _shapes(
    scored: ScoredVideo, tracks: Sequence[TrueTrack | PredictedTrack]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N, T) areas, (N, T, 2) centroids x, y and (N, T, 4) boxes x, y, width, height of N tracks.

    In pixels, float64, 0 without a mask; taken from the runs without decoding a pixel.
    """
    height, pixels = scored.video.height, scored.video.height * scored.video.width
    masks, shape = scored.masks_by_frame(tracks), (len(tracks), scored.video.length)
    areas, centroids, boxes = np.zeros(shape), np.zeros((*shape, 2)), np.zeros((*shape, 4))
    places = [(i, t) for i, track in enumerate(masks) for t, mask in enumerate(track) if mask]
    if not places:
        return areas, centroids, boxes
    rles: list[Any] = [masks[i][t] for i, t in places]
    at = tuple(np.array(places).T)
    boxes[at] = coco_mask.toBbox(rles)
    pairs, rows = decode_texts([rle["counts"] for rle in rles], pixels)
    first = starts_of(rows)
    ends = np.cumsum(pairs).reshape(-1, 2)
    ends -= np.repeat(np.arange(len(rles)) * pixels, rows)[:, None]
    begin, end = ends[:, 0], ends[:, 1]  # of each foreground run, column by column
    area = np.add.reduceat(end - begin, first).astype(float)
    columns = np.add.reduceat(_columns_before(end, height) - _columns_before(begin, height), first)
    places_sum = np.add.reduceat((end * (end - 1) - begin * (begin - 1)) // 2, first)
    areas[at] = area
    centroids[at] = np.stack([columns / area, (places_sum - height * columns) / area], axis=1)
    return areas, centroids, boxes


def _columns_before(place: np.ndarray, height: int) -> np.ndarray:
    """Sum of the column numbers of all pixels before a place in column-major order, int64."""
    column, row = np.divmod(place, height)
    return height * (column * (column - 1) // 2) + row * column


def _motion(areas: np.ndarray, centroids: np.ndarray) -> float:
    """The motion of one track; (T,) areas and (T, 2) centroids."""
    both = (areas[1:] > 0) & (areas[:-1] > 0)
    if not both.any():
        return 0.0
    moved = np.hypot(*(centroids[1:] - centroids[:-1])[both].T)
    return float(np.mean(moved / np.sqrt((areas[1:] + areas[:-1])[both] / 2)))


def _occlusion(visible: np.ndarray, boxes: np.ndarray, others: np.ndarray) -> float:
    """The occlusion of one track; (T,) bool, (T, 4) and (N, T, 4) boxes x, y, width, height."""
    present = np.flatnonzero(visible)
    if not present.size:
        return 0.0
    low = np.maximum(boxes[:, :2], others[..., :2])
    high = np.minimum(boxes[:, :2] + boxes[:, 2:], others[..., :2] + others[..., 2:])
    overlapped = (high > low).all(axis=-1).any(axis=0)  # (T,); boxes of size 0 overlap nothing
    return float((~visible | overlapped)[present[0] : present[-1] + 1].mean())
