"""The comparison of SimpleVTR and VisTR: what it runs, what it keeps, what it prints."""

from benchmarks import measure, performance
from benchmarks.performance import Cell

import pytest
from conftest import table_rows

TRAINING = {
    "step_seconds": {"median": 8.0},
    "saved_bytes": 600 * 2**20,
    "peak_bytes": 900 * 2**20,
    "parameters": 50_000_000,
    "flops": 3e12,
    "flops_by_part": dict.fromkeys([*measure.PARTS, measure.REST], 5e11),
}
SIZE = (300, 540)
INFERENCE = {"seconds": {"median": 2.0}, "frames_per_second": 8.0, "peak_bytes": 2**30}


def arguments(tmp_path, *words):
    return performance.main.parser().parse_args(["--output", str(tmp_path / "out"), *words])


def test_every_model_is_measured_in_every_way(tmp_path):
    words = ["--frames", "16", "4", "--sizes", "360x640", "300x540", "--tracks", "10", "3"]
    found = performance.cells(arguments(tmp_path, *words))
    order = [(cell.size, cell.frames) for cell in found]
    assert order == sorted(order)
    names = {cell.file_name for cell in found}
    # Two models in three ways and one in two; the plain way of inference of two.
    assert len(names) == len(found) == 2 * 2 * (2 * (2 * 3 + 2) + 2 * 2 + 1)
    assert "training_VisTR_plain_4_300x540_3_tracks.json" in names
    assert "training_pixel_recomputed_16_360x640_10_tracks.json" in names
    assert "inference_pixel_light_16_360x640.json" in names
    words += ["--frames", "4", "16", "4", "--tracks", "3", "10", "3"]
    assert found == performance.cells(arguments(tmp_path, *words))


def test_the_heads_alone_are_compared_with_the_papers(tmp_path):
    words = ["--models", "SimpleVTR", "pixel", "--ways", "light", "--tracks", "3", "10"]
    args = arguments(tmp_path, *words, "--frames", "4")
    results = dict.fromkeys(performance.cells(args), TRAINING)
    assert {(cell.model, cell.way) for cell in results} == {
        ("SimpleVTR", "light"),
        ("pixel", "light"),
    }
    assert {performance.base_of(cell, results).model for cell in results} == {"SimpleVTR"}
    results = {cell: INFERENCE if cell.kind == "inference" else TRAINING for cell in results}
    table = performance.markdown(results, args)
    assert "Ratios are to light SimpleVTR with as many frames" in table
    flops = table.partition("GFLOPs")[2]
    assert flops.count("| pixel ") == 1  # of both numbers of tracks


def test_commands():
    how = {"device": "cpu", "threads": 2, "opts": ["SOLVER.AMP.ENABLED", "True"]}
    words = Cell("training", "VisTR", "plain", 4, SIZE, 3).words(**how)
    assert words[words.index("MODEL.META_ARCHITECTURE") + 1] == "SIMPLEVTR_PLAIN"
    assert words[words.index("MODEL.SIMPLEVTR.QUERY_FRAMES") + 1] == "4"
    assert words[words.index("--size") + 1 :][:2] == ["300", "540"]
    assert words[words.index("SOLVER.IMS_PER_BATCH") + 1] == "1"  # VisTR's config has 8
    assert words[words.index("SOLVER.AMP.ENABLED") + 1] == "True"
    assert words[words.index("--instances") + 1] == "3"
    words = Cell("training", "pixel", "recomputed", 4, SIZE, 3).words(**how)
    assert words[words.index("MODEL.SIMPLEVTR.RECOMPUTE") + 1] == "['backbone', 'pixel_decoder']"
    words = Cell("inference", "SimpleVTR", "light", 4, SIZE, 0).words(**how)
    assert "--inference" in words
    assert "MODEL.SIMPLEVTR.QUERY_FRAMES" not in words


def test_a_cell_is_measured_once(tmp_path, monkeypatch):
    small = ["MODEL.RESNETS.RES2_OUT_CHANNELS", "8", "MODEL.SIMPLEVTR.NUM_QUERIES", "2"]
    args = arguments(tmp_path, *small)
    args.output.mkdir()
    cell = Cell("inference", "SimpleVTR", "light", 2, (32, 48), 0)
    here = lambda measure, jobs: [measure(*job) for job in jobs]  # noqa: E731
    monkeypatch.setattr(performance, "measured_rows", here)
    result = performance.run_cell(cell, args)
    assert result["frames_per_second"] > 0
    assert (result["frames"], result["size"]) == (2, [32, 48])
    monkeypatch.setattr(performance, "measured_rows", lambda *_: pytest.fail("measured again"))
    assert performance.run_cell(cell, args) == result


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("OutOfMemoryError: CUDA out of memory. Tried to", {}),
        ("no message (Killed)", {}),
        ("RuntimeError: DefaultCPUAllocator: can't allocate memory: you tried", {}),
        ("numpy._core._exceptions._ArrayMemoryError: Unable to allocate", {}),
        ("terminate called after throwing an instance of 'std::bad_alloc' (Aborted)", {}),
        ("no message (Segmentation fault)", {"error": "no message (Segmentation fault)"}),
    ],
)
def test_what_does_not_fit_is_told_from_what_fails(tmp_path, monkeypatch, error, expected):
    monkeypatch.setattr(performance, "measured_rows", lambda *_: iter([{"error": error}]))
    args = arguments(tmp_path)
    cell = Cell("training", "VisTR", "plain", 4, SIZE, 3)
    assert performance.run_cell(cell, args) == expected
    assert (args.output / cell.file_name).is_file() == (expected == {})  # else tried again


