import json
import runpy

from benchmarks.synthetic import synthetic_clip
from benchmarks.training_step import main

import numpy as np
import pytest
import torch
from conftest import CLIPS_CONFIG, ROOT, build, make_clip

KEYS = {
    "parameters", "trainable", "flops", "step_seconds", "data_seconds",
    "peak_bytes", "peak_kind", "saved_bytes", "frames", "size", "clips", "device", "threads",
}  # fmt: skip
QUICK = ["--steps", "2", "--warmup", "0"]
SYNTHETIC = [*QUICK, "--frames", "2", "--size", "32", "48"]


@pytest.fixture(autouse=True)
def _same_threads_afterwards():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def run(arguments, opts):
    return main(["--config-file", CLIPS_CONFIG, *arguments, *opts])


@pytest.mark.parametrize("instances", [0, 3])
def test_synthetic_clips_are_as_the_mapper_makes_them(tiny_cfg, instances):
    options = {"frames": 4, "size": (32, 48), "instances": instances, "classes": 6}
    clip = synthetic_clip(**options, rng=np.random.default_rng(1))
    like = make_clip(frames=4)
    assert clip.keys() == like.keys()
    assert len(clip["image"]) == len(clip["instances"]) == 4
    assert {(f.shape, f.dtype) for f in clip["image"]} == {((3, 32, 48), torch.uint8)}
    for frame in clip["instances"]:
        assert frame.get_fields().keys() == like["instances"][0].get_fields().keys()
        assert (len(frame), frame.image_size) == (instances, (32, 48))
        assert frame.gt_ids.tolist() == list(range(1, instances + 1))
        x0, y0, x1, y1 = frame.gt_boxes.tensor.T
        area = frame.gt_masks.tensor.flatten(1).sum(1)
        assert (area > 0).all()
        assert torch.equal(area, ((x1 - x0) * (y1 - y0)).long())  # boxes, filled
        assert torch.equal(frame.gt_classes, clip["instances"][0].gt_classes)
    again = synthetic_clip(**options, rng=np.random.default_rng(1))
    assert torch.equal(clip["image"][3], again["image"][3])
    losses = build(tiny_cfg).train()([clip])
    assert sum(losses.values()).isfinite()


def test_command_measures_the_training_set(tiny_opts, tmp_path, capsys):
    target = tmp_path / "costs" / "step.json"
    # Weights that do not exist are not read.
    opts = [*tiny_opts, "MODEL.WEIGHTS", str(tmp_path / "none.pth")]
    assert run([*QUICK, "--threads", "2", "--json", str(target)], opts) == 0
    report = json.loads(target.read_text())
    assert set(report) == KEYS
    assert report["parameters"] == report["trainable"] > 0
    assert report["flops"] > 0 < report["step_seconds"]["median"]
    assert report["data_seconds"] > 0
    assert report["peak_bytes"] > report["saved_bytes"] > 0
    assert (report["frames"], report["size"], report["clips"]) == (2, [64, 96], 2)
    assert (report["device"], report["threads"], report["peak_kind"]) == ("cpu", 2, "resident")
    out = capsys.readouterr().out
    assert "2 clips of 2 frames of 64 x 96 pixels (training set), cpu, CPU threads: 2" in out
    assert f"{report['parameters'] / 1e6:.1f}" in out
    for table in out.split("\n\n")[1:]:
        assert len({len(line) for line in table.splitlines()}) == 1  # aligned

    before = target.read_bytes()
    assert run([*SYNTHETIC, "--json", str(target)], opts) == 2
    captured = capsys.readouterr()
    assert "step.json exists already" in captured.err
    assert (captured.out, target.read_bytes()) == ("", before)
    assert run([*SYNTHETIC, "--json", str(target), "--overwrite"], opts) == 0
    report = json.loads(target.read_text())
    assert (report["frames"], report["size"], report["clips"]) == (2, [32, 48], 2)


