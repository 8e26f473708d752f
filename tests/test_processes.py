"""Several processes as one command: one message ends them all."""

import sys
from functools import partial
from types import SimpleNamespace

from simplevtr.engine import processes
from simplevtr.engine.processes import run_processes
from simplevtr.engine.trainer import refuse_infinite_losses

import pytest
import torch
from conftest import make_clip
from detectron2.utils import comm


@pytest.fixture
def forked(monkeypatch):
    """New processes are copies of this one: spawned ones would import torch again."""
    start = partial(torch.multiprocessing.start_processes, start_method="fork")
    monkeypatch.setattr("torch.multiprocessing.start_processes", start)


def fail_in_one(error):
    """A mistake of the user's that only the last process meets, while the others wait for it."""
    comm.synchronize()
    if comm.get_rank() == comm.get_world_size() - 1:
        raise error
    comm.synchronize()


@pytest.mark.usefixtures("forked")
def test_an_error_of_one_process_ends_all_with_its_message(capfd):
    with pytest.raises(ChildProcessError) as caught:
        run_processes(fail_in_one, (FileNotFoundError("a.jpg\n is missing"),), processes=2)
    assert str(caught.value) == "a.jpg is missing"
    captured = capfd.readouterr()
    assert "Traceback" not in captured.out + captured.err
    assert "Terminating process" not in captured.err


@pytest.mark.usefixtures("forked")
def test_a_process_that_ends_by_itself_has_said_why():
    """As where TEST.EXPECTED_RESULTS are missed."""
    with pytest.raises(SystemExit) as caught:
        run_processes(sys.exit, (3,), processes=2)
    assert caught.value.code == 3


@pytest.mark.parametrize("alive", [True, False])
def test_a_process_whose_parent_was_killed_at_the_start_does_not_train(monkeypatch, alive):
    done = []
    parent = SimpleNamespace(is_alive=lambda: alive)
    monkeypatch.setattr(processes.multiprocessing, "parent_process", lambda: parent)
    processes._run_and_tell(None, (), done.append, ["trained"])
    assert done == ["trained"] * alive


def test_one_process_runs_here():
    assert run_processes(divmod, (7, 2), processes=1) == (3, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"processes": 0}, "--num-gpus 0"),
        ({"processes": 1, "machines": 2, "machine_rank": 2}, "--machine-rank 2"),
        ({"processes": 1, "machines": 2}, "--dist-url is 'auto'; tcp://HOST:PORT is needed"),
        ({"processes": 2, "dist_url": "127.0.0.1:29500"}, "--dist-url is '127.0.0.1:29500'; tcp"),
        ({"processes": 2, "dist_url": "tcp://127.0.0.1"}, "--dist-url is 'tcp://127.0.0.1'; tcp"),
    ],
)
def test_numbers_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        run_processes(divmod, (7, 2), **options)


def test_more_processes_than_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ValueError, match="--num-gpus is 3, but this machine has 2 GPUs"):
        run_processes(divmod, (7, 2), processes=3)


class Losses(torch.nn.Module):
    def forward(self, batch):
        return {"a": torch.tensor(batch[0]["video_id"] * 1.0), "b": torch.tensor(1.0)}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_names_the_clips_of_its_process(monkeypatch, value):
    model = Losses()
    model.register_forward_hook(refuse_infinite_losses)
    good, bad = make_clip(video=7), make_clip(video=value)
    model([good])
    monkeypatch.setattr(comm, "get_rank", lambda: 3)
    with pytest.raises(FloatingPointError, match=rf"process 3: video_{value}/00000.jpg"):
        model([bad])
    model.eval()
    model([bad])


def train_until_one_fails():
    """The loss of the last process alone is not finite, in the second iteration."""
    parallel = torch.nn.parallel.DistributedDataParallel(Weighted())
    parallel.register_forward_hook(refuse_infinite_losses)
    for iteration in range(3):
        bad = iteration == 1 and comm.get_rank() == comm.get_world_size() - 1
        parallel([make_clip(video=float("nan") if bad else 7.0)])
        comm.synchronize()  # as the gradients of a backward pass, which a copied process cannot do


class Weighted(Losses):
    """With a weight, as what is trained in parallel must have one."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))


@pytest.mark.usefixtures("forked")
def test_a_loss_of_one_process_that_is_not_finite_ends_all_with_its_message():
    with pytest.raises(ChildProcessError, match=r"clips of process 1: video_nan/00000\.jpg"):
        run_processes(train_until_one_fails, (), processes=2, errors=(FloatingPointError,))