def test_the_rest_goes_on_after_an_error(tmp_path, monkeypatch, capsys):
    def measured(cell, args):
        if cell.way == "plain":
            return {"error": "no message (Bus error)"} if cell.model == "VisTR" else {}
        return TRAINING if cell.kind == "training" else INFERENCE

    monkeypatch.setattr(performance, "run_cell", measured)
    words = ["--output", str(tmp_path / "out"), "--frames", "4", "--sizes", "60x80"]
    assert performance.main(words) == 1
    table = (tmp_path / "out" / "table.md").read_text()
    assert table.strip() in capsys.readouterr().out
    rows = table_rows(table)
    assert ["4", "3", "VisTR", "plain", "no message (Bus error)", "", "", "", "", ""] in rows
    assert ["4", "SimpleVTR", "plain", "does not fit", "", "", "", ""] in rows  # inference
    assert ["4", "3", "VisTR", "light", "8.000", "", "600", "", "900", ""] in rows
    monkeypatch.setattr(performance, "run_cell", lambda *_: {})
    assert performance.main(words) == 0
    assert "GFLOPs" not in (tmp_path / "out" / "table.md").read_text()


def test_table_has_ratios_to_plain_vistr(tmp_path):
    half = TRAINING | {"step_seconds": {"median": 2.0}, "saved_bytes": 100 * 2**20}
    results = {
        Cell("training", "VisTR", "plain", 4, SIZE, 3): TRAINING,
        Cell("training", "SimpleVTR", "light", 4, SIZE, 3): half,
        Cell("training", "VisTR", "light", 4, SIZE, 3): {},
        Cell("inference", "VisTR", "plain", 4, SIZE, 0): INFERENCE,
    }
    table = performance.markdown(results, arguments(tmp_path))
    figures = ["2.000", "0.25 x", "100", "0.17 x", "900", "1.00 x"]
    assert ["4", "3", "SimpleVTR", "light", *figures] in table_rows(table)
    assert "does not fit" in table
    assert "8.00" in table  # frames a second
    assert "frames of 300 x 540 pixels" in table
    assert " size " not in table.splitlines()[4]


def test_sizes_have_a_column_and_ratios_of_their_own(tmp_path):
    slow = TRAINING | {"step_seconds": {"median": 16.0}}
    large = (360, 640)
    results = {
        Cell("training", "VisTR", "plain", 4, SIZE, 3): TRAINING,
        Cell("training", "VisTR", "light", 4, SIZE, 3): TRAINING,
        Cell("training", "VisTR", "light", 4, large, 3): TRAINING,
        Cell("training", "VisTR", "plain", 4, large, 3): slow,
        Cell("training", "VisTR", "light", 8, large, 3): TRAINING,
    }
    table = performance.markdown(results, arguments(tmp_path))
    assert "frames of 300 x 540 or 360 x 640 pixels" in table
    assert "plain VisTR with as many frames of the same size." in table
    found = {}
    for row in table_rows(table):
        if len(row) > 6 and row[4] == "light":
            found.setdefault((row[0], row[1]), row[6])
    assert found == {
        ("4", "300 x 540"): "1.00 x",
        ("4", "360 x 640"): "0.50 x",
        ("8", "360 x 640"): "",
    }


@pytest.mark.parametrize("size", ["300", "300x", "0x540", "300x-1", "300x540x3"])
def test_sizes_that_are_none(tmp_path, capsys, size):
    with pytest.raises(SystemExit) as end:
        arguments(tmp_path, "--sizes", "300x540", size)
    assert end.value.code == 2
    assert f"{size!r} is not HxW in pixels" in capsys.readouterr().err


def test_figures_of_other_settings_are_not_mixed(tmp_path, capsys):
    performance.check_settings(arguments(tmp_path, "--threads", "1"))
    performance.check_settings(arguments(tmp_path, "--threads", "1"))
    assert performance.main(["--output", str(tmp_path / "out"), "--threads", "2"]) == 2
    assert "has figures of other settings" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        performance.main(["--output", str(tmp_path / "other"), "--threads", "0"])
    words = ["--output", str(tmp_path / "other"), "SOLVER.OPTIMISER", "SGD"]
    assert performance.main(words) == 2  # before anything is measured
    assert "the config key SOLVER.OPTIMISER does not exist" in capsys.readouterr().err
