"""What the full configs cost: what is run, at a tiny size, and what is printed."""

from types import SimpleNamespace

from benchmarks import kernels, performance, training_step
from benchmarks.performance import Cell

import pytest
import torch
from conftest import NARROW_R50, table_rows, words_of
from pretend_cuda import pretend_cuda

TRAINING = {
    "step_seconds": {"median": 8.0},
    "saved_bytes": 600 * 2**20,
    "peak_bytes": 900 * 2**20,
    "parameters": 50_000_000,
    "flops": 3e12,
}
INFERENCE = {"step_seconds": {"median": 2.0}, "frames_per_second": 8.0, "peak_bytes": 2**30}
CPU = torch.device("cpu")
GPU_PAGE = "--windows 3 --ways float32 float16 bfloat16 --steps 1 --warmup 1 --expected".split()


def parsed(*words):
    return performance.main.parser().parse_args(words)


def keys_of(words):
    opts = training_step.main.parser().parse_args(words).opts
    return dict(zip(opts[::2], opts[1::2], strict=True))


def test_every_model_is_measured_in_every_way():
    found = performance.cells(parsed("--frames", "16", "4", "--tracks", "10", "3"))
    assert [cell.frames for cell in found] == sorted(cell.frames for cell in found)
    assert len(set(found)) == len(found) == 2 * 3 * (2 * 2 + 1)
    assert Cell("pixel", "recomputed", 16, 10) in found
    assert Cell("VisTR", "as configured", 4, 0) in found
    found = performance.cells(parsed(*GPU_PAGE, "--frames", "16", "64", "--models", "pixel"))
    assert len(set(found)) == len(found) == 2 * 3 * 2
    configs = performance.CONFIGS.values()
    assert all((performance.FOLDER / config).is_file() for config in configs)


def test_commands():
    args = parsed("SOLVER.AMP.ENABLED", "True")
    words = Cell("VisTR", "as configured", 4, 3).words(args)
    assert words[words.index("--size") + 1 :][:2] == ["300", "540"]
    assert words[words.index("--instances") + 1] == "3"
    keys = keys_of(words)
    assert keys["MODEL.SIMPLEVTR.QUERY_FRAMES"] == keys["TEST.WINDOW"] == "4"
    assert keys["SOLVER.IMS_PER_BATCH"] == "1"  # VisTR's config has 8
    assert keys["SOLVER.AMP.ENABLED"] == "True"
    keys = keys_of(Cell("pixel", "recomputed", 4, 3).words(args))
    assert keys["MODEL.SIMPLEVTR.RECOMPUTE"] == "['backbone', 'pixel_decoder']"
    words = Cell("SimpleVTR", "float16", 64, 0).words(parsed(*GPU_PAGE))
    assert "--inference" in words
    assert words[words.index("--frames") + 1] == "160"  # three windows, 48 apart
    keys = keys_of(words)
    assert "MODEL.SIMPLEVTR.QUERY_FRAMES" not in keys
    assert (keys["TEST.WINDOW"], keys["SOLVER.AMP.DTYPE"]) == ("64", "float16")


def row(model, way, tracks, device="cpu"):
    args = parsed("--device", device, *GPU_PAGE, "--size", "32", "48", *words_of(NARROW_R50))
    words = Cell(model, way, 2, tracks).words(args)
    return training_step.cells(training_step.measure_words(words))


@pytest.mark.parametrize(("model", "tracks"), [("pixel", 3), ("SimpleVTR-OVIS", 3), ("pixel", 0)])
def test_rows_of_each_kind(model, tracks):
    found = row(model, "bfloat16", tracks)
    assert ("frames/s" in found) == (tracks == 0)
    assert float(found["peak (MiB)"].replace(",", "")) > 100 > float(found["expected (MiB)"]) > 0


@pytest.mark.parametrize("tracks", [3, 0])
def test_rows_of_a_gpu(monkeypatch, tracks):
    memory = SimpleNamespace(**dict.fromkeys(("training", "inference"), lambda **_: {"a": 2**19}))
    monkeypatch.setattr(training_step, "MemoryModel", lambda cfg, exact: memory)
    with pretend_cuda():
        found = row("VisTR", "float16", tracks, "cuda:0")
    assert (found["peak (MiB)"], found["expected / peak"]) == ("1", "0.50")


@pytest.mark.gpu
@pytest.mark.parametrize("way", ["float32", "float16", "bfloat16"])
def test_rows_of_a_real_gpu(way):
    for tracks in (3, 0):
        assert 0.5 < float(row("SimpleVTR-OVIS", way, tracks, "cuda")["expected / peak"]) < 2


def test_the_rest_goes_on_after_an_error(monkeypatch, capsys):
    errors = {"VisTR": "its process died"}

    def measured(function, jobs, seconds):
        assert 0 < seconds <= 120
        ((words,),) = jobs
        model = next(name for name, path in performance.CONFIGS.items() if words[1].endswith(path))
        if model in errors:
            return iter([{"error": errors[model]}])
        return iter([INFERENCE if "--inference" in words else TRAINING])

    monkeypatch.setattr(performance, "measured_rows", measured)
    words = "--frames 4 --tracks 3 10 --size 60 80 --minutes 2".split()
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
        (["--device", "meta"], "MODEL.DEVICE is meta, which cannot be used"),
        (["--device", "cuda"], "MODEL.DEVICE is cuda, but PyTorch finds no GPU here"),
    ],
)
def test_mistakes_show_before_anything_is_measured(monkeypatch, capsys, words, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for command in (performance, kernels) if "--device" in words else [performance]:
        monkeypatch.setattr(command, "measured_rows", lambda *_: pytest.fail("measured"))
        assert command.main(words) == 2
        assert message in capsys.readouterr().err


def test_the_rows_of_a_model_share_a_process_on_a_gpu_and_end_in_time(monkeypatch, capsys):
    groups = []

    def measured(function, jobs, seconds):
        groups.append(len(jobs))
        return [{"error": "not done in time"}] * len(jobs)

    monkeypatch.setattr(performance, "measured_rows", measured)
    monkeypatch.setattr(performance, "model_config", lambda args: None)
    monkeypatch.setattr(performance, "machine", lambda device: "a GPU")
    words = ["--device", "cuda", *GPU_PAGE, "--frames", "16", "64"]
    assert performance.main(words) == 1
    assert groups == [12] * 3
    assert capsys.readouterr().out.count("not done in time") == 36


def test_kernels_that_differ(monkeypatch):
    row = kernels.measure_layer((30, 32, 16, 6, 8), CPU)
    assert row.pop("maps x in x out x H x W") == "30x32x16x6x8"
    assert list(row) == ["torchvision, ms", "grid_sample, ms"]
    assert row["torchvision, ms"].endswith(" (1.0 x)")
    monkeypatch.setattr(kernels, "LARGEST_DIFFERENCE", 0.0)
    with pytest.raises(ValueError, match="torchvision differs from grid_sample by"):
        kernels.measure_layer((30, 32, 16, 6, 8), CPU)


def test_kernels_that_fail_hold_their_error(monkeypatch, capsys):
    found = [{"grid_sample, ms": "9.00"}, {"error": "does not go"}] * 2
    monkeypatch.setattr(kernels, "measured_rows", lambda function, jobs: found)
    assert kernels.main([]) == 1
    out = capsys.readouterr().out
    assert (out.count("9.00"), out.count("does not go")) == (2, 2)
