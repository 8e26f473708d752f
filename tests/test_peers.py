"""The comparison with the peers: its files and its page. None of the peers' packages is needed."""

import importlib.util
import shutil
from argparse import Namespace
from subprocess import CalledProcessError

from benchmarks.peers import compare, protocol

import numpy as np
import pytest
from conftest import table_rows
from json_files import save_json
from torch import nn
from ytvis_folder import make_ytvis_folder

AP = {"paper": 10.0, "pixel": 40.0, "mask2former": 30.0, "yolo": 20.0}
FAILING = (3, "yolo")  # seed and system


def train_figures(seconds):
    versions = {"torch": "2.0"}
    memory = {"peak_bytes": 100 * 2**20, "versions": versions}
    return {"cpu_seconds": seconds, "budget": 100.0, "threads": 1, "dataset": {}, **memory}


PREDICTION = {"milliseconds": {"val": 5.0, "long": 7.5}, "parameters": 1_500_000, "half_bytes": 3e6}
PREDICTION |= {"peak_bytes": 50 * 2**20, "versions": {"torch": "2.0"}}


@pytest.fixture
def steps(monkeypatch, tmp_path):
    """The steps that were run, in place of processes that train; seeds differ by one in AP."""
    done = []

    def run_step(step, name, folder, seed, args):
        if (seed, name) == FAILING:
            raise CalledProcessError(1, ["python"])
        done.append((step, name, seed))
        seconds = 106 if (name, seed) == ("pixel", 1) else 104
        folder.mkdir(parents=True, exist_ok=True)
        figures = train_figures(seconds) if step == "train" else PREDICTION
        save_json(folder / f"{step}.json", figures)

    def score(folder):
        ap = AP[folder.parent.name] + int(folder.name.removeprefix("seed_"))
        return {"val": {"AP": ap, "AP50": 2 * ap, "HOTA": 55.0}, "long": {"AP": 1.0, "AP50": 2.0}}

    for name in ("train", "val", "long", "embedded"):
        save_json(tmp_path / f"{name}.json", {})
    monkeypatch.setattr(compare, "DATA", tmp_path)
    monkeypatch.setattr(compare, "run_step", run_step)
    monkeypatch.setattr(compare, "score", score)
    return done


def run(tmp_path, *words):
    """The exit status, and the cells of the page's rows by system."""
    page = tmp_path / "docs" / "page.md"
    folders = ["--output", str(tmp_path / "runs"), "--page", str(page)]
    status = compare.main([*folders, "--budget", "100", *words])
    return status, table_rows(page.read_text()), page.read_text()


def rows_of(rows, name):
    return [row[1:] for row in rows if row[0] == compare.SYSTEMS[name][0]]


def test_a_row_for_each_system_and_one_for_each_seed(steps, tmp_path):
    status, rows, text = run(tmp_path, "--seeds", "0", "2", "5")
    assert status == 0
    assert len(steps) == 2 * 4 * 3
    medians, *seeds = rows_of(rows, "mask2former")
    figures = ["55.0 / -", "5.0 / 7.5", "100 / 50", "3.0", "1.50", "104"]
    assert medians == ["Apache-2.0", "3", "32.0 / 64.0", "1.0 / 2.0", *figures]
    assert [row[:2] for row in seeds[:3]] == [
        ["0", "30.0 / 60.0"],
        ["2", "32.0 / 64.0"],
        ["5", "35.0 / 70.0"],
    ]
    assert seeds[3][:4] == ["spread", "5.0 / 10.0", "0.0 / 0.0", "0.0 / -"]
    assert "--systems paper pixel mask2former yolo --seeds 0 2 5 --budget 100" in text
    assert "torch 2.0" in text
    assert "Not shown" not in text


def test_what_is_finished_is_not_run_again(steps, tmp_path):
    run(tmp_path, "--systems", "yolo", "--seeds", "0")
    steps.clear()
    folder = tmp_path / "runs" / "yolo" / "seed_0"
    assert run(tmp_path, "--systems", "yolo", "pixel", "--seeds", "0")[0] == 0
    assert steps == [("train", "pixel", 0), ("predict", "pixel", 0)]
    steps.clear()
    for name in ("predict.json", "result.json"):
        (folder / name).unlink()
    run(tmp_path, "--systems", "yolo", "--seeds", "0")
    assert steps == [("predict", "yolo", 0)]  # not the training


