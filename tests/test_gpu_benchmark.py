"""What `make gpu` runs, at a tiny size; only the device is missing."""

import json
from types import SimpleNamespace

from benchmarks import gpu, performance, training_step
from benchmarks.performance import Cell

import pytest
import torch
from conftest import table_rows
from pretend_cuda import pretend_cuda

CPU, CUDA = torch.device("cpu"), torch.device("cuda:0")
MODEL = "SimpleVTR-OVIS"


def row(model, kind, how, device):
    cell = Cell(model, how, 2, gpu.TINY.size, 3 if kind == "training" else 0)
    figures = training_step.measure_words(gpu.words(cell, device, gpu.TINY))
    return training_step.cells(figures)


def test_every_config_has_every_format():
    for device, formats in ((CPU, 2), (CUDA, 3)):
        cells = gpu.jobs(device, gpu.FULL, MODEL)
        assert len(set(cells)) == len(cells) == formats * 3
        assert {(cell.tracks, cell.frames) for cell in cells} == {(3, 16), (3, 64), (0, 64)}
    words = gpu.words(Cell("VisTR", "float16", 64, (300, 540), 0), CUDA, gpu.FULL)
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
    row = gpu.measure_layer("small, first", CPU, (6, 8))
    assert row.pop("maps x in x out x H x W") == "30x32x16x6x8"
    assert list(row) == ["torchvision, ms", "grid_sample, ms"]
    assert row["torchvision, ms"].endswith(" (1.0 x)")
    monkeypatch.setattr(gpu, "LARGEST_DIFFERENCE", 0.0)
    with pytest.raises(ValueError, match="torchvision differs from grid_sample by"):
        gpu.measure_layer("small, first", CPU, (6, 8))


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
        if function is gpu.measure_layer:
            return [{"grid_sample, ms": "9.00"}] * len(jobs)
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


def test_what_cannot_be_measured_or_written_is_refused_at_once(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for words, message in (
        (["--device", "cuda", "--output", str(tmp_path / "gpu.md")], "PyTorch finds no GPU here"),
        (["--device", "cpu", "--output", str(tmp_path)], "it has a folder, allowed: .md"),
    ):
        assert gpu.main(words) == 2
        assert message in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_what_takes_too_long_is_left_out(tmp_path):
    page = tmp_path / "gpu.md"
    words = ["--device", "cpu", "--models", MODEL, "--output", str(page), "--minutes", "0.005"]
    assert gpu.main(words) == 1
    assert page.read_text().count("not done in time") == 4 + 6
