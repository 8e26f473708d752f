"""What `make gpu` runs, at a tiny size; only the device is missing."""

import json
from types import SimpleNamespace

from benchmarks import gpu

import pytest
import torch
from pretend_cuda import pretend_cuda

CPU, CUDA = torch.device("cpu"), torch.device("cuda:0")
CONFIG, PIXEL = "ovis/simplevtr_R50.yaml", "youtubevis_2021/pixel_R50.yaml"


def test_every_config_has_every_format():
    for device, formats in ((CPU, 2), (CUDA, 3)):
        found = gpu.jobs(device, gpu.FULL, gpu.CONFIGS)
        assert len(set(found)) == len(found)
        models = [job for job in found if job.part != "kernels"]
        assert len(models) == 6 * formats * 3
        assert {(job.kind, job.frames) for job in models} == {
            ("training", 16),
            ("training", 64),
            ("inference", 64),
        }
    assert all((gpu.ROOT / "configs" / config).is_file() for config in gpu.CONFIGS)


def test_rows_of_each_kind(monkeypatch):
    job = gpu.Job("kernels", "small, first", "torchvision")
    assert float(gpu.measured(job, CPU, gpu.TINY)["difference from grid_sample"]) < 1e-5
    monkeypatch.setattr(gpu, "LARGEST_DIFFERENCE", 0.0)
    with pytest.raises(ValueError, match="differs from grid_sample by"):
        gpu.measured(job, CPU, gpu.TINY)
    for kind, config in (("training", PIXEL), ("training", CONFIG), ("inference", PIXEL)):
        row = gpu.measured(gpu.Job(config, kind, "bfloat16", 2), CPU, gpu.TINY)
        assert float(row["frames/s"]) > 0
        assert float(row["peak (MiB)"].replace(",", "")) > 100 > float(row["expected (MiB)"]) > 0


@pytest.mark.parametrize("kind", ["training", "inference"])
def test_rows_of_a_gpu(monkeypatch, kind):
    memory = SimpleNamespace(**dict.fromkeys(("training", "inference"), lambda **_: {"a": 2**19}))
    monkeypatch.setattr(gpu, "MemoryModel", lambda cfg: memory)
    with pretend_cuda():
        row = gpu.measured(gpu.Job(gpu.CONFIGS[1], kind, "float16", 2), CUDA, gpu.TINY)
    assert (row["peak (MiB)"], row["expected / peak"]) == ("1", "0.50")


@pytest.mark.gpu
@pytest.mark.parametrize("how", gpu.FORMATS)
def test_rows_of_a_real_gpu(how):
    for kind in ("training", "inference"):
        row = gpu.measured(gpu.Job(CONFIG, kind, how, 2), CUDA, gpu.TINY)
        assert 0.5 < float(row["expected / peak"]) < 2


def run(monkeypatch, rows, *words):
    """Run the command with the rows of a part, in place of a process that measures them."""
    monkeypatch.setattr(gpu, "measured_rows", rows)
    return gpu.main(["--device", "cpu", "--configs", CONFIG, *words])


def test_rows_that_fail_hold_their_error(monkeypatch, tmp_path, capsys):
    def rows(function, jobs, *, seconds):
        assert function is gpu.measured
        assert 0 < seconds <= 6.5 * 60
        if jobs[0][0].part == "kernels":
            return [{"ms": "9.00"}] * len(jobs)
        return [{"s": "0.25"}, *[{"error": "does not fit"}] * (len(jobs) - 1)]

    page = tmp_path / "new" / "gpu.md"
    words = ["--output", str(page), "--json", str(tmp_path / "rows.json")]
    assert run(monkeypatch, rows, *words) == 1
    lines = [line.split("|") for line in page.read_text().splitlines() if f"| {CONFIG}" in line]
    assert [line[5].strip() for line in lines] == ["0.25", *[""] * 5]
    assert [line[-2].strip() for line in lines] == ["", *["does not fit"] * 5]
    assert page.read_text().count("9.00") == 8
    assert "no figures of a GPU" in page.read_text()
    assert "5 of 14 rows failed" in capsys.readouterr().out
    assert len(json.loads((tmp_path / "rows.json").read_text())) == 14
    assert run(monkeypatch, rows, *words[:2]) == 2  # the page is there
    assert "exists already" in capsys.readouterr().err


def test_what_takes_too_long_is_left_out(tmp_path):
    page = tmp_path / "gpu.md"
    words = ["--device", "cpu", "--configs", CONFIG, "--output", str(page), "--minutes", "0.005"]
    assert gpu.main(words) == 1
    assert page.read_text().count("not done in time") == 8
    assert page.read_text().count("not begun in time") == 6
