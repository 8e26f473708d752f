"""Reading and checking plans of ablations, and what is summarised of their runs."""

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
from conftest import CLIPS_CONFIG, table_rows
from matplotlib.collections import PathCollection


@pytest.fixture
def plan(tmp_path, tiny_opts):
    return write_plan(tmp_path, tiny_plan_opts(tiny_opts))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.update(colour=1), "unknown field `colour`"),
        (lambda p: p.pop("seeds"), "missing required field `seeds`"),
        (lambda p: p.update(seeds=[1, 1]), r"seeds is \[1, 1\].*different"),
        (lambda p: p.update(config="none.yaml"), r"config .*none\.yaml does not exist"),
        (lambda p: p.update(baseline="nil"), "baseline 'nil' is not a run; runs: base, more, "),
        (lambda p: p.update(opts={"A": {"B": 1}}), r"got `object` - at `\$\.opts\[\.\.\.\]`"),
        (lambda p: p.update(opts={"SEED": 1}), "sets SEED, which the runner"),
        (lambda p: p.update(start={"config": CLIPS_CONFIG}), r"sets MODEL\.WEIGHTS"),
        (lambda p: p.update(runs=[]), r"length >= 1 - at `\$\.runs`"),
        (lambda p: p["runs"][1].update(name="base"), "two runs have this name"),
        (lambda p: p["runs"][1].update(title="Base"), "'base': two runs have this title"),
        (lambda p: p["runs"][1].update(name="../more"), r"regex .* at `\$\.runs\[1\]\.name`"),
        (lambda p: p["runs"][1].update(name="start"), r"regex .* at `\$\.runs\[1\]\.name`"),
        (lambda p: p["runs"][1].update(section=3.2), r"`float` - .*section` \(text needs quotes"),
        (lambda p: p["runs"][1].update(evaluate="base"), "start_from and evaluate"),
        (lambda p: p["runs"][1].update(start_from="nil"), "'nil' is not a run"),
        (lambda p: p["runs"][1].update(own_start=True), "'more': has own_start; allowed in a plan"),
        (lambda p: p["runs"][0].update(own_start=True), "'base': has own_start; allowed in a plan"),
        (lambda p: p["runs"][0].update(start_from="more"), "come from itself"),
        (lambda p: p["runs"][1].update(start_from="window"), "'window' is an evaluation"),
        (lambda p: p["runs"][0].update(seeds=[1]), r"'more'.*seeds \[2\], which 'base' has not"),
    ],
)
def test_mistakes_in_a_plan_are_named(plan, change, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
        read_plan(edited(plan, change))
    assert str(plan) in str(error.value)


def test_a_plan_that_is_not_yaml(tmp_path):
    (tmp_path / "p.yaml").write_text("runs: [")
    with pytest.raises(ValueError, match="not valid YAML"):
        read_plan(tmp_path / "p.yaml")
    with pytest.raises(FileNotFoundError, match=r"plan file .*q.yaml does not exist"):
        read_plan(tmp_path / "q.yaml")


def test_options_of_a_run(plan):
    edited(plan, lambda p: p["runs"][2].update(seeds=[1]))
    read = read_plan(plan, seeds=[2, 5])
    assert [run.seeds for run in read.runs.values()] == [(2, 5), (2, 5), ()]
    opts = read.runs["window"].opts
    # An evaluation has the options of the run that it evaluates; one that trains on has not.
    assert (opts["SOLVER.MAX_ITER"], opts["TEST.WINDOW"]) == (4, 1)
    assert read.runs["base"].opts["SOLVER.MAX_ITER"] == "2"


def test_settings_are_written_as_earlier_versions_did(plan):
    """Else folders of a half-finished ablation would be refused."""

    def change(content):
        content["start"] = {"config": CLIPS_CONFIG, "opts": {"A": 1}}
        content["opts"] = {"B": 2}
        content["runs"].append({"name": "own", "title": "O", "opts": {"C": 3}, "own_start": True})

    runs = read_plan(edited(plan, change)).runs
    config = "configs/embedded/clips.yaml"
    base = {"config": config, "opts": {"B": 2}, "start": {"config": config, "opts": {"A": 1}}}
    more = {"config": config, "opts": {"B": 2, "SOLVER.MAX_ITER": 4}, "start_from": base}
    opts = {**more["opts"], "TEST.WINDOW": 1}
    start = {"config": config, "opts": {"A": 1, "C": 3}}
    own = {"config": config, "opts": {"B": 2, "C": 3}, "start": start}
    window = {"config": config, "opts": opts, "evaluate": more}
    expected = {"base": base, "more": more, "window": window, "own": own}
    assert {name: run.settings for name, run in runs.items()} == expected


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
        narrow = {
            **window,
            "name": "narrow",
            "title": "Narrow",
            "opts": {**other, "TEST.WINDOW": 1},
        }
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
