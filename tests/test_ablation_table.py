"""What is summarised of the runs of an ablation."""

import csv
import io
import json

from simplevtr.terminal import mean_and_deviation, mean_text
from simplevtr.toolbox.ablation.plan import read_plan
from simplevtr.toolbox.ablation.schedule import summarise_training
from simplevtr.toolbox.ablation.table import csv_text, markdown, summarise
from simplevtr.visualization.plots import draw_ablation

import pytest
from ablation_plan import edited, tiny_plan_opts, write_plan
from conftest import table_rows
from matplotlib.collections import PathCollection


@pytest.fixture
def plan(tmp_path, tiny_opts):
    return write_plan(tmp_path, tiny_plan_opts(tiny_opts))


def write_metrics(folder, rows):
    (folder / "metrics.json").write_text("\n".join(map(json.dumps, rows)))


def test_losses_are_those_of_the_last_layer(tmp_path):
    rows = [
        {"iteration": i, "loss_ce": 10.0 - i, "loss_giou": 1.0, "loss_giou_0": 50.0, "time": i}
        for i in range(10)
    ]
    write_metrics(tmp_path, [*rows, {"iteration": 10, "segm/AP": 3.0}])
    summary = summarise_training(tmp_path)
    assert summary["losses"] == [[i, 11.0 - i] for i in range(10)]
    assert summary["loss"] == 2.5  # of iterations 8 and 9
    assert (summary["loss_first"], summary["iterations"]) == (11.0, 10)
    assert summary["seconds_per_iteration"] == 4.5
    write_metrics(tmp_path, [{"iteration": 0, "lr": 1.0}])
    with pytest.raises(ValueError, match="has none of loss_ce"):
        summarise_training(tmp_path)


@pytest.mark.parametrize(
    ("values", "expected", "text"),
    [
        ([1.0, 3.0], (2.0, pytest.approx(2**0.5)), "+2.00 ± 1.41"),
        ([4.0, None], (4.0, None), "+4.00 ± -"),
        ([None], (None, None), "-"),
    ],
)
def test_mean_and_deviation(values, expected, text):
    assert mean_and_deviation(values) == expected
    assert mean_text(*mean_and_deviation(values), 2, sign=True) == text


@pytest.fixture
def rows(plan):
    results = {
        "base": {s: {"AP": ap, "loss": 1.0} for s, ap in ((1, 10.0), (2, 14.0), (3, 30.0))},
        "more": {1: {"AP": 11.0, "loss": 3.0}, 2: {"AP": 17.0, "loss": 5.0}, 7: {"AP": 90.0}},
    }
    costs = {
        "base": {"parameters": 2_500_000, "step_seconds": {"median": 0.5}, "peak_bytes": 2**21},
        "more": {"parameters": 2_000_000, "step_seconds": {"median": 0.75}, "flops": 3.21e9},
    }
    return summarise(read_plan(plan), results, costs)


def test_differences_are_paired_by_seed(rows):
    base, on = rows  # "window" has no result
    assert base["AP_mean"] == 18.0
    # 1 and 3; seed 7 has no partner.
    assert [on[f"AP_difference_{key}"] for key in ("mean", "n", "agree")] == [2.0, 2, "2 of 2"]
    assert on["AP_difference_std"] == pytest.approx(2**0.5)
    assert (base["AP_difference_n"], base["AP_difference_agree"]) == (0, "")
    assert (on["loss_mean"], on["loss_std"]) == (4.0, pytest.approx(2**0.5))
    assert on["step_ratio"] == 1.5


@pytest.mark.parametrize(
    ("scores", "agreement"),
    [
        ((9.0, 13.0, 29.0), "3 of 3"),
        ((11.0, 15.0, 20.0), "1 of 3"),  # the mean is lower, through one seed
        ((11.0, 14.0, 31.0), "2 of 3"),
        ((10.0, 14.0, 30.0), "0 of 3"),
        ((None, 15.0, 31.0), "2 of 2"),
    ],
)
def test_how_many_seeds_agree(plan, scores, agreement):
    results = {
        "base": {s: {"AP": ap} for s, ap in ((1, 10.0), (2, 14.0), (3, 30.0))},
        "more": {s: {"AP": ap} for s, ap in enumerate(scores, 1)},
    }
    assert summarise(read_plan(plan), results, {})[1]["AP_difference_agree"] == agreement


def test_another_test_set_has_its_own_reference(plan):
    """AP on two sets is not compared: the first run there is what others are compared with."""

    def change(content):
        other = {"DATASETS.TEST": ["longer"]}
        window = {"name": "window", "title": "Window", "evaluate": "base", "opts": other}
        narrow = {**window, "name": "narrow", "opts": {**other, "TEST.WINDOW": 1}}
        content["runs"][2:] = [window, narrow]

    aps = {"base": 40.0, "more": 43.0, "window": 20.0, "narrow": 19.0}
    results = {name: {1: {"AP": ap}} for name, ap in aps.items()}
    rows = summarise(read_plan(edited(plan, change)), results, {})
    assert [row["AP_difference_mean"] for row in rows] == [None, 3.0, None, -1.0]
    assert [row["AP_difference_agree"] for row in rows] == ["", "1 of 1", "", "1 of 1"]


def test_markdown(rows):
    lines = markdown(rows, "base").splitlines()
    cells = table_rows("\n".join(lines))
    assert cells[0][:6] == ["run", "section", "n", "AP", "Δ AP", "agree"]
    assert cells[2][:6] == ["Base", "", "3", "18.0 ± 10.6", "", ""]
    assert cells[3][4:6] == ["+2.0 ± 1.4", "2 of 2"]
    assert cells[6] == ["Base", "", "2.50", "-", "0.500", "1.00", "2", "-"]
    assert cells[7] == ["Trained on", "", "2.00", "3.21", "0.750", "1.50", "-", "-"]
    table = [line for line in lines if line.startswith("|")]
    assert len({len(line) for line in table[:4]}) == 1  # aligned


def test_csv_reads_back(rows):
    base, on = csv.DictReader(io.StringIO(csv_text(rows)))
    assert (on["name"], on["title"], on["n"], on["seeds"]) == ("more", "Trained on", "3", "1 2 7")
    assert float(on["AP_difference_mean"]) == 2.0
    assert (on["AP_difference_agree"], on["AP_by_seed"]) == ("2 of 2", "11.0000 17.0000 90.0000")
    assert float(base["AP_mean"]) == 18.0
    assert (on["peak_bytes"], float(base["peak_bytes"])) == ("", 2**21)


def test_plot_shows_every_seed():
    aps = {"Base": [10, 14, 30], "Trained on": [11, 17, 90]}
    figure = draw_ablation(aps, {"Base": [1.0] * 3, "Trained on": [3.0, 5.0, None]}, "Base")
    score, loss = figure.axes
    assert [label.get_text() for label in score.get_yticklabels()] == ["Base", "Trained on"]
    dots = [c for c in score.collections if isinstance(c, PathCollection)]
    assert [dot.get_offsets()[:, 0].tolist() for dot in dots] == [[10, 14, 30], [11, 17, 90]]
    assert loss.get_xlabel().startswith("loss")
