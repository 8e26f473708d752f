import copy
import math
import sys

from simplevtr.evaluation import ytvis_eval
from simplevtr.evaluation.ytvis_eval import scores_as_json, scores_table
from simplevtr.formats.results import load_results
from simplevtr.formats.ytvis import load_ground_truth

import numpy as np
import pytest
from track_samples import (
    EXPECTED,
    LENGTH,
    annotation,
    box,
    data_file,
    ground_truth,
    on_plain,
    read,
    result,
)

evaluate_tracks = on_plain(ytvis_eval.evaluate_tracks)

EVERYWHERE = [box(0, 0, 4, 4)] * LENGTH
ELSEWHERE = [box(4, 4, 8, 6)] * LENGTH


def as_fraction(value):
    """As the official code gives it: -1 where there is no ground truth."""
    return -1.0 if math.isnan(value) else value / 100


def check_against_official(scores, gt, expected):
    stats = [as_fraction(value) for value in scores.stats.values()]
    np.testing.assert_allclose(stats, expected["stats"], rtol=0, atol=1e-9)
    names = {category["id"]: category["name"] for category in gt["categories"]}
    assert len(scores.per_category) == len(expected["per_category"])
    for row in expected["per_category"]:
        mine = scores.per_category[names[row["category_id"]]]
        for key in ("AP", "AP50", "AR100"):
            assert as_fraction(mine[key]) == pytest.approx(row[key], rel=0, abs=1e-9)


@pytest.mark.parametrize("case", ["1", "4", "6"])
def test_equals_official_numbers(case):
    gt = load_ground_truth(data_file(case, "gt"))
    scores = ytvis_eval.evaluate_tracks(gt, load_results(data_file(case, "dt"), gt))
    check_against_official(scores, read(data_file(case, "gt")), EXPECTED[case])


def test_plain_content_is_scored_alike_and_not_changed():
    gt, results = read(data_file("4", "gt")), read(data_file("4", "dt"))
    before = copy.deepcopy((gt, results))
    check_against_official(evaluate_tracks(gt, results), gt, EXPECTED["4"])
    assert (gt, results) == before


def test_threads_that_score_leave_the_output_alone(capsys):
    """Two that redirect it at once may leave it redirected."""
    output, writers = sys.stdout, []

    class Results(list):
        def __iter__(self):
            writers.append(sys.stdout)  # where other threads print meanwhile
            return super().__iter__()

    gt = load_ground_truth(data_file("4", "gt"))
    ytvis_eval.evaluate_tracks(gt, Results(load_results(data_file("4", "dt"), gt)))
    assert {*writers} == {output}
    assert capsys.readouterr().out == ""


def test_arrays_and_table_agree_with_the_numbers():
    gt = read(data_file("4", "gt"))
    scores = evaluate_tracks(gt, read(data_file("4", "dt")))
    assert scores.precision.shape == (10, 101, 5, 4, 3)
    assert scores.recall.shape == (10, 5, 4, 3)
    first = 100 * scores.precision[:, :, 0, 0, 2].mean()
    assert scores.per_category["c1"]["AP"] == pytest.approx(first)
    assert f"{scores.stats['AP']:.3f}" in scores_table(scores)
    assert f"{first:.3f}" in scores_table(scores)
    plain = scores_as_json(scores)
    assert plain["AP"] == scores.stats["AP"]
    assert plain["APm"] is None
    assert plain["per_category"]["c5"]["AP"] is None


def test_numbers_are_rounded_to_any_number_of_decimals():
    value = {"a": [1.26, math.nan], "b": 3}
    assert ytvis_eval.without_nan(value) == {"a": [1.26, None], "b": 3}
    assert ytvis_eval.without_nan(value, 1) == {"a": [1.3, None], "b": 3}
    assert ytvis_eval.without_nan(value, 0) == {"a": [1.0, None], "b": 3}


def test_iou_decides_by_sums_over_frames():
    # Two frames of three are right and one is missing: IoU 2/3, which passes .50, .55, .60 and .65.
    gt = ground_truth([annotation(1, EVERYWHERE)])
    scores = evaluate_tracks(gt, [result([EVERYWHERE[0], None, EVERYWHERE[2]])])
    assert scores.stats["AP"] == pytest.approx(40)
    assert scores.stats["AP50"] == pytest.approx(100)
    assert scores.stats["AP75"] == 0


def test_no_predictions_score_zero_and_nan_without_ground_truth():
    scores = evaluate_tracks(ground_truth([annotation(1, EVERYWHERE)]), [])
    assert scores.stats["AP"] == 0
    assert list(scores.per_category) == ["cat"]
    assert math.isnan(scores.stats["APl"])
    empty = evaluate_tracks(ground_truth([]), [result(EVERYWHERE)])
    assert all(math.isnan(value) for value in empty.stats.values())


