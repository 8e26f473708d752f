"""A process that torchrun or Slurm's srun started, one of those that train together."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from detectron2.engine.launch import DEFAULT_TIMEOUT
from detectron2.utils import comm

_PORTS = range(15000, 25000)  # of Slurm's jobs, by their number
_PATIENCE = timedelta(minutes=5)  # until all processes have met


@dataclass(frozen=True)
class Place:
    """Where a process is among all."""

    launcher: str
    rank: int  # its number, of all machines
    processes: int  # how many there are on all machines
    local_rank: int  # its number on its machine
    local_processes: int  # on each machine
    url: str  # where they meet


def own_place(env: Mapping[str, str] = os.environ) -> Place | None:
    """The place that torchrun's or srun's variables give this process; None for one on its own.

    Slurm's processes meet on the first machine of the step, at ``MASTER_ADDR`` and ``MASTER_PORT``
    if these are set. ValueError: machines have different numbers of processes.
    """
    if "TORCHELASTIC_RUN_ID" in env and int(env["WORLD_SIZE"]) > 1:
        keys = ["RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"]
        rank, processes, local_rank, local_processes = (int(env[key]) for key in keys)
        place = Place("torchrun", rank, processes, local_rank, local_processes, "env://")
    elif "SLURM_PROCID" in env and int(env.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
        # A list such as 2(x3),1; a batch script alone is not in a step.
        tasks = {re.sub(r"\(.*", "", part) for part in env["SLURM_STEP_TASKS_PER_NODE"].split(",")}
        if len(tasks) > 1:
            raise ValueError(
                f"srun starts {env['SLURM_STEP_TASKS_PER_NODE']} processes per machine; all "
                "machines need the same number: use --ntasks-per-node"
            )
        keys = ["SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"]
        rank, processes, local_rank = (int(env[key]) for key in keys)
        # The first of a list such as n1,n2 or gpu-[07-09,12],n3
        name, _, numbers = env["SLURM_STEP_NODELIST"].partition(",")[0].partition("[")
        host = env.get("MASTER_ADDR") or name + re.split(r"[-\]]", numbers)[0]
        port = env.get("MASTER_PORT") or _PORTS[int(env["SLURM_JOB_ID"]) % len(_PORTS)]
        url = f"tcp://{host}:{port}"
        place = Place("srun", rank, processes, local_rank, int(tasks.pop()), url)
    else:
        return None
    if place.processes % place.local_processes:
        raise ValueError(
            f"{place.launcher} starts {place.processes} processes, which is not a multiple of the "
            f"{place.local_processes} on this machine"
        )
    return place


def run_at(place: Place, run: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """Connect with the other processes, and call ``run(*args)``.

    ValueError: there are more processes on this machine than GPUs. ChildProcessError: some of them
    do not come, or the port is in use.
    """
    gpus = torch.cuda.device_count()
    if gpus and place.local_processes > gpus:
        raise ValueError(
            f"{place.launcher} starts {place.local_processes} processes on this machine, which has "
            f"{gpus} GPUs"
        )
    try:
        meeting = dist.rendezvous(place.url, place.rank, place.processes, timeout=_PATIENCE)
        store, rank, size = next(meeting)
    except dist.DistError as error:
        if "EADDRINUSE" in str(error):
            hint = "set MASTER_PORT to another one, the same for all processes"
            raise ChildProcessError(f"{place.url}: the port is in use; {hint}") from error
        raise ChildProcessError(
            f"process {place.rank} did not meet all {place.processes} within {_PATIENCE} (h:mm:ss) "
            f"at {place.url}: the messages of the others say why; all need the same address and a "
            "network without a firewall between them"
        ) from error
    store.set_timeout(DEFAULT_TIMEOUT)
    dist.init_process_group(
        backend="NCCL" if gpus else "GLOO",
        store=store,
        rank=rank,
        world_size=size,
        timeout=DEFAULT_TIMEOUT,
    )
    comm.create_local_process_group(place.local_processes)
    if gpus:
        torch.cuda.set_device(place.local_rank)
    comm.synchronize()
    result = run(*args)
    comm.synchronize()
    dist.destroy_process_group()
    return result
