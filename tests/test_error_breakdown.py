import math

from simplevtr.evaluation.analysis.error_breakdown import KINDS, break_down_errors, errors_table
from simplevtr.evaluation.ytvis_eval import evaluate_tracks

import pytest
from conftest import table_rows
from track_samples import annotation, box, data_file, ground_truth, on_plain, read, result

break_down_errors = on_plain(break_down_errors)
evaluate_tracks = on_plain(evaluate_tracks)

# Frames are 6 x 8 pixels, tracks 3 frames long.
LEFT, RIGHT = box(0, 0, 3, 4), box(5, 0, 8, 4)  # 12 pixels each, apart
PART = box(0, 0, 1, 4)  # IoU 4 / 12 with LEFT
ONE_CAT = ground_truth([annotation(1, [LEFT] * 3)])


def found(gt, results):
    """AP50, and (count, gain) of the kinds that occur; the others must gain nothing."""
    errors = break_down_errors(gt, results)
    assert tuple(errors.counts) == tuple(errors.gains) == KINDS
    assert all(errors.gains[kind] == 0 for kind in KINDS if errors.counts[kind] == 0)
    occurring = {
        kind: (count, pytest.approx(errors.gains[kind], abs=1e-6))
        for kind, count in errors.counts.items()
        if count
    }
    return pytest.approx(errors.ap50, abs=1e-6), occurring


def test_nothing_is_wrong():
    assert found(ONE_CAT, [result([LEFT] * 3)]) == (100, {})


def test_class():
    # A dog's track on the cat: with the cat's category everything is found.
    results = [result([LEFT] * 3, category_id=2)]
    assert found(ONE_CAT, results) == (0, {"class": (1, 100)})


def test_a_class_error_on_a_track_that_is_found_already_becomes_no_second_match():
    gt = ground_truth([annotation(1, [LEFT] * 3), annotation(2, [RIGHT] * 3, category_id=2)])
    cat = result([LEFT] * 3, score=0.5)
    dogs = [
        result([LEFT] * 3, score=0.9, category_id=2),
        result([RIGHT] * 3, score=0.8, category_id=2),
    ]
    # Cats 100, dogs 50: precision is 1/2 at the only true dog. As a cat, the first one takes over.
    assert found(gt, [cat, *dogs]) == (75, {"class": (1, 25)})


def test_of_two_predictions_of_a_track_the_best_is_kept():
    gt = ground_truth([annotation(1, [LEFT] * 3), annotation(2, [RIGHT] * 3)])
    dog = result([LEFT] * 3, score=0.9, category_id=2)
    masks = ((box(0, 4, 7, 6), 0.8), (LEFT, 0.7), (RIGHT, 0.6))
    cats = [result([mask] * 3, score=score) for mask, score in masks]
    # Wrong, right, right: precision 2/3 throughout. With the dog as a cat: right, wrong, right.
    gains = {"class": (1, 100 * (51 + 50 * 2 / 3) / 101 - 200 / 3), "background": (1, 100 / 3)}
    assert found(gt, [dog, *cats]) == (200 / 3, gains)


def test_of_two_tracks_with_the_same_iou_the_one_of_ap50_is_found():
    gt = ground_truth([annotation(1, [box(0, 0, 3, 4)] * 3), annotation(2, [box(3, 0, 6, 4)] * 3)])
    both = result([box(0, 0, 6, 4)] * 3, score=0.9)  # IoU 1/2 with each
    assert found(gt, [both, result([box(0, 0, 3, 4)] * 3, score=0.8)]) == (100, {})


def test_localisation():
    assert found(ONE_CAT, [result([PART] * 3)]) == (0, {"localisation": (1, 100)})
    elsewhere = box(0, 4, 7, 6)  # 14 pixels: IoU 12 / (36 + 12 + 28 - 12)
    one_frame = [result([elsewhere, LEFT, elsewhere])]
    assert found(ONE_CAT, one_frame) == (0, {"localisation": (1, 100)})


def test_both():
    # Leaving it out finds no cat: that is missed, and putting "missed" right leaves none to find.
    results = [result([PART] * 3, category_id=2)]
    assert found(ONE_CAT, results) == (0, {"both": (1, 0), "missed": (1, 100)})


def test_both_costs_where_its_category_is_there():
    gt = ground_truth([annotation(1, [LEFT] * 3), annotation(2, [RIGHT] * 3, category_id=2)])
    results = [
        result([LEFT] * 3),
        result([PART] * 3, score=0.9, category_id=2),
        result([RIGHT] * 3, score=0.8, category_id=2),
    ]
    assert found(gt, results) == (75, {"both": (1, 25)})