def test_a_training_above_the_budget_is_not_shown(steps, tmp_path):
    status, rows, text = run(tmp_path, "--systems", "pixel", "yolo", "--seeds", "0", "1")
    assert status == 1
    assert [row[0] for row in rows_of(rows, "pixel")] == ["Apache-2.0", "0", "spread"]
    assert rows_of(rows, "pixel")[0][1:3] == ["1", "40.0 / 80.0"]
    assert "seed_1 has a training of 106 CPU seconds, above 1.05 x 100: delete it" in text
    assert ("predict", "pixel", 1) not in steps


def test_a_run_that_fails_leaves_the_others(steps, tmp_path, capsys):
    status, rows, text = run(tmp_path, "--systems", "yolo", "paper", "--seeds", "3")
    assert status == 1
    assert not rows_of(rows, "yolo")
    assert len(rows_of(rows, "paper")) == 3
    assert "* yolo, seed 3: Command '['python']' returned non-zero exit status 1" in text
    assert "yolo, seed 3" in capsys.readouterr().err


def test_runs_of_another_budget_or_dataset_are_not_mixed_in(steps, tmp_path):
    words = "--systems", "yolo", "--seeds", "0"
    run(tmp_path, *words)
    status, rows, text = run(tmp_path, *words, "--budget", "90")
    assert status == 1
    assert not rows_of(rows, "yolo")
    assert "has a training with budget 100.0: delete it" in text
    save_json(tmp_path / "embedded.json", {"seed": 7})
    status, rows, text = run(tmp_path, *words)
    assert (status, rows_of(rows, "yolo")) == (1, [])
    assert "has a training with dataset {}: delete it" in text


def test_a_missing_environment_or_dataset_is_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(compare, "DATA", tmp_path)
    assert compare.main(["--output", str(tmp_path / "runs")]) == 2
    assert f"{tmp_path / 'train.json'}: no such file" in capsys.readouterr().err
    assert compare.main(["--page", str(tmp_path)]) == 2
    assert "it has a folder, allowed: .md" in capsys.readouterr().err
    monkeypatch.setattr(compare, "PEERS_PYTHON", tmp_path / "python")
    with pytest.raises(FileNotFoundError, match="python: no such interpreter; make peers sets"):
        compare.run_step("train", "yolo", tmp_path, 0, Namespace(budget=1.0, threads=1))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    for split, kind in (("train", "polygon"), ("val", "uncompressed"), ("long", "compressed")):
        make_ytvis_folder(root, split=split, segmentation=kind)
    return root


@pytest.mark.parametrize("split", ["train", "val", "long"])
def test_masks_are_read_in_every_encoding(data, tmp_path, split):
    shutil.copytree(data / split, tmp_path / "train")
    shutil.copy(data / f"{split}.json", tmp_path / "train.json")
    frames = list(protocol.labelled_frames(tmp_path))
    assert len(frames) == 3 * 4
    for image, masks, labels in frames:
        assert image.shape == (48, 64, 3)
        assert masks.shape == (len(labels), 48, 64)
        assert set(np.unique(masks)) == {0, 1}
    counts = [len(labels) for *_, labels in frames]
    assert counts == [1, 2, 2, 2] * 3  # the second track is absent in the first frame
    assert frames[0][2].tolist() == [0]
    assert frames[1][2].tolist() == [0, 1]


def test_true_masks_as_predictions_score_100(data, tmp_path, monkeypatch):
    truth = {}
    for split in ("val", "long"):
        for video, frames, tracks in protocol.videos(data, split):
            truth[split, video["id"]] = (frames[0].tobytes(), tracks)
    size = (48, 64)
    calls = []

    def track(frames):
        calls.append(len(frames))
        key = frames[0].tobytes()
        entries = next(tracks for first, tracks in truth.values() if first == key)
        for entry in entries:
            shapes = entry["segmentations"]
            masks = [np.zeros(size) if s is None else protocol.decoded(s, *size) for s in shapes]
            yield entry["category_id"], 0.5, [protocol.encoded(mask > 0) for mask in masks]

    model = nn.BatchNorm1d(10)
    args = Namespace(data=data, folder=tmp_path)
    figures = protocol.predict(args, model, track)
    assert calls == [4] * 2 * (1 + 3)  # a warm-up for each split
    assert (figures["parameters"], figures["half_bytes"]) == (20, 80)  # statistics are kept too
    assert all(of >= 0 for of in figures["milliseconds"].values())

    monkeypatch.setattr(compare, "DATA", data)
    scores = compare.score(tmp_path)
    expected = {"AP": 100.0, "AP50": 100.0}
    if importlib.util.find_spec("trackeval"):
        expected |= {"HOTA": 100.0, "HOTA from": 0.1}
    assert scores == {"val": pytest.approx(expected), "long": pytest.approx(expected)}