def test_only_categories_in_use_take_memory_and_lines():
    names = [f"c{i}" for i in range(60_000)]
    gt = ground_truth([annotation(1, EVERYWHERE, category_id=70)], categories=names)
    results = [result(EVERYWHERE, category_id=70), result(ELSEWHERE, category_id=9)]
    scores = evaluate_tracks(gt, results)
    assert scores.category_ids == [9, 70]
    assert scores.precision.shape[2] == scores.recall.shape[1] == 2
    assert scores.stats["AP"] == pytest.approx(100)
    assert math.isnan(scores.per_category["c8"]["AP"])  # predicted, but nothing to compare with
    table = scores_table(scores)
    assert "c69" in table
    assert "c8" not in table


def test_crowd_tracks_take_predictions_by_plain_iou():
    # One lies inside the crowd's track, but the IoU is 4/16: it stays a false positive. The other
    # one's IoU is 12/16, so it is ignored. COCO's crowd IoU would ignore both.
    crowd = annotation(1, EVERYWHERE, iscrowd=1)
    gt = ground_truth([crowd, annotation(2, ELSEWHERE)])
    inside, most = [box(0, 0, 2, 2)] * LENGTH, [box(0, 0, 3, 4)] * LENGTH
    right = result(ELSEWHERE, score=0.1)
    ignored = evaluate_tracks(gt, [result(most, score=0.9), right])
    assert ignored.stats["AP50"] == pytest.approx(100)
    assert evaluate_tracks(gt, [result(inside, score=0.9), right]).stats["AP50"] == pytest.approx(
        50
    )


@pytest.mark.parametrize(
    ("area", "ranges"),
    [(128**2 - 1, "s"), (128**2, "sm"), (128**2 + 1, "m"), (256**2, "ml"), (256**2 + 1, "l")],
)
def test_area_ranges_include_their_limits_and_follow_the_file(area, ranges):
    gt = ground_truth([annotation(1, EVERYWHERE, areas=[None, area, area])])
    stats = evaluate_tracks(gt, [result(EVERYWHERE)]).stats
    for size in "sml":
        assert math.isnan(stats[f"AP{size}"]) == (size not in ranges)
        assert math.isnan(stats[f"AR{size}"]) == (size not in ranges)


@pytest.mark.parametrize("limits", [(5,), (0, 5), (6, 5), (math.nan, 5), (5, math.inf)])
def test_area_limits_that_make_no_sense(limits):
    with pytest.raises(ValueError, match="give two ascending numbers of pixels above 0"):
        evaluate_tracks(ground_truth([]), [], area_limits=limits)


def test_track_outside_a_range_does_not_count_in_it():
    # The small track has a false positive that is large: it must not count among the small ones.
    gt = ground_truth([])
    gt["videos"][0].update(height=300, width=300)
    large, small = np.zeros((2, 300, 300), bool)
    large[:, :260] = True
    small[:5, :5] = True
    gt["annotations"] = [annotation(1, [small] * LENGTH)]
    results = [result([large] * LENGTH, score=0.9), result([small] * LENGTH, score=0.8)]
    stats = evaluate_tracks(gt, results).stats
    assert stats["AP"] == pytest.approx(50)
    assert stats["APs"] == pytest.approx(100)


def test_equal_scores_keep_the_order_of_the_file():
    gt = ground_truth([annotation(1, EVERYWHERE)])
    good, bad = result(EVERYWHERE), result(ELSEWHERE)
    assert evaluate_tracks(gt, [good, bad]).stats["AR1"] == pytest.approx(100)
    assert evaluate_tracks(gt, [bad, good]).stats["AR1"] == 0


def test_at_most_100_tracks_count():
    gt = ground_truth([annotation(1, EVERYWHERE)])
    wrong = [result(ELSEWHERE, score=0.9)] * 99
    right = result(EVERYWHERE, score=0.1)
    assert evaluate_tracks(gt, [*wrong, right]).stats["AR100"] == pytest.approx(100)
    assert evaluate_tracks(gt, [*wrong, wrong[0], right]).stats["AR100"] == 0


def test_ids_of_zero_are_ids_too():
    gt = ground_truth([annotation(0, EVERYWHERE, video_id=0)], videos=(0,))
    scores = evaluate_tracks(gt, [result(EVERYWHERE, video_id=0)])
    assert scores.stats["AP"] == pytest.approx(100)


def test_annotations_are_needed():
    with pytest.raises(ValueError, match="no annotations"):
        evaluate_tracks(ground_truth(None), [])
