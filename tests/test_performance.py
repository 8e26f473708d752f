"""The comparison of SimpleVTR and VisTR: what it runs, what it keeps, what it prints."""

import json
import subprocess
from types import SimpleNamespace

from benchmarks import inference, performance
from benchmarks.performance import Cell

import pytest
from conftest import CLIPS_CONFIG

TRAINING = {
    "step_seconds": {"median": 8.0},
    "saved_bytes": 600 * 2**20,
    "peak_bytes": 900 * 2**20,
    "parameters": 50_000_000,
    "flops": 3e12,
    "flops_by_part": dict.fromkeys([*performance.PARTS, performance.REST], 5e11),
}
INFERENCE = {"seconds": {"median": 2.0}, "frames_per_second": 8.0, "peak_bytes": 2**30}


def arguments(tmp_path, *words):
    return performance._parser().parse_args(["--output", str(tmp_path / "out"), *words])


def test_every_model_is_measured_in_every_way():
    cells = performance.cells([16, 4])
    assert [cell.frames for cell in cells] == sorted(cell.frames for cell in cells)
    names = {cell.file_name for cell in cells}
    assert len(names) == len(cells) == 2 * (2 * 3 + 2 * 2)
    assert {"training_VisTR_plain_4.json", "training_SimpleVTR_light_recomputed_16.json"} <= names


def test_commands(tmp_path):
    args = arguments(tmp_path, "--threads", "2", "SOLVER.IMS_PER_BATCH", "1")
    path = tmp_path / "x.json"
    words = Cell("training", "VisTR", "plain", 4).command(args, path)
    assert words[1] == "benchmarks/training_step.py"
    assert words[words.index("MODEL.META_ARCHITECTURE") + 1] == "SIMPLEVTR_PLAIN"
    assert words[words.index("MODEL.SIMPLEVTR.QUERY_FRAMES") + 1] == "4"
    assert words[words.index("SOLVER.IMS_PER_BATCH") + 1] == "1"
    assert "MODEL.SIMPLEVTR.QUERY_FRAMES" not in Cell("inference", "SimpleVTR", "light", 4).command(
        args, path
    )


def test_measured_cells_are_kept(tmp_path, monkeypatch):
    args = arguments(tmp_path)
    args.output.mkdir()
    cell = Cell("inference", "SimpleVTR", "light", 4)
    (args.output / cell.file_name).write_text(json.dumps(INFERENCE))
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: pytest.fail("measured again"))
    assert performance.run(cell, args) == INFERENCE


def test_what_does_not_fit_is_told_from_what_fails(tmp_path, monkeypatch):
    args = arguments(tmp_path)
    args.output.mkdir()
    cell = Cell("training", "VisTR", "plain", 4)

    def answer(status, text):
        monkeypatch.setattr(
            subprocess, "run", lambda *a, **k: SimpleNamespace(returncode=status, stderr=text)
        )

    answer(2, "no such key")
    with pytest.raises(RuntimeError, match="exit status 2\nno such key"):
        performance.run(cell, args)
    assert not (args.output / cell.file_name).exists()
    answer(2, "error: CUDA out of memory. Tried to")
    assert performance.run(cell, args) == {}
    assert json.loads((args.output / cell.file_name).read_text()) == {}


def test_table_has_ratios_to_plain_vistr(tmp_path):
    half = TRAINING | {"step_seconds": {"median": 2.0}, "saved_bytes": 100 * 2**20}
    results = {
        Cell("training", "VisTR", "plain", 4): TRAINING,
        Cell("training", "SimpleVTR", "light", 4): half,
        Cell("training", "VisTR", "light", 4): {},
        Cell("inference", "VisTR", "plain", 4): INFERENCE,
    }
    table = performance.markdown(results, arguments(tmp_path))
    (line,) = [row for row in table.splitlines() if "SimpleVTR | light" in row and "2.00 |" in row]
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    assert cells == ["4", "SimpleVTR", "light", "2.00", "0.25 x", "100", "0.17 x", "900", "1.00 x"]
    assert "does not fit" in table
    assert "8.00" in table  # frames a second
    assert performance.draw(results).axes[0].get_xlabel() == "seconds a training step"


def test_figures_of_other_settings_are_not_mixed(tmp_path, capsys):
    performance._check_settings(arguments(tmp_path, "--threads", "1"))
    performance._check_settings(arguments(tmp_path, "--threads", "1"))
    assert performance.main(["--output", str(tmp_path / "out"), "--threads", "2"]) == 2
    assert "has figures of other settings" in capsys.readouterr().err
    assert performance.main(["--output", str(tmp_path / "other"), "--steps", "0"]) == 2


def test_inference_is_measured(tmp_path, capsys):
    small = ["MODEL.RESNETS.RES2_OUT_CHANNELS", "8", "MODEL.SIMPLEVTR.NUM_QUERIES", "2"]
    words = ["--config-file", CLIPS_CONFIG, "--frames", "2", "--size", "32", "48", "--runs", "1"]
    words += ["--output-size", "60", "90", "--warmup", "0", "--json", str(tmp_path / "r.json")]
    assert inference.main([*words, *small]) == 0
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["frames_per_second"] == pytest.approx(2 / report["seconds"]["median"])
    assert report["peak_bytes"] > 2**20
    assert "frames/s" in capsys.readouterr().out
    assert inference.main([*words, *small]) == 2  # the file exists
    assert inference.main([*words[:2], "--frames", "0"]) == 2
    assert "must be at least 1" in capsys.readouterr().err
