"""The comparison of SimpleVTR and VisTR: what it runs and what it prints."""

from benchmarks import performance
from benchmarks.performance import Cell

import pytest
from conftest import table_rows

TRAINING = {
    "step_seconds": {"median": 8.0},
    "saved_bytes": 600 * 2**20,
    "peak_bytes": 900 * 2**20,
    "parameters": 50_000_000,
    "flops": 3e12,
}
SIZE = (300, 540)
INFERENCE = {"step_seconds": {"median": 2.0}, "frames_per_second": 8.0, "peak_bytes": 2**30}


def test_every_model_is_measured_in_every_way():
    words = ["--frames", "16", "4", "--tracks", "10", "3"]
    found = performance.cells(performance.main.parser().parse_args(words))
    assert [cell.frames for cell in found] == sorted(cell.frames for cell in found)
    assert len(set(found)) == len(found) == 2 * 3 * (2 * 2 + 1)
    assert Cell("pixel", "recomputed", 16, SIZE, 10) in found
    assert Cell("VisTR", "as configured", 4, SIZE, 0) in found


def test_commands():
    opts = ["SOLVER.AMP.ENABLED", "True"]
    words = Cell("VisTR", "as configured", 4, SIZE, 3).words(opts)
    assert words[words.index("MODEL.SIMPLEVTR.QUERY_FRAMES") + 1] == "4"
    assert words[words.index("--size") + 1 :][:2] == ["300", "540"]
    assert words[words.index("SOLVER.IMS_PER_BATCH") + 1] == "1"  # VisTR's config has 8
    assert words[words.index("SOLVER.AMP.ENABLED") + 1] == "True"
    assert words[words.index("--instances") + 1] == "3"
    words = Cell("pixel", "recomputed", 4, SIZE, 3).words(opts)
    assert words[words.index("MODEL.SIMPLEVTR.RECOMPUTE") + 1] == "['backbone', 'pixel_decoder']"
    words = Cell("SimpleVTR", "as configured", 4, SIZE, 0).words(opts)
    assert "--inference" in words
    assert "MODEL.SIMPLEVTR.QUERY_FRAMES" not in words


def test_the_rest_goes_on_after_an_error(monkeypatch, capsys):
    errors = {"VisTR": "its process died"}

    def measured(function, jobs):
        ((words,),) = jobs
        model = next(name for name, path in performance.CONFIGS.items() if words[1].endswith(path))
        if model in errors:
            return iter([{"error": errors[model]}])
        return iter([INFERENCE if "--inference" in words else TRAINING])

    monkeypatch.setattr(performance, "measured_rows", measured)
    words = ["--frames", "4", "--tracks", "3", "10", "--size", "60", "80"]
    assert performance.main(words) == 1
    out = capsys.readouterr().out
    assert "frames of 60 x 80 pixels" in out
    rows = table_rows(out)
    figures = ["50.0", "3,000.0", "8.000", "600", "900"]
    assert ["4", "3", "SimpleVTR", "recomputed", *figures, ""] in rows
    assert ["4", "3", "VisTR", "as configured", *[""] * 5, "its process died"] in rows
    assert ["4", "pixel", "as configured", "2.000", "8.00", "1,024", ""] in rows
    errors.clear()
    assert performance.main(words) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["SOLVER.OPTIMISER", "SGD"], "the config key SOLVER.OPTIMISER does not exist"),
        (["--device", "meta"], "MODEL.DEVICE is meta; only a CPU or CUDA is measured"),
    ],
)
def test_mistakes_show_before_anything_is_measured(monkeypatch, capsys, words, message):
    monkeypatch.setattr(performance, "measured_rows", lambda *_: pytest.fail("measured"))
    assert performance.main(words) == 2
    assert message in capsys.readouterr().err
