import json
import math
from itertools import permutations

from simplevtr.commands.evaluate import main
from simplevtr.evaluation.analysis.region_similarity import (
    TrackSimilarity,
    regions_table,
    score_regions,
)

import numpy as np
import pytest
from conftest import table_rows
from track_samples import HEIGHT, LENGTH, WIDTH, annotation, box, ground_truth, on_plain, result

score_regions = on_plain(score_regions)

# Frames are 6 x 8 pixels, tracks 3 frames long.
LEFT, RIGHT = box(0, 0, 3, 4), box(5, 0, 8, 4)  # 12 pixels each, apart
PART = box(0, 0, 1, 4)  # IoU 4 / 12 with LEFT
ONE = ground_truth([annotation(1, [LEFT, LEFT, None])])


def js(gt, results, **options):
    return pytest.approx([track.j for track in score_regions(gt, results, **options).tracks])


def test_the_mean_over_frames_where_two_empty_masks_count_1():
    assert js(ONE, [result([LEFT, PART, None])]) == [100 * (1 + 1 / 3 + 1) / 3]
    assert js(ONE, [result([None, LEFT, LEFT])]) == [100 * (0 + 1 + 0) / 3]


def test_an_object_that_nothing_was_found_of_is_compared_with_nothing():
    assert score_regions(ONE, []).tracks == [
        TrackSimilarity(video_id=1, video="1", gt_id=1, predicted=None, j=pytest.approx(100 / 3))
    ]


def test_the_proposals_are_the_best_scores():
    results = [result([PART, PART, None], score=0.9), result([LEFT, LEFT, None], score=0.8)]
    alone, both = (score_regions(ONE, results, proposals=n) for n in (1, 2))
    assert (alone.mean, alone.tracks[0].predicted) == (pytest.approx(500 / 9), 0)
    assert (both.mean, both.tracks[0].predicted) == (pytest.approx(100), 1)
    crowded = [result([PART] * 3, score=0.9)] * 20 + results[1:]
    assert score_regions(ONE, crowded).tracks[0].predicted == 0  # 20 by default
    assert score_regions(ONE, crowded, proposals=21).tracks[0].predicted == 20


def test_the_sum_decides_and_not_the_best_pair():
    true = [box(0, 0, 4, 4), box(1, 0, 5, 3)]  # 16 and 12 pixels
    predicted = [box(0, 0, 5, 4), box(0, 0, 3, 4)]  # IoU 16/20 and 12/16; 12/20 and 6/18
    gt = ground_truth([annotation(i, [mask] * 3) for i, mask in enumerate(true)])
    scores = score_regions(gt, [result([mask] * 3) for mask in predicted])
    assert [track.predicted for track in scores.tracks] == [1, 0]  # 0.75 + 0.6 > 0.8 + 1/3
    assert [track.j for track in scores.tracks] == pytest.approx([75, 60])


def test_categories_do_not_matter_and_crowds_are_left_out():
    crowd = annotation(2, [RIGHT] * 3, iscrowd=1)
    gt = ground_truth([annotation(1, [LEFT] * 3), crowd])
    assert js(gt, [result([LEFT] * 3, category_id=2)]) == [100]


def test_the_mean_is_over_tracks_and_not_over_videos():
    tracks = [annotation(1, [LEFT] * 3), annotation(2, [RIGHT] * 3)]
    gt = ground_truth([*tracks, annotation(3, [LEFT] * 3, video_id=2)])
    scores = score_regions(gt, [result([LEFT] * 3), result([PART] * 3, video_id=2)])
    assert scores.mean == pytest.approx((100 + 0 + 100 / 3) / 3)
    rows = table_rows(regions_table(scores))[2:]
    assert rows == [["all videos", "3", "44.444"], ["1", "2", "50.000"], ["2", "1", "33.333"]]


def test_no_true_track():
    scores = score_regions(ground_truth([]), [result([LEFT] * 3)])
    assert math.isnan(scores.mean)
    assert "nan" in regions_table(scores)


def naive_j(true, predicted):
    """J of (T, H, W) masks."""
    values = []
    for a, b in zip(true, predicted, strict=True):
        union = (a | b).sum()
        values.append((a & b).sum() / union if union else 1.0)
    return np.mean(values)


@pytest.mark.parametrize("count", [1, 3, 5])
def test_a_naive_loop_over_all_assignments_finds_the_same(count):
    generator = np.random.default_rng(count)
    for _ in range(20):
        true, predicted = (
            (generator.random((n, LENGTH, HEIGHT, WIDTH)) < 0.4)
            & (generator.random((n, LENGTH, 1, 1)) < 0.7)  # some frames without a mask
            for n in (3, count)
        )
        gt = ground_truth([annotation(i, list(masks)) for i, masks in enumerate(true, start=1)])
        scores = score_regions(gt, [result(list(masks)) for masks in predicted])
        padded = [*predicted, *[np.zeros_like(true[0])] * (3 - count)]
        choices = permutations(range(len(padded)), 3)
        sums = [sum(naive_j(a, padded[i]) for a, i in zip(true, of, strict=True)) for of in choices]
        assert sum(track.j for track in scores.tracks) == pytest.approx(100 * max(sums))
        for a, track in zip(true, scores.tracks, strict=True):
            found = np.zeros_like(a) if track.predicted is None else predicted[track.predicted]
            assert track.j == pytest.approx(100 * naive_j(a, found))


def test_the_command(tmp_path, capsys):
    files = {
        "gt": ONE,
        "results": [result([LEFT, PART, None], score=0.9), result([LEFT, LEFT, None])],
    }
    command = ["--output", str(tmp_path / "scores.json"), "--overwrite"]
    for name, content in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
        command += [f"--{name}", str(tmp_path / f"{name}.json")]
    for options, expected in ((["--j"], 100), (["--j", "1"], 700 / 9)):
        assert main([*command, *options]) == 0
        content = json.loads((tmp_path / "scores.json").read_text())["J"]
        assert content["mean"] == content["tracks"][0]["j"] == pytest.approx(expected)
        assert f"{expected:.3f}" in capsys.readouterr().out.splitlines()[-1]
    with pytest.raises(SystemExit, match="2"):
        main([*command, "--j", "0"])
