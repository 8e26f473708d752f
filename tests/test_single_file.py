"""Weights, config and class names in one safetensors file: written, read and refused."""

import json
import struct

from simplevtr import setup_cfg
from simplevtr.checkpoint import saved_classes
from simplevtr.commands import main
from simplevtr.inference import VideoPredictor
from simplevtr.structures import Classes
from simplevtr.video_io import open_sink
from simplevtr.weights_file import read_checkpoint, write_weights

import numpy as np
import pytest
import torch
from conftest import CLIPS_CONFIG, build
from safetensors import safe_open

CLASSES = Classes(("disk", "square", "star", "triangle", "cross", "ring"), (1, 2, 3, 4, 5, 9))


@pytest.fixture(params=["model.safetensors", "MODEL.SAFETENSORS"])
def one_file(request, tiny_cfg, tmp_path):
    """A file of a tiny model."""
    tiny_cfg.OUTPUT_DIR = str(tmp_path / "elsewhere")
    tiny_cfg.TEST.OVERWRITE = True
    path = tmp_path / request.param
    config = tiny_cfg.dump()
    write_weights(build(tiny_cfg).state_dict(), path, classes=CLASSES, config=config)
    return path


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "video.mp4"
    with open_sink(path, 10, (64, 96)) as sink:
        for i in range(3):
            sink.write(np.full((64, 96, 3), 50 * i, dtype=np.uint8))
    return path


