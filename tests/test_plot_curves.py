import json
import logging

from simplevtr.commands import plot_curves as tool
from simplevtr.formats.metrics import read_metrics
from simplevtr.visualization import plots
from simplevtr.visualization.plots import draw_curves, write_figure

import numpy as np
import pytest
from conftest import check_refused
from PIL import Image


def write_run(folder, iterations=range(19, 200, 20), factor=1.0, tail=""):
    lines = []
    for i in iterations:
        loss = factor * 100 / (i + 20)
        lines.append(
            {"iteration": i, "total_loss": loss, "loss_ce": loss / 2, "loss_ce_0": loss, "lr": 1e-4}
        )
    lines.append({"iteration": 199, "segm/AP": 12.5, "segm/AP50": 30.0, "bbox/AP": 5.0})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text("\n".join(map(json.dumps, lines)) + "\n" + tail)
    return str(folder)


def test_reads_curves_and_skips_a_torn_line(tmp_path, caplog):
    folder = write_run(tmp_path / "run", tail='{"iteration": 219, "total_lo')
    with caplog.at_level(logging.WARNING):
        curves = read_metrics(folder)
    assert curves["total_loss"][0] == (19, pytest.approx(100 / 39))
    assert [i for i, _ in curves["total_loss"]] == list(range(19, 200, 20))
    assert curves["segm/AP50"] == [(199, 30.0)]
    assert "metrics.json: line 12 is not a whole record" in caplog.text


def test_a_resumed_run_replaces_what_it_repeats(tmp_path):
    """And all that came later, which is of weights that are gone: it may have fewer iterations."""
    folder = write_run(tmp_path / "run", tail='{"iteration": 99, "total_loss": 7.0}\n')
    curves = read_metrics(folder)
    assert curves["total_loss"][-1] == (99, 7.0)
    assert [i for i, _ in curves["total_loss"]] == list(range(19, 100, 20))
    assert "segm/AP" not in curves


def test_figure_shows_each_run(tmp_path):
    runs = {
        name: read_metrics(write_run(tmp_path / name, factor=factor))
        for name, factor in (("one", 1.0), ("two", 2.0))
    }
    total, parts, accuracy = draw_curves(runs).axes
    assert [line.get_label() for line in total.lines] == ["one", "two"]
    assert [line.get_label() for line in parts.lines] == ["loss_ce (one)", "loss_ce (two)"]
    assert sorted(line.get_label() for line in accuracy.lines) == [
        "one: segm/AP", "one: segm/AP50", "two: segm/AP", "two: segm/AP50",
    ]  # fmt: skip
    np.testing.assert_allclose(
        total.lines[1].get_ydata(), 2 * np.asarray(total.lines[0].get_ydata())
    )


def test_names_are_shown_as_they_are(tmp_path):
    curves = read_metrics(write_run(tmp_path / "run"))
    names = ["_lr", "cost$5_and_$6", "a$x_{$b", "sp\udcff"]
    figure = draw_curves(dict.fromkeys(names, curves))
    write_figure(figure, tmp_path / "o.png", overwrite=False)
    total, _, accuracy = figure.axes
    shown = [text.get_text() for text in total.get_legend().get_texts()]
    assert shown == ["_lr", "cost$5_and_$6", "a$x_{$b", "sp"]
    assert len(accuracy.get_legend().get_texts()) == 2 * len(names)


def test_numbers_that_no_float_holds(tmp_path):
    tail = f'{{"iteration": 219, "total_loss": {10**400}}}\n{{"iteration": {"1" * 5000}}}\n'
    assert read_metrics(write_run(tmp_path / "run", tail=tail))["total_loss"][-1] == (219, np.inf)


def test_command_writes_a_picture_and_replaces_none(tmp_path, call):
    run = write_run(tmp_path / "run")
    output = tmp_path / "plots" / "curves.png"
    assert call(tool, run, "--output", output)[0] == 0
    twice = tmp_path / "twice.png"  # the same run, which is drawn once
    assert call(tool, run, tmp_path / "run" / ".." / "run", "--output", twice)[0] == 0
    assert twice.read_bytes() == output.read_bytes()
    with Image.open(output) as image:
        assert image.width > 1000
        assert len(image.convert("RGB").getcolors(1 << 24)) > 20
    before = output.stat().st_mtime_ns
    check_refused(call(tool, run, "--output", output), "curves.png exists already")
    assert output.stat().st_mtime_ns == before
    assert call(tool, run, "--output", output, "--overwrite")[0] == 0


def test_command_tells_what_is_wrong_in_one_line(tmp_path, call):
    run = write_run(tmp_path / "run")
    (tmp_path / "empty").mkdir()
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk" / "metrics.json").write_text("not json\n[1, 2]\n")
    for source, output, message in (
        (tmp_path / "empty", "x.png", "metrics.json: no such file"),
        (tmp_path / "junk", "x.png", "metrics.json: no line of the form"),
        (run, tmp_path / "x.txt", "suffix '.txt', allowed: .png or"),
    ):
        check_refused(call(tool, source, "--output", output), message)


def test_two_runs_of_one_name_are_told_apart(tmp_path, call, monkeypatch):
    runs = [write_run(tmp_path / name) for name in ("a/output", "b/output", "b/first")]
    shown = []
    monkeypatch.setattr(plots, "draw_curves", lambda runs: shown.extend(runs) or draw_curves(runs))
    assert call(tool, *runs, "--output", tmp_path / "o.png")[0] == 0
    assert shown == [str(runs[0]), str(runs[1]), "first"]
