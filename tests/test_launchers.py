"""Processes that torchrun or Slurm started: their numbers, a training, one that is killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from datetime import timedelta

from simplevtr.engine import launchers
from simplevtr.engine.launchers import Place, own_place, run_at
from simplevtr.engine.processes import run_processes

import pytest
import torch
from conftest import CLIPS_CONFIG, ROOT, metrics, run_train_net

SLURM = {
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
    "SLURM_JOB_ID": "20007",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
    "SLURM_STEP_NODELIST": "gpu-[07-09,12],n3",
}
TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none",
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
}


@pytest.mark.parametrize(
    ("env", "place"),
    [
        ({}, None),
        (TORCHRUN, Place("torchrun", 3, 4, 1, 2, "env://")),
        (TORCHRUN | {"WORLD_SIZE": "1"}, None),
        (SLURM, Place("srun", 3, 4, 1, 2, "tcp://gpu-07:15007")),
        (
            SLURM | {"SLURM_STEP_NODELIST": "n1,n2", "MASTER_PORT": "4"},
            Place("srun", 3, 4, 1, 2, "tcp://n1:4"),
        ),
        (SLURM | {"MASTER_ADDR": "10.0.0.1"}, Place("srun", 3, 4, 1, 2, "tcp://10.0.0.1:15007")),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, None),  # a batch script without srun
    ],
)
def test_places(env, place):
    assert own_place(env) == place


def test_unequal_machines_are_refused():
    with pytest.raises(ValueError, match=r"srun starts 2\(x3\),1 processes"):
        own_place(SLURM | {"SLURM_STEP_TASKS_PER_NODE": "2(x3),1"})
    with pytest.raises(ValueError, match="4 processes, which is not a multiple of the 3"):
        own_place(TORCHRUN | {"LOCAL_WORLD_SIZE": "3"})


def test_the_numbers_are_the_launchers_alone(monkeypatch):
    for key, value in TORCHRUN.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(ValueError, match="one of 4: leave out --num-gpus"):
        run_processes(divmod, (7, 2), processes=2)


def test_a_process_that_no_other_joins_says_so(monkeypatch):
    monkeypatch.setattr(launchers, "_PATIENCE", timedelta(seconds=1))
    place = Place("srun", 0, 2, 0, 1, f"tcp://127.0.0.1:{free_port()}")
    with pytest.raises(ChildProcessError, match=r"process 0 did not meet all 2 within 0:00:01"):
        run_at(place, divmod, (7, 2))


def test_a_port_in_use_says_so():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place = Place("srun", 0, 2, 0, 1, f"tcp://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(ChildProcessError, match="the port is in use; set MASTER_PORT"):
            run_at(place, divmod, (7, 2))


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


def start(words, folder, node, *, env=None, before=()):
    """One machine's process, which writes what it prints to a file."""
    command = [sys.executable, *before, str(ROOT / "train_net.py"), "--config-file", CLIPS_CONFIG]
    with (folder / f"node_{node}.log").open("w") as log:
        return subprocess.Popen(
            [*command, *words], stdout=log, stderr=log, env={**os.environ, **(env or {})}
        )


def last_losses(folder):
    return {key: value for key, value in metrics(folder)[-1].items() if "loss" in key}


def test_torchrun_on_two_machines_trains_as_one_process_does(tiny_opts, tmp_path):
    words = [*tiny_opts, "SOLVER.IMS_PER_BATCH", "2", "DATASETS.TEST", "()", "SEED", "1"]
    words += ["MODEL.RESNETS.NORM", "FrozenBN"]
    run_train_net(*words, "OUTPUT_DIR", str(tmp_path / "one"))
    words += ["OUTPUT_DIR", str(tmp_path / "two")]
    torchrun = "-m torch.distributed.run --nnodes 2 --nproc-per-node 1 --master-addr 127.0.0.1"
    torchrun = [*torchrun.split(), "--master-port", free_port()]
    nodes = [start(words, tmp_path, n, before=[*torchrun, "--node-rank", n]) for n in "01"]
    assert [node.wait() for node in nodes] == [0, 0], (tmp_path / "node_0.log").read_text()
    one, two = (last_losses(tmp_path / name) for name in ("one", "two"))
    # Those of classes are weighted means of each process by itself, as DETR's are.
    for key in ("loss_bbox", "loss_giou", "loss_mask", "loss_dice"):
        assert one[key] == pytest.approx(two[key], rel=1e-4), key


def start_both(words, folder, *, second=()):
    """Two machines of a Slurm job."""
    job = SLURM | {
        "SLURM_LOCALID": "0",
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_STEP_TASKS_PER_NODE": "1(x2)",
        "SLURM_STEP_NODELIST": "localhost",
        "MASTER_PORT": free_port(),
    }
    return [
        start([*words, *more], folder, node, env=job | {"SLURM_PROCID": node})
        for node, more in (("0", ()), ("1", second))
    ]


@pytest.mark.parametrize(
    ("words", "second", "messages"),
    [
        (
            ["SOLVER.BASE_LR", "1e30", "SOLVER.WARMUP_ITERS", "0", "SOLVER.MAX_ITER", "9"],
            [],
            ["A loss became infinite or NaN on the clips of process "] * 2,
        ),
        (
            [],
            ["MODEL.WEIGHTS", "nothing.pth"],
            ["process 0 lost another one of the 2", "checkpoint nothing.pth does not exist"],
        ),
    ],
    ids=["NaN", "no weights"],
)
def test_an_error_of_one_machine_ends_both(tiny_opts, tmp_path, words, second, messages):
    words = [*tiny_opts, "SOLVER.IMS_PER_BATCH", "2", "DATASETS.TEST", "()", *words]
    nodes = start_both(words, tmp_path, second=second)
    assert [node.wait(timeout=120) for node in nodes] == [2, 2]
    for node, message in enumerate(messages):
        log = (tmp_path / f"node_{node}.log").read_text()
        assert log.splitlines()[-1].startswith(f"train_net.py: error: {message}")
        assert "Traceback" not in log


def test_a_killed_process_ends_the_others_and_resume_goes_on(tiny_opts, tmp_path):
    words = [*tiny_opts, "SOLVER.IMS_PER_BATCH", "2", "DATASETS.TEST", "()"]
    words += ["SOLVER.CHECKPOINT_PERIOD", "2", "OUTPUT_DIR", str(tmp_path / "run")]

    def both(iterations, *more):
        return start_both([*more, *words, "SOLVER.MAX_ITER", iterations], tmp_path)

    first, second = both("100000")
    while not (tmp_path / "run/last_checkpoint").is_file():
        assert first.poll() is None, (tmp_path / "node_0.log").read_text()
        time.sleep(0.1)
    second.send_signal(signal.SIGKILL)
    assert first.wait(timeout=60) == 2
    log = (tmp_path / "node_0.log").read_text()
    assert "error: process 0 lost another one of the 2" in log.splitlines()[-1]
    assert "Traceback" not in log
    done = int((tmp_path / "run/last_checkpoint").read_text().split("_")[1].split(".")[0]) + 1
    assert [node.wait() for node in both(str(done + 2), "--resume")] == [0, 0]
    assert f"Starting training from iteration {done}" in (tmp_path / "node_0.log").read_text()
    final = torch.load(tmp_path / "run/model_final.pth", weights_only=True)
    assert final["iteration"] == done + 1
