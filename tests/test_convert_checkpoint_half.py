"""Without a config: the weights of a training alone, in half precision, for sharing."""

from simplevtr.checkpoint import ClipCheckpointer
from tools import convert_checkpoint

import pytest
import torch


def main(files):
    return convert_checkpoint.main([*files, "--half"])


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "model_final.pth"
    model = torch.nn.BatchNorm1d(3)
    ClipCheckpointer(model, str(tmp_path), optimizer=torch.optim.Adam(model.parameters())).save(
        "model_final"
    )
    return path


def test_weights_alone_in_half_precision(checkpoint, tmp_path):
    target = tmp_path / "small.pth"
    assert main([str(checkpoint), str(target)]) == 0
    content = torch.load(target, weights_only=True)
    assert set(content) == {"model"}
    assert content["model"]["weight"].dtype == torch.float16
    assert content["model"]["num_batches_tracked"].dtype == torch.int64
    model = torch.nn.BatchNorm1d(3)
    ClipCheckpointer(model, complete=True).load(str(target))
    assert model.weight.dtype == torch.float32


def test_user_errors(checkpoint, tmp_path, capsys):
    assert main([str(checkpoint), str(checkpoint)]) == 2
    assert "exists" in capsys.readouterr().err
    assert main([str(tmp_path / "none.pth"), str(tmp_path / "a.pth")]) == 2
    assert "none.pth" in capsys.readouterr().err
    torch.save({"model": {"x": torch.tensor([1e6])}}, tmp_path / "large.pth")
    assert main([str(tmp_path / "large.pth"), str(tmp_path / "a.pth")]) == 2
    assert "x has values that do not fit" in capsys.readouterr().err
    (tmp_path / "text.pth").write_text("no checkpoint")
    assert main([str(tmp_path / "text.pth"), str(tmp_path / "a.pth")]) == 2
    assert "text.pth is not a checkpoint that can be read safely" in capsys.readouterr().err


def test_the_average_is_kept_rather_than_the_last_weights(tmp_path, capsys):
    average = {"module.a": torch.ones(2), "n_averaged": torch.tensor(3)}
    content = {"model": {"a": torch.zeros(2)}, "trainer": {"hooks": {"WeightAverage": average}}}
    torch.save(content, tmp_path / "run.pth")
    assert main([str(tmp_path / "run.pth"), str(tmp_path / "small.pth")]) == 0
    assert "run.pth: the average of the weights (SOLVER.EMA_DECAY)" in capsys.readouterr().out
    weights = torch.load(tmp_path / "small.pth", weights_only=True)["model"]
    assert weights.keys() == {"a"}
    assert (weights["a"] == 1).all()


def test_the_classes_are_kept(tmp_path):
    classes = {"names": ["cat", "dog"], "ids": [3, 7]}
    torch.save({"model": {"a": torch.zeros(2)}, "classes": classes}, tmp_path / "run.pth")
    assert main([str(tmp_path / "run.pth"), str(tmp_path / "small.pth")]) == 0
    assert torch.load(tmp_path / "small.pth", weights_only=True)["classes"] == classes