def test_inference_is_measured(tmp_path, capsys):
    small = ["MODEL.RESNETS.RES2_OUT_CHANNELS", "8", "MODEL.SIMPLEVTR.NUM_QUERIES", "2"]
    words = ["--inference", "--frames", "2", "--size", "32", "48", "--steps", "1", "--warmup", "0"]
    words += ["--output-size", "60", "90", "--json", str(tmp_path / "r.json")]
    assert run(words, small) == 0
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["frames_per_second"] == pytest.approx(2 / report["step_seconds"]["median"])
    assert report["peak_bytes"] > 2**20
    assert "frames/s" in capsys.readouterr().out
    assert run(words, small) == 2  # the file exists


def test_command_runs_as_a_script_without_any_data(tiny_opts, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--config-file", CLIPS_CONFIG, *SYNTHETIC, "--instances", "0"]
    words += tiny_opts[tiny_opts.index("MODEL.WEIGHTS") :]
    monkeypatch.setattr("sys.argv", ["training_step.py", *words])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(ROOT / "benchmarks/training_step.py"), run_name="__main__")
    assert "(synthetic)" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "opts", "message"),
    [
        (["--frames", "2"], [], "--frames and --size make synthetic clips together"),
        (["--inference"], [], "--inference needs --frames and --size"),
        (["--expected"], [], "--expected needs --frames and --size"),
        ([*SYNTHETIC, "--instances", "5"], [], "--instances 5, but MODEL.SIMPLEVTR.NUM_QUERIES"),
        (["--json", "cost.txt"], [], "cost.txt: cannot write to this; it has suffix '.txt'"),
        (SYNTHETIC, ["SOLVER.IMS_PER_BATCH", "0"], "SOLVER.IMS_PER_BATCH is 0"),
        (SYNTHETIC, ["SOLVER.AMP.ENABLED", "True"], "SOLVER.AMP.ENABLED needs a GPU"),
        (SYNTHETIC, ["MODEL.DEVICE", "cuda"], "MODEL.DEVICE is cuda, but PyTorch finds no GPU"),
        (SYNTHETIC, ["MODEL.PIXEL_STD", "[1e-42,1e-42,1e-42]"], "infinite or NaN"),
        ([], ["DATASETS.TRAIN", "('none',)"], "none.json"),
    ],
)
def test_errors_of_a_user(tiny_opts, capsys, monkeypatch, arguments, opts, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    custom = tiny_opts.index("DATASETS.CUSTOM") + 1
    missing = "['none', '/no/such/none.json', '/no/such']]"
    tiny_opts[custom] = f"{tiny_opts[custom][:-1]}, {missing}"
    assert run(arguments, [*tiny_opts, *opts]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("training_step.py: error: ")
    assert captured.out == ""


@pytest.mark.parametrize(("option", "least"), [("--frames", 1), ("--threads", 1), ("--warmup", 0)])
def test_numbers_that_are_too_small(capsys, option, least):
    with pytest.raises(SystemExit, match="2"):
        run([option, str(least - 1)], [])
    message = f"{option}: {least - 1} was given; it must be at least {least}"
    assert message in capsys.readouterr().err


@pytest.mark.gpu
@pytest.mark.parametrize("mixed", ["False", "True"])
def test_command_on_a_gpu(tiny_opts, tmp_path, mixed):
    target = tmp_path / "step.json"
    opts = [*tiny_opts, "MODEL.DEVICE", "cuda", "SOLVER.AMP.ENABLED", mixed]
    assert run([*SYNTHETIC, "--json", str(target)], opts) == 0
    report = json.loads(target.read_text())
    assert (report["device"], report["peak_kind"]) == ("cuda", "gpu")
    assert report["peak_bytes"] > report["saved_bytes"] > 0
    assert run([*SYNTHETIC, "--json", str(target), "--overwrite"], tiny_opts) == 0
    assert json.loads(target.read_text())["flops"] == report["flops"]
