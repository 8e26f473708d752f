from simplevtr.evaluation.analysis.id_switches import IdSwitch, find_id_switches
from simplevtr.formats.film_strips import join_frames, split_frames

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from track_samples import HEIGHT, WIDTH, annotation, box, ground_truth, on_plain, result

find_id_switches = on_plain(find_id_switches)

LEFT, RIGHT = box(0, 0, 3, 3), box(5, 0, 8, 3)


def scene(annotations, length, **more):
    gt = ground_truth(annotations, **more)
    for video in gt["videos"]:
        del video["file_names"]
        video["length"] = length
    return gt


def events(switches):
    return [(e.video_id, e.frame, e.gt_id, e.old, e.new) for e in switches]


def test_one_predicted_track_after_the_other():
    gt = scene([annotation(7, [LEFT] * 4)], 4)
    results = [result([LEFT, LEFT, None, None]), result([None, None, LEFT, LEFT])]
    found = find_id_switches(gt, results)
    assert found == [IdSwitch(1, frame=2, last_frame=1, gt_id=7, old=0, new=1)]


def test_the_first_match_is_no_switch():
    gt = scene([annotation(7, [LEFT] * 3)], 3)
    assert events(find_id_switches(gt, [result([None, None, LEFT])])) == []


def test_two_objects_that_swap_their_predictions_are_two_switches():
    gt = scene([annotation(1, [LEFT] * 3), annotation(2, [RIGHT] * 3)], 3)
    results = [result([LEFT, RIGHT, RIGHT]), result([RIGHT, LEFT, LEFT])]
    assert events(find_id_switches(gt, results)) == [(1, 1, 1, 0, 1), (1, 1, 2, 1, 0)]


def test_there_and_back_are_two_switches():
    gt = scene([annotation(1, [LEFT] * 3)], 3)
    results = [result([LEFT, None, LEFT]), result([None, LEFT, None])]
    assert events(find_id_switches(gt, results)) == [(1, 1, 1, 0, 1), (1, 2, 1, 1, 0)]


def test_a_gap_keeps_the_last_known_match():
    gt = scene([annotation(1, [LEFT, None, None, LEFT, LEFT])], 5)
    same = [result([LEFT, None, None, LEFT, LEFT])]
    assert events(find_id_switches(gt, same)) == []
    other = [result([LEFT, None, None, None, None]), result([None, None, None, LEFT, LEFT])]
    found = find_id_switches(gt, other)
    assert found == [IdSwitch(1, frame=3, last_frame=0, gt_id=1, old=0, new=1)]


def test_a_match_is_kept_though_another_track_fits_better():
    wide = box(0, 0, 4, 3)  # IoU 9 / 12 with LEFT
    gt = scene([annotation(1, [LEFT] * 3)], 3)
    results = [result([wide] * 3), result([None, LEFT, LEFT])]
    assert events(find_id_switches(gt, results)) == []


def test_a_match_below_the_threshold_is_given_up():
    far = box(2, 0, 5, 3)  # IoU 3 / 15 with LEFT
    gt = scene([annotation(1, [LEFT] * 2)], 2)
    results = [result([LEFT, far]), result([None, LEFT])]
    assert events(find_id_switches(gt, results)) == [(1, 1, 1, 0, 1)]


def test_an_iou_equal_to_the_threshold_matches():
    half = box(0, 0, 6, 3)  # IoU 9 / 18 with LEFT
    gt, results = (
        scene([annotation(1, [LEFT] * 2)], 2),
        [result([half, None]), result([None, LEFT])],
    )
    assert len(find_id_switches(gt, results)) == 1
    assert len(find_id_switches(gt, results, iou_threshold=0.51)) == 0


def test_the_sum_of_the_ious_decides_and_not_the_best_pair():
    # Two true masks of 4 columns, one shifted by one. The first prediction lies on the second true
    # mask (IoU 1), where it would leave the other prediction (IoU 0.6 there, 1/3 here) without.
    true = [[box(0, 0, 4, 2), LEFT], [box(1, 0, 5, 2), RIGHT]]
    predicted = [[box(1, 0, 5, 2), RIGHT], [box(2, 0, 6, 2), LEFT]]
    gt = scene([annotation(i, masks) for i, masks in enumerate(true, start=1)], 2)
    # 0.6 + 0.6 is more than 1: both are matched, and change places in the second frame.
    assert len(find_id_switches(gt, [result(masks) for masks in predicted])) == 2


def test_low_scores_and_crowds_are_left_out():
    gt = scene([annotation(1, [LEFT] * 2), annotation(2, [RIGHT] * 2, iscrowd=1)], 2)
    results = [
        result([LEFT, None], score=0.9),
        result([None, LEFT], score=0.2),
        result([RIGHT, None], score=0.9),
        result([None, RIGHT], score=0.9),
    ]
    assert len(find_id_switches(gt, results)) == 0
    assert len(find_id_switches(gt, results, score_threshold=0.2)) == 1


def test_positions_are_those_of_the_list_whatever_the_scores():
    gt = scene([annotation(1, [LEFT] * 2, video_id=2)], 2)
    results = [
        result([LEFT, LEFT], score=0.99, video_id=1),
        result([LEFT, None], score=0.5, video_id=2),
        result([None, LEFT], score=0.9, video_id=2),
    ]
    assert events(find_id_switches(gt, results)) == [(2, 1, 1, 1, 2)]


def test_no_tracks_at_all():
    assert find_id_switches(scene([], 2), []) == []
    assert len(find_id_switches(scene([annotation(1, [LEFT] * 2)], 2), [])) == 0


def test_refuses_what_it_cannot_count():
    gt = scene([annotation(1, [LEFT])], 1)
    with pytest.raises(ValueError, match="no annotations"):
        find_id_switches(scene(None, 1), [])
    for threshold in (0, 1.1, float("nan")):
        with pytest.raises(ValueError, match="iou_threshold"):
            find_id_switches(gt, [], iou_threshold=threshold)
    for threshold in (50, -0.1, float("nan")):
        with pytest.raises(ValueError, match="score_threshold is .*from 0 to 1"):
            find_id_switches(gt, [], score_threshold=threshold)


def test_split_frames_undoes_join_frames():
    rng = np.random.default_rng(0)
    masks = rng.random((5, 6, HEIGHT, WIDTH)) < rng.random((5, 6, 1, 1))
    masks[0] = True  # one run over all frames
    masks[1] = False
    masks[2, ::2] = False
    tracks = [result(list(track))["segmentations"] for track in masks]
    strips = join_frames(tracks, height=HEIGHT, width=WIDTH)
    split = split_frames(strips, frames=6, height=HEIGHT, width=WIDTH)
    for track, frames in zip(masks, split, strict=True):
        for mask, rle in zip(track, frames, strict=True):
            assert (rle is None) == (not mask.any())
            if rle is not None:
                np.testing.assert_array_equal(coco_mask.decode(rle), mask)
