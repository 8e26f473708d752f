"""Several processes that train together; a user's mistake ends all of them with one message."""

import logging
import multiprocessing
import re
import threading
import time
from collections.abc import Callable
from typing import Any

from simplevtr.engine.launchers import own_place, run_at
from simplevtr.terminal import USER_ERRORS, error_text

import torch
import torch.multiprocessing
from detectron2.engine import launch
from detectron2.utils import comm
from torch.multiprocessing.spawn import ProcessException, ProcessExitedException

_PATIENCE = 60.0  # seconds that a failed process waits for its parent to end it
_GRACE = 5.0  # seconds in which the launcher may end the others after one died
_LOST = re.compile("connection (closed|reset)|broken pipe|remote process exited", re.IGNORECASE)


def run_processes(
    run: Callable[..., Any],
    args: tuple[Any, ...],
    *,
    processes: int,
    machines: int = 1,
    machine_rank: int = 0,
    dist_url: str = "auto",
    errors: tuple[type[Exception], ...] = (),
) -> Any:
    """Call ``run(*args)`` in each of several processes, connected as detectron2 does it.

    A process that torchrun or Slurm started is one of theirs, see ``own_place``. A single process
    is this one, and what ``run`` returns is returned; else ``run`` and ``args`` must be picklable.
    ``processes`` are those on this machine, which is number ``machine_rank`` of ``machines``; if
    there are GPUs, each process gets one. They meet at ``dist_url``, "tcp://host:port"; "auto"
    takes a free port. ``errors`` are what the user can fix, in addition to ``USER_ERRORS``.

    Raises:
        ValueError: the numbers do not go together.
        ChildProcessError: the first error of the user in any of the processes, which are all ended;
            or one of them was ended from outside.
    """
    if place := own_place():
        if not processes == machines == 1:
            raise ValueError(
                f"{place.launcher} has started this process, one of {place.processes}: leave out "
                "--num-gpus and --num-machines"
            )
        return _unless_others_end(run_at, place, run, args)
    gpus = torch.cuda.device_count()
    if processes < 1 or machines < 1 or not 0 <= machine_rank < machines:
        raise ValueError(
            f"--num-gpus {processes}, --num-machines {machines} and --machine-rank {machine_rank} "
            "do not go together: at least 1, at least 1, and less than the machines are needed"
        )
    if gpus and processes > gpus:
        raise ValueError(f"--num-gpus is {processes}, but this machine has {gpus} GPUs")
    if processes == machines == 1:
        return run(*args)
    if not re.fullmatch(r"tcp://\S+:\d+|file:///.+" + "|auto" * (machines == 1), dist_url):
        raise ValueError(
            f"--dist-url is {dist_url!r}; tcp://HOST:PORT is needed, the same on all machines"
        )
    messages = torch.multiprocessing.get_context("spawn").SimpleQueue()
    # The user reads why processes are ended, which need not be listed.
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)
    found: list[str] = []
    threading.Thread(target=_end_all_after, args=(messages, found), daemon=True).start()
    try:
        launch(
            _run_and_tell,
            processes,
            num_machines=machines,
            machine_rank=machine_rank,
            dist_url=dist_url,
            args=(messages, (*USER_ERRORS, *errors), run, args),
        )
    except ProcessException as error:
        if found:
            raise ChildProcessError(found[0]) from None
        if "EADDRINUSE" in str(error):
            raise ChildProcessError(f"--dist-url {dist_url}: the port is in use") from None
        if "Traceback" in str(error):
            raise
        if isinstance(error, ProcessExitedException) and not error.signal_name:
            raise SystemExit(error.exit_code) from None  # it has said why
        raise ChildProcessError(f"{error}: was it killed because the memory was full?") from None


def _run_and_tell(messages: Any, errors: Any, run: Callable[..., Any], args: Any) -> None:
    """In a process: run, and send the parent an error of the user's."""
    parent = multiprocessing.parent_process()
    if parent and not parent.is_alive():  # killed before torch asked for a signal of its end
        return
    try:
        _unless_others_end(run, *args)
    except errors as error:
        messages.put(error_text(error))
        # Leaving would make the other processes fail too, with messages about lost connections.
        time.sleep(_PATIENCE)
        raise


def is_lost_connection(error: BaseException | None) -> bool:
    """Whether an error, of gloo or NCCL, means that another process is gone."""
    return isinstance(error, RuntimeError) and _LOST.search(str(error)) is not None


def _unless_others_end(run: Callable[..., Any], *args: Any) -> Any:
    """Call ``run``; ChildProcessError if another process is gone, whose own message says why."""
    try:
        return run(*args)
    except RuntimeError as error:
        if not is_lost_connection(error):
            raise
        time.sleep(_GRACE)
        raise ChildProcessError(
            f"process {comm.get_rank()} lost another one of the {comm.get_world_size()}: the "
            "message of that one says why, if it was not killed; --resume goes on"
        ) from error


def _end_all_after(messages: Any, found: list[str]) -> None:
    """In the parent: wait for the first message and end all processes."""
    found.append(messages.get())
    for process in multiprocessing.active_children():
        process.terminate()
