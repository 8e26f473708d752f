"""J, the region similarity of DAVIS (Perazzi et al., 2016; unsupervised: Caelles et al., 2019).

J of a true and a predicted track is the mean over all frames of their video of the IoU of the two
masks; a frame in which both are empty counts 1. (The track IoU of AP divides sums over the frames,
so that frames with a large object weigh more.) Of each video the predictions with the best scores
are proposals, 20 at most in DAVIS; they are assigned to the true tracks one to one so that the sum
of J is greatest. With a single proposal and a single true track, the most confident prediction
counts, regardless of the others. A true track without a proposal is compared with an empty track.

Categories do not matter, and crowds are left out. Unlike the PNGs of DAVIS, proposals may overlap.
"""

import math
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from statistics import fmean

from simplevtr.evaluation.scored_video import ScoredVideo, frame_iou, scored_videos
from simplevtr.formats.results import PredictedTrack
from simplevtr.formats.ytvis import GroundTruth
from simplevtr.terminal import markdown_table, table_cell

import numpy as np
from scipy.optimize import linear_sum_assignment

PROPOSALS = 20


@dataclass(frozen=True)
class TrackSimilarity:
    """J of one true track."""

    video_id: int
    video: str  # its name
    gt_id: int  # ``id`` of the annotation
    predicted: int | None  # the proposal, as its 0-based place in the list of results
    j: float  # in per cent


@dataclass(frozen=True)
class RegionSimilarity:
    """What ``score_regions`` finds."""

    proposals: int  # the most predictions of a video that counted
    mean: float  # J over all true tracks, in per cent; NaN if there is none
    tracks: list[TrackSimilarity]  # by video in the order of the ground truth


def score_regions(
    gt: GroundTruth, results: list[PredictedTrack], *, proposals: int = PROPOSALS
) -> RegionSimilarity:
    """Score predicted tracks, of each video the best 1 or more; ValueError without annotations."""
    found = []
    for scored in scored_videos(gt, results, "J"):
        video, positions = scored.video, scored.positions[:proposals]
        j = _similarities(scored, proposals)
        for row, column in zip(*linear_sum_assignment(j, maximize=True), strict=True):
            predicted = positions[column] if column < len(positions) else None
            values = scored.true[row].id, predicted, 100 * float(j[row, column])
            found.append(TrackSimilarity(video.id, video.name, *values))
    mean = fmean(track.j for track in found) if found else math.nan
    return RegionSimilarity(proposals, mean, found)


def regions_table(scores: RegionSimilarity) -> str:
    """A Markdown table with a row for all true tracks and one for each video that has some."""
    rows = [["all videos", str(len(scores.tracks)), f"{scores.mean:.3f}"]]
    for (_, video), tracks in groupby(scores.tracks, key=attrgetter("video_id", "video")):
        found = [track.j for track in tracks]
        rows.append([table_cell(video), str(len(found)), f"{fmean(found):.3f}"])
    return markdown_table([f"proposals <= {scores.proposals}", "true tracks", "J"], rows)


def _similarities(scored: ScoredVideo, proposals: int) -> np.ndarray:
    """(true, proposals) float64 J in [0, 1]; with empty proposals if there are too few."""
    true = scored.masks_by_frame(scored.true)
    predicted = scored.masks_by_frame(scored.predicted[:proposals])
    predicted += [[None] * scored.video.length] * (len(true) - len(predicted))
    total = np.zeros((len(true), len(predicted)))
    for t in range(scored.video.length):
        masks = [track[t] for track in true], [track[t] for track in predicted]
        empty = [np.array([mask is None for mask in side], dtype=bool) for side in masks]
        total += frame_iou(*masks) + np.outer(*empty)
    return total / scored.video.length
