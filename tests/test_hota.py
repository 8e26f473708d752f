import importlib.util
import json
import math
import sys
from dataclasses import asdict

from simplevtr.commands.evaluate import main
from simplevtr.evaluation.analysis.hota import METRICS, hota_table, score_hota
from simplevtr.evaluation.ytvis_eval import without_nan

import numpy as np
import pytest
from conftest import ROOT, table_rows
from track_samples import annotation, box, data_file, ground_truth, on_plain, result

score_hota = on_plain(score_hota)

INSTALLED = importlib.util.find_spec("trackeval") is not None
needs_trackeval = pytest.mark.skipif(
    not INSTALLED, reason="needs TrackEval: pip install --no-deps -r requirements-hota.txt"
)

LEFT, RIGHT, HALF = box(0, 0, 3, 3), box(5, 0, 8, 3), box(0, 0, 3, 2)


def scene(*annotations, length=4, **more):
    gt = ground_truth([*annotations], **more)
    for video in gt["videos"]:
        video.update(length=length, file_names=[f"{video['id']}/{t}.jpg" for t in range(length)])
    return gt


@needs_trackeval
def test_perfect_tracks_score_100():
    gt = scene(annotation(1, [LEFT, None, LEFT, LEFT]), annotation(2, [RIGHT] * 4, video_id=2))
    scores = score_hota(
        gt, [result([LEFT, None, LEFT, LEFT]), result([RIGHT] * 4, video_id=2, score=0.4)]
    )
    assert scores.all_masks == pytest.approx(dict.fromkeys(METRICS, 100.0))
    assert scores.all_categories == scores.per_category["cat"] == scores.all_masks
    assert list(scores.per_category) == ["cat"]  # nothing is of the other category


@needs_trackeval
def test_a_track_in_two_halves():
    """All masks are found, but each shares two of four frames with its true track."""
    gt = scene(annotation(1, [LEFT] * 4))
    scores = score_hota(
        gt, [result([LEFT, LEFT, None, None]), result([None, None, LEFT, LEFT])]
    ).all_masks
    expected = {"DetA": 100, "AssA": 50, "AssRe": 50, "AssPr": 100, "HOTA": 100 * math.sqrt(0.5)}
    assert {name: scores[name] for name in expected} == pytest.approx(expected)


@needs_trackeval
def test_an_iou_counts_at_the_thresholds_it_reaches():
    """6 of 9 pixels: 0.05 to 0.65 are 13 of 19 thresholds."""
    scores = score_hota(scene(annotation(1, [LEFT] * 4)), [result([HALF] * 4)]).all_masks
    assert scores["DetA"] == scores["AssA"] == scores["HOTA"] == pytest.approx(100 * 13 / 19)
    assert scores["LocA"] == pytest.approx(100 * (13 * 2 / 3 + 6) / 19)  # 1 where nothing matches


@needs_trackeval
def test_low_scores_and_other_categories_match_nothing():
    gt = scene(annotation(1, [LEFT] * 4))
    found = [result([LEFT] * 4, score=0.2), result([LEFT] * 4, category_id=2)]
    scores = score_hota(gt, found)
    assert (scores.per_category["cat"]["DetRe"], scores.per_category["dog"]["DetPr"]) == (0, 0)
    assert scores.all_categories["HOTA"] == scores.all_masks["HOTA"] == 0
    scores = score_hota(gt, found, score_threshold=0.2)
    assert scores.per_category["cat"]["HOTA"] == pytest.approx(100)
    assert scores.all_categories["HOTA"] == pytest.approx(50)
    assert scores.all_masks["DetA"] == pytest.approx(50)  # 4 found, 4 of the dog for nothing


@needs_trackeval
def test_crowds_are_left_out():
    gt = scene(annotation(1, [LEFT] * 4), annotation(2, [RIGHT] * 4, iscrowd=1))
    for on_crowd in ([], [result([RIGHT] * 4)]):  # what lies on one is not a mistake, as in AP
        scores = score_hota(gt, [result([LEFT] * 4), *on_crowd])
        assert scores.all_masks["HOTA"] == pytest.approx(100)


@needs_trackeval
def test_nothing_there():
    empty = scene(annotation(1, [None] * 4))
    for gt, found in ((scene(), []), (empty, []), (empty, [result([None] * 4)])):
        scores = score_hota(gt, found)
        content = json.dumps(without_nan(asdict(scores)), allow_nan=False)
        assert json.loads(content)["score_threshold"] == 0.3
        assert all(map(math.isnan, scores.all_masks.values()))
        assert all(map(math.isnan, scores.all_categories.values()))
    assert "all masks" in hota_table(scores)
    with pytest.raises(ValueError, match="no annotations"):
        score_hota({**scene(), "annotations": None}, [])


@needs_trackeval
def test_tracks_without_a_mask_make_no_category():
    gt = scene(annotation(1, [LEFT] * 4), annotation(2, [None] * 4, category_id=2))
    scores = score_hota(gt, [result([LEFT] * 4), result([None] * 4, category_id=2)])
    assert scores.all_categories["HOTA"] == pytest.approx(100)
    assert list(scores.per_category) == ["cat"]


@needs_trackeval
def test_categories_with_odd_names():
    gt = scene(annotation(1, [LEFT] * 4), categories=("all masks", "a|b\nc"))
    rows = table_rows(hota_table(score_hota(gt, [result([LEFT] * 4, category_id=2)])))
    names = [row[0] for row in rows[2:]]
    assert names == ["all masks", "all categories", "all masks", "a/b c"]


@needs_trackeval
def test_the_command(tmp_path, capsys):
    output = tmp_path / "scores.json"
    command = ["--gt", data_file(4, "gt"), "--results", data_file(4, "dt"), "--output", output]
    assert main([*map(str, command), "--score-threshold", "0.5"]) == 0
    content = json.loads(output.read_text())["hota"]
    assert content["score_threshold"] == 0.5
    assert 0 < content["all_masks"]["HOTA"] < 100
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| all")]
    assert f"{content['all_masks']['HOTA']:.3f}" in rows[-2]
    scored = [row["HOTA"] for row in content["per_category"].values() if row["HOTA"] is not None]
    assert np.mean(scored) == pytest.approx(content["all_categories"]["HOTA"])


def test_without_trackeval_the_command_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "trackeval.metrics", None)
    output = tmp_path / "scores.json"
    command = ["--gt", tmp_path / "none", "--results", tmp_path / "none", "--output", output]
    assert main([*map(str, command), "--hota"]) == 2
    pinned = (ROOT / "requirements-hota.txt").read_text().splitlines()[-1]
    assert f"pip install --no-deps {pinned}" in capsys.readouterr().err
