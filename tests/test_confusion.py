from simplevtr.evaluation.analysis.track_matching import confuse_categories

import numpy as np
import pytest
from track_samples import annotation, box, ground_truth, on_plain, result

confuse_categories = on_plain(confuse_categories)

LEFT, RIGHT, THIRD = box(0, 0, 3, 3), box(5, 0, 8, 3), box(0, 4, 3, 6)
CAT, DOG = 1, 2


def counts(annotations, results, **more):
    in_use = sorted({track["category_id"] for track in [*annotations, *results]})
    places = [*(category_id - CAT for category_id in in_use), 2]
    full = np.zeros((3, 3), int)  # of both categories, also where one is not in use
    full[np.ix_(places, places)] = confuse_categories(ground_truth(annotations), results, **more)
    return full.tolist()


def test_every_kind_of_cell():
    annotations = [
        annotation(1, [LEFT] * 3, category_id=CAT),  # found
        annotation(2, [RIGHT] * 3, category_id=CAT),  # taken for a dog
        annotation(3, [LEFT] * 3, category_id=DOG, video_id=2),  # not found
    ]
    results = [
        result([LEFT] * 3, category_id=CAT),
        result([RIGHT] * 3, category_id=DOG),
        result([THIRD] * 3, category_id=DOG, video_id=2),  # nothing there
    ]
    assert counts(annotations, results) == [[1, 1, 0], [0, 0, 1], [0, 1, 0]]


def test_the_best_score_takes_the_track_whatever_the_category():
    annotations = [annotation(1, [LEFT] * 3, category_id=CAT)]
    results = [
        result([LEFT] * 3, category_id=CAT, score=0.8),
        result([box(0, 0, 4, 3)] * 3, category_id=DOG, score=0.9),
    ]
    assert counts(annotations, results) == [[0, 1, 0], [0, 0, 0], [1, 0, 0]]


def test_scores_and_ious_below_the_thresholds_find_nothing():
    annotations = [annotation(1, [LEFT] * 3, category_id=CAT)]
    results = [result([box(0, 0, 4, 3)] * 3, category_id=CAT, score=0.4)]
    assert counts(annotations, results) == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert counts(annotations, results, score_threshold=0.5) == [[0, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert counts(annotations, results, iou_threshold=0.8) == [[0, 0, 1], [0, 0, 0], [1, 0, 0]]


def test_crowds_are_not_counted():
    annotations = [annotation(1, [LEFT] * 3, category_id=CAT, iscrowd=1)]
    results = [result([LEFT] * 3, category_id=DOG), result([RIGHT] * 3, category_id=DOG)]
    assert counts(annotations, results) == [[0, 0, 0], [0, 0, 0], [0, 1, 0]]


def test_categories_in_use_come_by_id():
    gt = ground_truth([annotation(1, [LEFT] * 3, category_id=2)], categories=("a", "b", "c"))
    gt["categories"].reverse()
    results = [result([LEFT] * 3, category_id=2), result([RIGHT] * 3, category_id=1)]
    assert confuse_categories(gt, results).tolist() == [[0, 0, 0], [0, 1, 0], [1, 0, 0]]


def test_refuses_a_ground_truth_without_annotations():
    with pytest.raises(ValueError, match="no annotations"):
        confuse_categories(ground_truth(None), [])
    with pytest.raises(ValueError, match="iou_threshold"):
        confuse_categories(ground_truth([]), [], iou_threshold=2.0)
