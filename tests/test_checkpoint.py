import pickle

from simplevtr.checkpoint import ClipCheckpointer
from simplevtr.engine.hooks import WeightAverage

import numpy as np
import pytest
import torch
from conftest import build
from torch import nn


class Small(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.body = nn.Linear(2, 4)
        self.head = nn.Linear(4, classes)


def test_round_trip(tmp_path, tiny_cfg):
    model, other = build(tiny_cfg, seed=0), build(tiny_cfg, seed=1)
    ClipCheckpointer(model, str(tmp_path)).save("model")
    ClipCheckpointer(other, complete=True).load(str(tmp_path / "model.pth"))
    for (name, one), two in zip(
        model.state_dict().items(), other.state_dict().values(), strict=True
    ):
        assert torch.equal(one, two), name


def test_shapes_that_do_not_fit_are_named(tmp_path):
    ClipCheckpointer(Small(3), str(tmp_path)).save("model")
    with pytest.raises(ValueError, match=r"head.weight: \(3, 4\) in the file, \(5, 4\) in the mo"):
        ClipCheckpointer(Small(5)).load(str(tmp_path / "model.pth"))


def test_missing_keys_are_named_only_where_everything_is_needed(tmp_path):
    torch.save({"model": {"body.weight": torch.ones(4, 2)}}, tmp_path / "part.pth")
    model = Small()
    ClipCheckpointer(model).load(str(tmp_path / "part.pth"))  # a start for training
    assert (model.body.weight == 1).all()
    with pytest.raises(ValueError, match="head.weight: not in the file"):
        ClipCheckpointer(Small(), complete=True).load(str(tmp_path / "part.pth"))


def test_ignored_prefixes_keep_their_own_weights(tmp_path):
    ClipCheckpointer(Small(3), str(tmp_path)).save("model")
    model = Small(5)
    head = model.head.weight.clone()
    ClipCheckpointer(model, ignore_prefixes=["head"]).load(str(tmp_path / "model.pth"))
    assert torch.equal(model.head.weight, head)


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize("suffix", [".pkl", ".pth"])
def test_a_file_that_would_run_code_is_refused(tmp_path, suffix):
    target = tmp_path / "written"
    path = tmp_path / f"evil{suffix}"
    content = {"model": {"body.weight": Evil(str(target))}}
    if suffix == ".pkl":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path)
    with pytest.raises(ValueError, match=f"evil{suffix} is no checkpoint that can be read safely"):
        ClipCheckpointer(Small()).load(str(path))
    assert not target.exists()


@pytest.mark.parametrize("suffix", [".pkl", ".pth"])
def test_a_damaged_file_is_named(tmp_path, suffix):
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(b"\x80\x04not a checkpoint")
    with pytest.raises(ValueError, match=f"damaged{suffix} is no checkpoint"):
        ClipCheckpointer(Small()).load(str(path))


def test_model_zoo_backbones_find_their_place(tmp_path, tiny_cfg):
    """A pickled dict of arrays with the bare names of the backbone, as in detectron2's zoo."""
    model = build(tiny_cfg)
    weights = {
        name.removeprefix("network.backbone."): np.full(value.shape, 0.5, dtype=np.float32)
        for name, value in model.state_dict().items()
        if name.startswith("network.backbone.") and value.dim() == 4
    }
    content = {"model": weights, "__author__": "torchvision", "matching_heuristics": True}
    path = tmp_path / "R-small.pkl"
    path.write_bytes(pickle.dumps(content))
    ClipCheckpointer(model).load(str(path))
    assert (model.network.backbone.res5[0].conv1.weight == 0.5).all()
    assert (model.network.backbone.stem.conv1.weight == 0.5).all()


def test_the_average_is_loaded_when_asked_for(tmp_path):
    model = Small()
    average = WeightAverage(model, 0.5)
    average.average.update_parameters(model)
    expected = model.body.weight.detach().clone()
    with torch.no_grad():
        model.body.weight.zero_()
    state = {"hooks": {"WeightAverage": average.state_dict()}}
    torch.save({"model": model.state_dict(), "trainer": state}, tmp_path / "model.pth")
    plain, averaged = Small(), Small()
    ClipCheckpointer(plain, complete=True).load(str(tmp_path / "model.pth"))
    ClipCheckpointer(averaged, complete=True, averaged=True).load(str(tmp_path / "model.pth"))
    assert (plain.body.weight == 0).all()
    torch.testing.assert_close(averaged.body.weight.detach(), expected)


def test_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth does not exist"):
        ClipCheckpointer(Small()).load("nowhere.pth")