def test_duplicate():
    # Two true cats; the second match comes after a duplicate: precision 1, 1/2, 2/3.
    gt = ground_truth([annotation(1, [LEFT] * 3), annotation(2, [RIGHT] * 3)])
    results = [result([mask] * 3, score=s) for mask, s in ((LEFT, 0.9), (LEFT, 0.8), (RIGHT, 0.7))]
    before = 100 * (51 + 50 * 2 / 3) / 101  # recalls 0, .01, ..., .50, and the rest to 1
    assert found(gt, results) == (before, {"duplicate": (1, 100 - before)})


def test_background():
    results = [result([RIGHT] * 3, score=0.9), result([LEFT] * 3, score=0.8)]
    assert found(ONE_CAT, results) == (50, {"background": (1, 50)})


def test_missed():
    gt = ground_truth([annotation(1, [LEFT] * 3), annotation(2, [RIGHT] * 3)])
    before = 100 * 51 / 101
    assert found(gt, [result([LEFT] * 3)]) == (before, {"missed": (1, 100 - before)})
    assert found(gt, []) == (0, {"missed": (2, 100)})


def test_an_identity_switch():
    # One frame each: an IoU of 1/3 alone, 1 together.
    pieces = [
        result([LEFT if t == frame else None for t in range(3)], score=0.9 - frame / 10)
        for frame in range(3)
    ]
    assert found(ONE_CAT, pieces) == (0, {"id_switch": (1, 100)})
    assert found(ONE_CAT, pieces[:2]) == (0, {"id_switch": (1, 100)})  # 2/3 together


def test_two_objects_that_swap_their_predictions():
    masks = [annotation(1, [LEFT, LEFT, None]), annotation(2, [RIGHT, RIGHT, None])]
    results = [result([LEFT, RIGHT, None], score=0.9), result([RIGHT, LEFT, None], score=0.8)]
    # Each prediction is a piece of both true tracks.
    errors = break_down_errors(ground_truth(masks), results)
    assert (errors.ap50, errors.counts["id_switch"]) == (0, 2)
    assert errors.gains["id_switch"] == pytest.approx(100)
    assert sum(errors.counts.values()) == 2


def test_pieces_of_other_categories_or_of_poor_masks_are_no_identity_switch():
    first = result([LEFT, None, None])
    other = result([None, LEFT, None], category_id=2)
    counts = break_down_errors(ONE_CAT, [first, other]).counts
    assert (counts["id_switch"], counts["localisation"], counts["both"]) == (0, 1, 1)
    poor = result([None, PART, PART])
    counts = break_down_errors(ONE_CAT, [first, poor]).counts
    assert (counts["id_switch"], counts["localisation"]) == (0, 2)


def test_one_piece_or_too_little_together_is_no_identity_switch():
    # One prediction, wrong in the last frame (IoU 24 / 66), and another that is poor there.
    alone = [result([LEFT, LEFT, box(3, 0, 8, 6)]), result([None, None, PART])]
    half = box(0, 0, 3, 2)  # 6 of 12 pixels; in two of three frames 12 / 36
    little = [result([half, None, None]), result([None, half, None])]
    for results in (alone, little):
        counts = break_down_errors(ONE_CAT, results).counts
        assert (counts["id_switch"], counts["localisation"]) == (0, 2)


def test_predictions_on_a_crowd_are_no_errors():
    gt = ground_truth([annotation(1, [LEFT] * 3), annotation(2, [RIGHT] * 3, iscrowd=1)])
    assert found(gt, [result([LEFT] * 3), result([RIGHT] * 3)]) == (100, {})


@pytest.mark.parametrize("case", ["1", "4"])
def test_base_is_the_ap50_of_the_evaluation_and_no_gain_is_negative(case):
    gt = read(data_file(case, "gt"))
    results = read(data_file(case, "dt"))
    errors = break_down_errors(gt, results)
    assert errors.ap50 == pytest.approx(evaluate_tracks(gt, results).stats["AP50"])
    assert min(errors.gains.values()) >= 0
    assert max(errors.gains.values()) <= 100 - errors.ap50


def test_nothing_true():
    errors = break_down_errors(ground_truth([]), [result([LEFT] * 3)])
    assert math.isnan(errors.ap50)
    assert all(math.isnan(gain) for gain in errors.gains.values())
    assert errors.counts["background"] == 1


def test_annotations_are_needed():
    with pytest.raises(ValueError, match="no annotations"):
        break_down_errors(ground_truth(None), [])


def test_table():
    cells = table_rows(errors_table(break_down_errors(ONE_CAT, [result([PART] * 3)])))
    assert cells[0] == ["kind of error", "number", "AP50 gained"]
    assert cells[3] == ["localisation", "1", "100.000"]
    assert [row[0] for row in cells[2:]] == [kind.replace("_", " ") for kind in KINDS]
    assert "nan" in errors_table(break_down_errors(ground_truth([]), []))
