"""What `make gpu` runs, at a tiny size; only the device is missing."""

import json
from types import SimpleNamespace

from benchmarks import deform_conv, gpu, performance, training_step
from benchmarks.performance import Cell

import pytest
import torch
from conftest import table_rows
from pretend_cuda import pretend_cuda

CPU, CUDA = torch.device("cpu"), torch.device("cuda:0")
MODEL = "SimpleVTR-OVIS"


def row(model, kind, how, device):
    cell = Cell(kind, model, how, 2, gpu.TINY.size, 3 if kind == "training" else 0)
    figures = training_step.measure_words(gpu.words(cell, device, gpu.TINY))
    return performance.figures(cell, {cell: figures})


def test_every_config_has_every_format():
    for device, formats in ((CPU, 2), (CUDA, 3)):
        found = gpu.jobs(device, gpu.FULL, list(performance.CONFIGS))
        cells = [cell for own in found.values() for cell in own]
        assert len(set(cells)) == len(cells) == 6 * formats * 3
        assert {(cell.kind, cell.frames) for cell in cells} == {
            ("training", 16),
            ("training", 64),
            ("inference", 64),
        }
    words = gpu.words(Cell("inference", "VisTR", "float16", 64, (300, 540), 0), CUDA, gpu.FULL)
    args = training_step.main.parser().parse_args(words)
    assert (args.frames, args.size, args.output_size) == (160, [300, 540], [720, 1280])
    keys = dict(zip(args.opts[::2], args.opts[1::2], strict=True))
    assert keys["TEST.WINDOW"] == keys["MODEL.SIMPLEVTR.QUERY_FRAMES"] == "64"
    configs = performance.CONFIGS.values()
    assert all((performance.FOLDER / config).is_file() for config in configs)


@pytest.mark.parametrize(
    ("kind", "model"), [("training", "pixel"), ("training", MODEL), ("inference", "pixel")]
)
def test_rows_of_each_kind(kind, model):
    found = row(model, kind, "bfloat16", CPU)
    assert ("frames/s" in found) == (kind == "inference")
    assert float(found["peak (MiB)"].replace(",", "")) > 100 > float(found["expected (MiB)"]) > 0


def test_kernels_that_differ(monkeypatch):
    rows = deform_conv.measure_layer("small, first", CPU, 1, (6, 8))["rows"]
    assert [row["kernel"] for row in rows] == ["torchvision", "grid_sample"]
    assert max(float(row["difference"]) for row in rows) < 1e-5
    monkeypatch.setattr(deform_conv, "LARGEST_DIFFERENCE", 0.0)
    with pytest.raises(ValueError, match="small, first: torchvision differs from grid_sample by"):
        deform_conv.measure_layer("small, first", CPU, 1, (6, 8))


@pytest.mark.parametrize("kind", ["training", "inference"])
def test_rows_of_a_gpu(monkeypatch, kind):
    memory = SimpleNamespace(**dict.fromkeys(("training", "inference"), lambda **_: {"a": 2**19}))
    monkeypatch.setattr(training_step, "MemoryModel", lambda cfg, exact: memory)
    with pretend_cuda():
        found = row("VisTR", kind, "float16", CUDA)
    assert (found["peak (MiB)"], found["expected / peak"]) == ("1", "0.50")


@pytest.mark.gpu
@pytest.mark.parametrize("how", gpu.WAYS)
def test_rows_of_a_real_gpu(how):
    for kind in ("training", "inference"):
        assert 0.5 < float(row(MODEL, kind, how, CUDA)["expected / peak"]) < 2


def test_rows_that_fail_hold_their_error(monkeypatch, tmp_path, capsys):
    def rows(function, jobs, *, seconds):
        assert 0 < seconds <= 6.5 * 60
        if function is deform_conv.measure_layer:
            return [{"rows": [{"layer": name, "ms": "9.00"}]} for name, *_ in jobs]
        first = {"step_seconds": {"median": 0.25}, "peak_bytes": 2**20}
        return [first, *[{"error": "does not go"}] * (len(jobs) - 1)]

    monkeypatch.setattr(gpu, "measured_rows", rows)
    page = tmp_path / "new" / "gpu.md"
    words = ["--device", "cpu", "--models", MODEL, "--output", str(page)]
    assert gpu.main([*words, "--json", str(tmp_path / "rows.json")]) == 1
    text = page.read_text()
    cells = [row for row in table_rows(text) if MODEL in row]
    assert ["0.250" in row for row in cells] == [True, *[False] * 5]
    assert ["does not go" in row for row in cells] == [False, *[True] * 5]
    assert text.count("9.00") == 4
    assert "no figures of a GPU" in text
    assert "5 of 10 rows failed" in capsys.readouterr().out
    assert len(json.loads((tmp_path / "rows.json").read_text())) == 10
    assert gpu.main(words) == 2  # the page is there
    assert "exists already" in capsys.readouterr().err


def test_what_takes_too_long_is_left_out(tmp_path):
    page = tmp_path / "gpu.md"
    words = ["--device", "cpu", "--models", MODEL, "--output", str(page), "--minutes", "0.005"]
    assert gpu.main(words) == 1
    assert page.read_text().count("not done in time") == 4
    assert page.read_text().count("not begun in time") == 6
