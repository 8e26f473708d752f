from simplevtr.evaluation.analysis.track_matching import match_tracks
from simplevtr.evaluation.scored_video import tracks_by_video
from simplevtr.toolbox.report.content import score_video

import numpy as np
import pytest
from track_samples import annotation, box, ground_truth, on_plain, result

tracks_by_video = on_plain(tracks_by_video)

LEFT, RIGHT, THIRD = box(0, 0, 3, 3), box(5, 0, 8, 3), box(0, 4, 3, 6)
WIDE = box(0, 0, 4, 3)  # IoU 9 / 12 with LEFT


def score_videos(gt, results):
    """The row of each video that shows the predictions of scores from 0.3 on."""
    shown = tracks_by_video(gt, results, score_threshold=0.3)
    return [score_video(*of, 0.5) for of in zip(tracks_by_video(gt, results), shown, strict=True)]


def test_a_video_by_hand():
    gt = ground_truth([annotation(1, [LEFT] * 3), annotation(2, [RIGHT] * 3)], videos=(4,))
    for a in gt["annotations"]:
        a["video_id"] = 4
    results = [
        result([WIDE] * 3, score=0.9, video_id=4),
        result([THIRD] * 3, score=0.8, video_id=4),
        result([RIGHT] * 3, score=0.1, video_id=4),
    ]
    (score,) = score_videos(gt, results)
    assert (score["true"], score["predicted"]) == (2, 2)
    assert (score["matches"], score["misses"], score["falsePositives"]) == (1, 1, 1)
    assert score["iou"] == pytest.approx(0.75 / 2)
    # At IoU 0.5 the ranks 1 and 3 are right: precision 1 at the recalls 0 to 0.5 (51 of 101), and
    # 2 / 3 at the 50 others. From 0.8 on only rank 3 is right: precision 1/3 at 51 recalls.
    at_50, above_75 = (51 + 50 * 2 / 3) / 101, 51 / 101 / 3
    assert score["ap50"] == pytest.approx(100 * at_50)
    assert score["ap"] == pytest.approx(100 * (6 * at_50 + 4 * above_75) / 10)


def test_the_category_must_be_right():
    gt = ground_truth([annotation(1, [LEFT] * 3, category_id=1)], videos=(1,))
    (score,) = score_videos(gt, [result([LEFT] * 3, category_id=2)])
    assert (score["matches"], score["misses"], score["falsePositives"]) == (0, 1, 1)
    assert (score["ap"], score["iou"]) == (0, 0)


def test_a_video_without_true_tracks_has_no_scores():
    gt = ground_truth([annotation(1, [LEFT] * 3)])
    second = score_videos(gt, [result([LEFT] * 3, video_id=2)])[1]
    assert (second["ap"], second["ap50"], second["iou"]) == (None, None, None)
    assert (second["true"], second["falsePositives"]) == (0, 1)


def test_crowds_are_neither_missed_nor_wrong():
    crowd = annotation(2, [RIGHT] * 3, iscrowd=1)
    gt = ground_truth([annotation(1, [LEFT] * 3), crowd], videos=(1,))
    results = [result([RIGHT] * 3, score=0.9), result([LEFT] * 3, score=0.8)]
    (score,) = score_videos(gt, results)
    assert (score["true"], score["misses"], score["falsePositives"]) == (1, 0, 0)
    assert score["ap"] == pytest.approx(100)


def test_a_prediction_takes_the_best_free_track():
    iou = np.array([[0.6, 0.9, 0.0], [0.7, 0.8, 0.0], [0.6, 0.9, 0.4]])
    assert match_tracks(iou, 0.5) == {0: 1, 1: 0}
    assert match_tracks(np.zeros((2, 0)), 0.5) == {}
    assert match_tracks(np.full((1, 1), 0.5), 0.5) == {0: 0}


def test_tracks_by_video_keeps_the_order_of_scores_and_places():
    gt = ground_truth(None)
    results = [result([LEFT] * 3, score=s, video_id=v) for s, v in [(0.2, 2), (0.9, 1), (0.5, 2)]]
    first, second = tracks_by_video(gt, results)
    assert (first.positions, second.positions) == ([1], [2, 0])
    assert [track.score for track in second.predicted] == [0.5, 0.2]
    assert tracks_by_video(gt, results, score_threshold=0.5)[1].positions == [2]
