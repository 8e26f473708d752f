import pickle

from simplevtr.checkpoint import ClipCheckpointer, load_trained
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


@pytest.fixture
def loaded(tmp_path):
    """Loads weights, saved as model.pth, into a model; returns the model."""

    def loaded(weights, model=None, **options):
        torch.save({"model": weights}, tmp_path / "model.pth")
        model = model or Small()
        ClipCheckpointer(model, **options).load(str(tmp_path / "model.pth"))
        return model

    return loaded


def test_shapes_that_do_not_fit_are_named(loaded):
    with pytest.raises(ValueError, match=r"head.weight: \(3, 4\) in the file, \(5, 4\) in the mo"):
        loaded(Small(3).state_dict(), Small(5))


def test_missing_keys_are_named_only_where_everything_is_needed(loaded):
    part = {"body.weight": torch.ones(4, 2)}
    assert (loaded(part).body.weight == 1).all()  # a start for training
    with pytest.raises(ValueError, match="head.weight: not in the file"):
        loaded(part, complete=True)


def test_weights_of_further_layers_are_named_where_everything_counts(loaded):
    weights = Small().state_dict()
    loaded(weights | {"more.weight": torch.ones(1)})
    with pytest.raises(ValueError, match=r"more\.weight: not in the model"):
        loaded(weights | {"more.weight": torch.ones(1)}, complete=True)
    of_training = {
        "network.dense_head.weight": torch.ones(1),
        "a.num_batches_tracked": torch.tensor(3),
    }
    loaded(weights | of_training, complete=True)


def test_weights_that_are_no_numbers_are_refused(tmp_path, loaded):
    model = Small()
    model.head.weight.data[1, 2] = float("nan")
    with pytest.raises(FloatingPointError, match=r"model.pth is not saved: 1 weights .* head.weig"):
        ClipCheckpointer(model, str(tmp_path)).save("model")
    with pytest.raises(ValueError, match=r"model.pth has .* NaN .* 1 tensors, such as head.weight"):
        loaded(model.state_dict())
    loaded(model.state_dict(), ignore_prefixes=["head"])


def test_quantised_weights_are_refused(loaded):
    with pytest.raises(ValueError, match="body.weight is of torch.int8, where torch.float32 is"):
        loaded({name: value.to(torch.int8) for name, value in Small().state_dict().items()})


@pytest.mark.parametrize("prefix", ["", "module."])
def test_ignored_prefixes_keep_their_own_weights(loaded, prefix):
    """They are those of the names without "module."."""
    weights = {f"{prefix}{name}": value for name, value in Small(3).state_dict().items()}
    model = Small(5)
    head = model.head.weight.clone()
    loaded(weights, model, ignore_prefixes=["head"])
    assert torch.equal(model.head.weight, head)
    assert torch.equal(model.body.weight, weights[f"{prefix}body.weight"])
    for wrong in ("haed", ""):
        with pytest.raises(ValueError, match=f"IGNORE_WEIGHTS has '{wrong}', with which no name"):
            loaded(weights, model, ignore_prefixes=[wrong])


def test_inference_warns_of_a_config_that_the_weights_were_not_trained_with(
    tmp_path, tiny_cfg, caplog
):
    path, text = tmp_path / "model.pth", tiny_cfg.dump()
    torch.save({"model": build(tiny_cfg).state_dict(), "trainer": {"config": text}}, path)
    tiny_cfg.MODEL.WEIGHTS = str(path)
    tiny_cfg.MODEL.SIMPLEVTR.DROPOUT = 0.5  # of the training alone
    load_trained(build(tiny_cfg), tiny_cfg)
    assert not caplog.records
    tiny_cfg.MODEL.SIMPLEVTR.MASK_HEAD.ATTENTION_SCALE = 2.0
    load_trained(build(tiny_cfg), tiny_cfg)
    assert "MASK_HEAD.ATTENTION_SCALE 100.0, which is 2.0 here" in caplog.text


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


class Run:
    """The state of a training that kept an average of its weights."""

    def __init__(self, average):
        self.average = average
        self.loaded = None

    def state_dict(self):
        return {"hooks": {"WeightAverage": self.average.state_dict()}}

    def load_state_dict(self, state):
        self.loaded = state


@pytest.fixture
def averaged_run(tmp_path):
    """model.pth, whose average is all 1 and whose weights are all 0."""
    model = Small()
    for value in model.parameters():
        nn.init.ones_(value)
    run = Run(WeightAverage(model, 0.5))
    run.average.average.update_parameters(model)
    for value in model.parameters():
        nn.init.zeros_(value)
    ClipCheckpointer(model, str(tmp_path), trainer=run).save("model")
    return tmp_path / "model.pth"


def test_everything_but_a_resumed_run_takes_the_average(averaged_run, caplog):
    caplog.set_level("INFO", "simplevtr.checkpoint")
    scored, second, resumed = Small(), Small(), Small()
    ClipCheckpointer(scored, complete=True).load(str(averaged_run))
    run = Run(WeightAverage(second, 0.5))
    ClipCheckpointer(second, trainer=run).load(str(averaged_run), checkpointables=[])
    assert run.loaded is None
    for model in (scored, second):
        assert all((value == 1).all() for value in model.parameters())
    assert caplog.text.count("model.pth: loading the average of the weights") == 2
    ClipCheckpointer(resumed, trainer=run).load(str(averaged_run))
    assert run.loaded is not None
    assert all((value == 0).all() for value in resumed.parameters())


def test_a_resumed_run_takes_its_own_weights_whole(averaged_run):
    """MODEL.IGNORE_WEIGHTS is about MODEL.WEIGHTS, not about the run's own checkpoint."""
    folder = str(averaged_run.parent)
    for resume in (True, False):
        model = Small()
        head = model.head.weight.detach().clone()
        options = {"ignore_prefixes": ["head"], "trainer": Run(WeightAverage(model, 0.5))}
        checkpointer = ClipCheckpointer(model, folder, **options)
        checkpointer.resume_or_load(str(averaged_run), resume=resume)
        assert (model.body.weight == (0 if resume else 1)).all()
        assert (model.head.weight == (0 if resume else head)).all()


def test_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth does not exist"):
        ClipCheckpointer(Small()).load("nowhere.pth")
