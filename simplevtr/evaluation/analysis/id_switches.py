"""Identity switches: how often a true track goes over from one predicted track to another.

The definition is that of CLEAR MOT (Bernardin and Stiefelhagen, "Evaluating Multiple Object
Tracking Performance", 2008, section 2.1), with the IoU of masks in place of a distance. In each
frame

1. what was matched in the frame before stays matched if both tracks have a mask here whose IoU
   still reaches the threshold;
2. the others are matched one to one so that the sum of the IoUs is greatest, where only an IoU that
   reaches the threshold counts;
3. a true track whose match is another one than its last known switches identity. Frames in which
   it was hidden or not matched change nothing of what is its last known match.
"""

from dataclasses import dataclass

from simplevtr.evaluation.analysis.track_matching import IOU_THRESHOLD
from simplevtr.evaluation.scored_video import SCORE_THRESHOLD, ScoredVideo, frame_iou, scored_videos
from simplevtr.formats import checks
from simplevtr.formats.results import PredictedTrack
from simplevtr.formats.ytvis import GroundTruth

import numpy as np
from scipy.optimize import linear_sum_assignment


@dataclass(frozen=True)
class IdSwitch:
    """One switch."""

    video_id: int  # its video
    frame: int  # 0-based frame in which the true track is first matched with ``new``
    last_frame: int  # the frame before it in which the true track was last matched with ``old``
    gt_id: int  # ``id`` of the annotation
    old: int  # the predicted track before, as its 0-based place in the list of results
    new: int  # the predicted track from now on, likewise


def find_id_switches(
    gt: GroundTruth,
    results: list[PredictedTrack],
    *,
    iou_threshold: float = IOU_THRESHOLD,
    score_threshold: float = SCORE_THRESHOLD,
) -> list[IdSwitch]:
    """The identity switches of predicted tracks, which match tracks of any category.

    They are sorted by video, in the order of the ground truth, and then by frame.
    Crowds of the ground truth and predictions below the score threshold are left out. Raises
    ValueError if there are no annotations or a threshold is out of range.
    """
    checks.iou_threshold(iou_threshold)
    videos = scored_videos(gt, results, "id switches", score_threshold=score_threshold)
    return [switch for scored in videos for switch in _of_video(scored, iou_threshold)]


def _of_video(scored: ScoredVideo, threshold: float) -> list[IdSwitch]:
    """The switches of one video."""
    video = scored.video
    true, predicted = (scored.masks_by_frame(side) for side in (scored.true, scored.predicted))
    switches = []
    before: dict[int, int] = {}  # the matches of the frame before
    known: dict[int, tuple[int, int]] = {}  # true -> (predicted, frame) of the last match
    for t in range(video.length):
        iou = frame_iou([track[t] for track in true], [track[t] for track in predicted])
        before = _matches(iou, before, threshold)
        for row, column in before.items():
            old, last_frame = known.get(row, (column, t))
            known[row] = column, t
            if old != column:
                ids = scored.true[row].id, scored.positions[old], scored.positions[column]
                switches.append(IdSwitch(video.id, t, last_frame, *ids))
    return switches


def _matches(iou: np.ndarray, before: dict[int, int], threshold: float) -> dict[int, int]:
    """Matches of one frame, true -> predicted, in ascending order of the true tracks."""
    iou = np.where(iou >= threshold, iou, 0.0)
    kept = {row: column for row, column in before.items() if iou[row, column] > 0}
    for row, column in kept.items():
        iou[row], iou[:, column] = 0.0, 0.0
    pairs = zip(*linear_sum_assignment(iou, maximize=True), strict=True)
    found = {int(row): int(column) for row, column in pairs if iou[row, column] > 0}
    return dict(sorted({**kept, **found}.items()))
