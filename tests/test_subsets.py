import math
from dataclasses import asdict

from simplevtr.evaluation.analysis.subsets import GROUPS, score_subsets, subsets_table
from simplevtr.evaluation.ytvis_eval import evaluate_tracks, without_nan

import numpy as np
import pytest
from conftest import table_rows
from track_samples import (
    HEIGHT,
    WIDTH,
    annotation,
    box,
    data_file,
    ground_truth,
    on_plain,
    read,
    result,
)

score_subsets = on_plain(score_subsets)
evaluate_tracks = on_plain(evaluate_tracks)

A, B, C = box(0, 0, 2, 2), box(3, 0, 5, 2), box(6, 0, 8, 2)


def column(scores, key):
    """A number of each group."""
    return tuple(group[key] for group in scores.groups.values())


def groups(annotations, name, limits):
    """Number of true tracks in each group."""
    scores = score_subsets(ground_truth(annotations), [], limits={name: limits})[name]
    return column(scores, "true_tracks")


def limit_of(annotations, name):
    """The property's number of the only track."""
    return score_subsets(ground_truth(annotations), [])[name].limits[0]


def test_length_is_the_number_of_visible_frames():
    tracks = [annotation(1, [A, None, None]), annotation(2, [B, None, B]), annotation(3, [C] * 3)]
    assert groups(tracks, "length", (1, 2)) == (1, 1, 1)  # a limit belongs to the lower group
    assert groups(tracks, "length", (2, 2)) == (2, 0, 1)
    assert score_subsets(ground_truth(tracks), [])["length"].limits == [1, 2]


def test_motion_is_relative_to_size():
    # Two pixels, then none; the square root of the area is 2.
    right = [box(0, 0, 2, 2), box(2, 0, 4, 2), box(2, 0, 4, 2)]
    assert limit_of([annotation(1, right)], "motion") == pytest.approx(0.5)
    down = [box(0, 0, 2, 2), box(0, 3, 2, 5), None]
    assert limit_of([annotation(1, down)], "motion") == pytest.approx(1.5)
    hidden_between = [box(0, 0, 2, 2), None, box(6, 0, 8, 2)]
    assert limit_of([annotation(1, hidden_between)], "motion") == 0
    # Growing from 4 to 16 pixels moves the centre by (1, 1).
    grows = [box(0, 0, 2, 2), box(0, 0, 4, 4), None]
    expected = math.sqrt(2) / math.sqrt(10)
    assert limit_of([annotation(1, grows)], "motion") == pytest.approx(expected)


def test_motion_of_ragged_masks():
    generator = np.random.default_rng(0)
    first, second = generator.random((2, HEIGHT, WIDTH)) < 0.4
    centres = [np.argwhere(mask).mean(axis=0) for mask in (first, second)]
    expected = math.dist(*centres) / math.sqrt((first.sum() + second.sum()) / 2)
    found = limit_of([annotation(1, [None, first, second])], "motion")
    assert found == pytest.approx(expected)


def test_occlusion_counts_hidden_and_overlapped_frames_of_the_span():
    assert limit_of([annotation(1, [A, None, A])], "occlusion") == pytest.approx(1 / 3)
    assert limit_of([annotation(1, [None, A, A])], "occlusion") == 0
    near = box(1, 1, 3, 3)  # overlaps A's box
    crowd = annotation(2, [near, near, None], iscrowd=1)
    assert limit_of([annotation(1, [A] * 3), crowd], "occlusion") == pytest.approx(2 / 3)
    touching = annotation(2, [box(2, 0, 4, 2)] * 3, iscrowd=1)  # shares an edge alone
    assert limit_of([annotation(1, [A] * 3), touching], "occlusion") == 0
    # A box overlaps where masks need not.
    ring = box(0, 0, 6, 6) & ~box(1, 1, 5, 5)
    inside = annotation(2, [box(2, 2, 4, 4)] * 3, iscrowd=1)
    assert limit_of([annotation(1, [ring] * 3), inside], "occlusion") == 1


