"""The timing of the evaluator: what it makes, and what it reports."""

import argparse
import json

from benchmarks import evaluation
from simplevtr.evaluation.ytvis_eval import evaluate_tracks
from simplevtr.formats.results import load_results
from simplevtr.formats.ytvis import load_ground_truth

import numpy as np
import pytest
from conftest import table_rows
from pycocotools import mask as coco_mask

SIZE = (72, 128)
SMALL = ["--videos", "3", "--tracks", "5", "--frames", "4", "--size", "72", "128"]


@pytest.fixture(autouse=True)
def _small_stock(monkeypatch):
    monkeypatch.setattr(evaluation, "STOCK", 6)
    monkeypatch.setattr(evaluation, "COPIES", 2)


def write(folder):
    args = argparse.Namespace(videos=3, tracks=5, frames=4, size=list(SIZE))
    return evaluation.write_files(folder, args)


def test_tracks_are_blobs_and_their_copies_err():
    for true, *copies in evaluation.make_stock(4, SIZE):
        masks = coco_mask.decode(true)
        assert masks.shape == (*SIZE, 4)
        area = masks.sum((0, 1))
        assert area.min() > 20
        assert len({tuple(mask.ravel()) for mask in np.moveaxis(masks, -1, 0)}) == 4  # they move
        for copy in copies:
            overlap = (coco_mask.decode(copy) & masks).sum()
            assert 0.3 * area.sum() < overlap < area.sum()


def test_files_are_as_the_evaluator_reads_them(tmp_path):
    files = write(tmp_path)
    assert list(files) == [3, 5]
    gt = load_ground_truth(tmp_path / "annotations.json")
    assert (len(gt.videos), len(gt.tracks)) == (3, 6)
    few, all_ = (load_results(path, gt) for path in files.values())
    assert (len(few), len(all_)) == (9, 15)
    assert all(entry in all_ for entry in few)
    assert 5 < evaluate_tracks(gt, all_).stats["AP"] < 95


def test_stages_give_the_scores_and_are_left_as_they_were(tmp_path):
    files = write(tmp_path)
    annotations = tmp_path / "annotations.json"
    before = evaluation.ytvis_eval.track_iou, evaluation.COCOeval.accumulate
    report = evaluation.score(annotations, files[5])
    assert before == (
        evaluation.ytvis_eval.track_iou,
        evaluation.COCOeval.accumulate,
    )
    gt = load_ground_truth(annotations)
    assert report["scores"] == evaluate_tracks(gt, load_results(files[5], gt)).stats
    assert list(report["seconds"]) == list(evaluation.STAGES)
    assert all(seconds > 0 for seconds in report["seconds"].values())
    assert sum(report["seconds"].values()) <= report["cpu_seconds"]


def test_the_command(tmp_path, capsys):
    path = tmp_path / "cost.json"
    assert evaluation.main([*SMALL, "--json", str(path)]) == 0
    few, all_ = json.loads(path.read_text())
    assert (few["predictions"], all_["predictions"]) == (9, 15)
    assert few["file_bytes"] < all_["file_bytes"]
    for report in (few, all_):
        assert report["peak_bytes"] >= report["start_bytes"] > 2**20
    out = capsys.readouterr().out
    assert "3 videos of 4 frames of 72 x 128 pixels" in out
    title, _, *rows = table_rows(out)
    assert title[2:-3] == list(evaluation.STAGES)
    assert [row[0] for row in rows] == ["9", "15"]
    assert len({len(line) for line in out.splitlines() if line.startswith("|")}) == 1


@pytest.mark.parametrize(("option", "least"), [("--videos", 1), ("--tracks", 1), ("--size", 16)])
def test_numbers_that_are_too_small(capsys, option, least):
    with pytest.raises(SystemExit, match="2"):
        evaluation.main([*SMALL, option, "0", *(["0"] if option == "--size" else [])])
    assert f"{option}: 0 was given; it must be at least {least}" in capsys.readouterr().err


def test_scoring_that_fails_is_told(tmp_path, monkeypatch, capsys):
    def write_nonsense(folder, args):
        (folder / "annotations.json").write_text("{}")
        (folder / "results_1.json").write_text("[]")
        return {1: folder / "results_1.json"}

    monkeypatch.setattr(evaluation, "write_files", write_nonsense)
    monkeypatch.setattr(evaluation, "in_fresh_process", lambda run, *paths: run(*paths))
    assert evaluation.main(SMALL) == 2
    assert "no list 'videos'" in capsys.readouterr().err