def write_with(path, metadata):
    """A file with one tensor and this metadata."""
    header = {"__metadata__": metadata, "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"\0" * 4)
    return path


def test_the_round_trip_is_equal(tiny_cfg, one_file):
    read, wanted = read_checkpoint(one_file), build(tiny_cfg).state_dict()
    assert {*read} == {"model", "config", "classes"}
    assert read["config"] == tiny_cfg.dump()
    assert read["classes"] == CLASSES.state_dict()
    assert read["model"].keys() == wanted.keys()
    assert all(torch.equal(read["model"][name], value) for name, value in wanted.items())
    (plain := one_file.with_name("plain")).touch()
    assert one_file.stat().st_mode == plain.stat().st_mode
    with safe_open(one_file, "pt") as file:
        assert {*json.loads(file.metadata()["versions"])} == {"simplevtr", "torch"}


def test_the_config_inside_is_used_but_for_where_to_write(tiny_cfg, one_file, tmp_path):
    words = ["MODEL.WEIGHTS", str(one_file), "TEST.WINDOW", "8"]
    cfg = setup_cfg("", words)
    assert cfg.MODEL.SIMPLEVTR.HIDDEN_DIM == tiny_cfg.MODEL.SIMPLEVTR.HIDDEN_DIM == 24
    assert (cfg.TEST.WINDOW, cfg.TEST.OVERWRITE, cfg.OUTPUT_DIR) == (8, False, "./output")
    assert setup_cfg(CLIPS_CONFIG, words).MODEL.SIMPLEVTR.HIDDEN_DIM != 24  # a given file wins
    predictor = VideoPredictor(cfg)
    assert (predictor.class_names, predictor.category_ids) == ([*CLASSES.names], [*CLASSES.ids])


def test_the_demo_runs_by_one_file(one_file, video, tmp_path):
    words = ["--input", str(video), "--results", str(tmp_path / "tracks.json")]
    words += ["--score-threshold", "0"]
    assert main(["demo", "--weights", str(one_file), *words]) == 0
    found = json.loads((tmp_path / "tracks.json").read_text())
    words = [str(video), "--output", str(tmp_path / "all"), "--score-threshold", "0"]
    assert main(["segment", "--weights", str(one_file), *words]) == 0
    assert json.loads((tmp_path / "all/video.mp4/results.json").read_text()) == found
    assert {track["category_name"] for track in found} <= {*CLASSES.names}
    assert found


def test_a_training_writes_it_and_it_is_evaluated_alone(tiny_opts, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [*tiny_opts, "SOLVER.FINAL_SAFETENSORS", "True", "SOLVER.EMA_DECAY", "0.5"]
    assert main(["train", "--config-file", CLIPS_CONFIG, *words]) == 0
    single, run = tmp_path / "run/model_final.safetensors", tmp_path / "run/model_final.pth"
    assert main(["eval", "MODEL.WEIGHTS", str(single)]) == 0
    assert (tmp_path / "output/inference/tiny_val/results.json").is_file()
    assert main(["convert", str(run), str(tmp_path / "again.safetensors")]) == 0
    again, final = read_checkpoint(tmp_path / "again.safetensors"), read_checkpoint(single)
    assert {*again["model"]} == {*final["model"]}
    assert all(torch.equal(again["model"][name], v) for name, v in final["model"].items())
    assert again["classes"] == final["classes"]
    assert again["config"] == final["config"]
    capsys.readouterr()
    words[words.index("MODEL.WEIGHTS") + 1] = str(single)
    assert main(["train", "--config-file", CLIPS_CONFIG, *words]) == 2  # nothing is overwritten
    assert "holds an earlier run" in capsys.readouterr().err


def test_converting_for_a_config_puts_it_inside(tiny_cfg, one_file, tmp_path, capsys):
    config, target = tmp_path / "c.yaml", tmp_path / "half.safetensors"
    config.write_text(tiny_cfg.dump())
    words = ["convert", str(one_file), str(target), "--half", "--config-file", str(config)]
    assert main([*words, "TEST.WINDOW", "5"]) == 0
    assert setup_cfg("", ["MODEL.WEIGHTS", str(target)]).TEST.WINDOW == 5
    assert all(v.dtype != torch.float32 for v in read_checkpoint(target)["model"].values())
    (torch_file := tmp_path / "w.pth").write_bytes(b"")
    torch.save(read_checkpoint(one_file)["model"], torch_file)
    capsys.readouterr()
    assert main(["convert", str(torch_file), str(tmp_path / "bare.safetensors")]) == 0
    assert "without a config inside" in capsys.readouterr().out
    assert {*read_checkpoint(tmp_path / "bare.safetensors")} == {"model"}


def refused(capsys, *words):
    assert main(["demo", "--input", "x.mp4", "--output", "y.mp4", *map(str, words)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("MODEL: {NO_SUCH: 1}", "the config key MODEL.NO_SUCH does not exist"),
        ("SEED: many", "SEED: 'many'; a whole number is needed"),
        ("SEED: !!python/object/apply:os.system [ls]", "could run code"),
        ("_BASE_: /etc/passwd", "the config key _BASE_ does not exist"),
        ("- 1", "groups of config keys are needed"),
        ("a: [", "line 1, column"),
    ],
)
def test_a_bad_config_inside_is_refused_on_one_line(tmp_path, capsys, config, message):
    path = write_with(tmp_path / "bad.safetensors", {"simplevtr.config": config})
    error = refused(capsys, "--weights", path)
    assert f"the config inside {path}" in error
    assert message in error


@pytest.mark.parametrize(
    "content", [b"", b"\x10", struct.pack("<Q", 2**60) + b"{}", struct.pack("<Q", 2) + b"{]"]
)
def test_a_corrupt_header_is_refused_on_one_line(tmp_path, capsys, content):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    assert f"{path} is not a checkpoint that can be read safely" in refused(
        capsys, "--weights", path
    )


def test_what_holds_no_config_needs_one(tmp_path, capsys):
    path = write_with(tmp_path / "bare.safetensors", {"format": "pt"})
    assert f"{path} holds no config: name one with --config-file" in refused(
        capsys, "--weights", path
    )
    assert "none.safetensors does not exist" in refused(capsys, "--weights", "none.safetensors")
    assert "no config is given" in refused(capsys)


@pytest.mark.parametrize("classes", ["[", "3", '{"names": ["a"]}', '{"names": [1], "ids": [1]}'])
def test_bad_classes_inside_are_refused(tmp_path, classes):
    path = write_with(tmp_path / "bad.safetensors", {"simplevtr.classes": classes})
    with pytest.raises(ValueError, match=r"bad\.safetensors"):
        saved_classes(str(path))
