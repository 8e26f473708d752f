"""What `make gpu` runs, at a tiny size; only the device is missing."""

import json
import subprocess
import sys
from types import SimpleNamespace

from benchmarks import gpu

import pytest
import torch
from pretend_cuda import pretend_cuda

CPU, CUDA = torch.device("cpu"), torch.device("cuda:0")
CONFIG = "ovis/simplevtr_R50.yaml"


def test_every_config_has_every_format():
    for device, formats in ((CPU, 2), (CUDA, 3)):
        found = gpu.jobs(device, gpu.FULL, gpu.CONFIGS)
        assert len(set(found)) == len(found)
        models = [job for job in found if job.part != "kernels"]
        assert len(models) == 5 * formats * 3
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
    for kind in ("training", "inference"):
        row = gpu.measured(gpu.Job(CONFIG, kind, "bfloat16", 2), CPU, gpu.TINY)
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


def test_a_row_that_fails_is_its_error(monkeypatch, capsys):
    def measured(job, device, scale):
        if job.how == "float16":
            raise torch.OutOfMemoryError("CUDA out of | memory.\nTried to allocate")
        return {"s": "1.0"}

    monkeypatch.setattr(gpu, "measured", measured)
    gpu.measure_part([gpu.Job(CONFIG, "training", how, 16) for how in gpu.FORMATS], CPU, gpu.TINY)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    error = "OutOfMemoryError: CUDA out of / memory. Tried to allocate"
    assert rows == [{"s": "1.0"}, {"error": error}, {"s": "1.0"}]


def run(monkeypatch, script, *words):
    """Run the command, whose parts are processes of this script."""
    start = subprocess.Popen

    def popen(command, **options):
        if "--part" not in command:  # of the platform's name
            return start(command, **options)
        part = command[command.index("--part") + 1]
        return start([sys.executable, "-c", script, part], **options)

    monkeypatch.setattr(gpu.subprocess, "Popen", popen)
    return gpu.main(["--device", "cpu", "--configs", CONFIG, *words])


def test_a_part_that_dies_leaves_its_rows_and_the_others_go_on(monkeypatch, tmp_path, capsys):
    script = """if True:
        import sys
        print('{"s": "0.25", "ms": "8.00"}')
        if sys.argv[1] != "kernels":
            print("a word between")
            print('{"error": "does not fit"}')
            sys.exit("CUDA error: an illegal | address")
        print('{"ms": "9.00"}\\n' * 7)
    """
    page = tmp_path / "new" / "gpu.md"
    words = ["--output", str(page), "--json", str(tmp_path / "rows.json")]
    assert run(monkeypatch, script, *words) == 1
    lines = [line.split("|") for line in page.read_text().splitlines() if f"| {CONFIG}" in line]
    assert [line[5].strip() for line in lines] == ["0.25", *[""] * 5]
    shown = [line[-2].strip() for line in lines]
    assert shown == ["", "does not fit", *["CUDA error: an illegal / address (exit 1)"] * 4]
    assert page.read_text().count("9.00") == 7
    assert "5 of 14 rows failed" in capsys.readouterr().out
    assert len(json.loads((tmp_path / "rows.json").read_text())) == 14
    assert run(monkeypatch, script, *words[:2]) == 2  # the page is there
    assert "exists already" in capsys.readouterr().err


def test_what_takes_too_long_is_left_out(monkeypatch, tmp_path):
    page = tmp_path / "gpu.md"
    script = "import time; print('{}', flush=True); time.sleep(60)"
    monkeypatch.setattr(gpu, "check_least", lambda *_, **__: None)
    assert run(monkeypatch, script, "--output", str(page), "--minutes", "0.02") == 1
    assert page.read_text().count("not done within 0.02 minutes") == 7
    assert page.read_text().count("not begun within 0.02 minutes") == 6
    assert "no figures of a GPU" in page.read_text()