def test_a_group_ignores_the_tracks_of_others():
    gt = ground_truth([annotation(1, [A, None, None]), annotation(2, [C] * 3)])
    limits = {"length": (1, 2)}
    found_long = [result([C] * 3, score=0.9)]
    scores = score_subsets(gt, found_long, limits=limits)["length"]
    assert column(scores, "true_tracks") == (1, 0, 1)
    assert column(scores, "AP") == pytest.approx((0, math.nan, 100), nan_ok=True)
    # A false alarm of three frames costs the long tracks alone ...
    false_alarm = result([B] * 3, score=0.95)
    scores = score_subsets(gt, [*found_long, false_alarm, result([A, None, None])], limits=limits)
    assert column(scores["length"], "AP50")[::2] == pytest.approx((100, 50))
    # ... and one of two frames neither.
    false_alarm = result([B, B, None], score=0.95)
    scores = score_subsets(gt, [*found_long, false_alarm, result([A, None, None])], limits=limits)
    assert column(scores["length"], "AP50")[::2] == pytest.approx((100, 100))
    assert column(scores["length"], "AR100")[2] == pytest.approx(100)


def test_a_prediction_is_not_occluded_by_its_own_object():
    near = box(1, 1, 3, 3)
    gt = ground_truth([annotation(1, [A] * 3), annotation(2, [C] * 3)])
    # IoU 1/7 with A: a false alarm, of the free ones.
    scores = score_subsets(gt, [result([near] * 3, score=0.9), result([A] * 3), result([C] * 3)])
    occlusion = scores["occlusion"]
    assert occlusion.limits == [0, 0]
    assert column(occlusion, "AP50")[0] < 90
    gt = ground_truth([annotation(1, [A] * 3), annotation(2, [near] * 3), annotation(3, [C] * 3)])
    scores = score_subsets(gt, [result([A] * 3), result([C] * 3)], limits={"occlusion": (0, 0.5)})
    assert column(scores["occlusion"], "true_tracks") == (1, 0, 2)
    assert column(scores["occlusion"], "AP50")[::2] == pytest.approx((100, 100 * 51 / 101))


@pytest.mark.parametrize("case", ["1", "4"])
def test_one_group_with_everything_has_the_scores_of_the_evaluation(case):
    gt = read(data_file(case, "gt"))
    results = read(data_file(case, "dt"))
    stats = evaluate_tracks(gt, results).stats
    everything = score_subsets(gt, results, limits=dict.fromkeys(GROUPS, (1e6, 1e6)))
    for scores in everything.values():
        found = column(scores, "AP")[0], column(scores, "AP50")[0], column(scores, "AR100")[0]
        assert found == pytest.approx((stats["AP"], stats["AP50"], stats["AR100"]))
        assert column(scores, "true_tracks")[1:] == (0, 0)


def test_nothing_true():
    for scores in score_subsets(ground_truth([]), [result([A] * 3)]).values():
        assert column(scores, "true_tracks") == (0, 0, 0)
        assert all(map(math.isnan, scores.limits))
        assert all(math.isnan(x) for key in ("AP", "AP50", "AR100") for x in column(scores, key))


def test_table_and_json():
    gt = ground_truth([annotation(1, [A, None, None]), annotation(2, [C] * 3)])
    subsets = score_subsets(gt, [result([C] * 3)], limits={"length": (1, 2)})
    rows = table_rows(subsets_table(subsets))
    assert rows[2] == ["length", "short", "up to 1", "1", "0.000", "0.000", "0.000"]
    assert rows[3] == ["length", "middle", "up to 2", "0", "nan", "nan", "nan"]
    assert rows[4] == ["length", "long", "above 2", "1", "100.000", "100.000", "100.000"]
    content = {name: without_nan(asdict(scores)) for name, scores in subsets.items()}
    assert list(content) == list(GROUPS)
    assert content["length"]["limits"] == [1, 2]
    nothing = {"true_tracks": 0, "AP": None, "AP50": None, "AR100": None}
    assert content["length"]["groups"]["middle"] == nothing
    assert content["length"]["groups"]["long"]["true_tracks"] == 1


def test_refuses_bad_limits_and_missing_annotations():
    gt = ground_truth([annotation(1, [A] * 3)])
    for limits in ((2, 1), (-1, 1), (math.nan, 1), (1, math.inf), (1,)):
        with pytest.raises(ValueError, match="motion limits .* two ascending"):
            score_subsets(gt, [], limits={"motion": limits})
    with pytest.raises(ValueError, match=r"'speed'.* length, motion, occlusion"):
        score_subsets(gt, [], limits={"speed": (1, 2)})
    with pytest.raises(ValueError, match="no annotations"):
        score_subsets(ground_truth(None), [])
