"""Rows of a table that are measured in fresh processes, so that peaks of memory do not mix."""

from __future__ import annotations

import gc
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from simplevtr.terminal import one_line, table_cell

import torch

Row = dict[str, Any]
SPAWN = get_context("spawn")
LONGEST_ERROR = 300  # characters


def measured_rows(
    function: Callable[..., Row], jobs: Sequence[tuple], *, seconds: float | None = None
) -> Iterator[Row]:
    """Yield ``function(*job)`` for each job as soon as it is there, all from one fresh process.

    A row that fails is ``{"error": one line}`` and the others go on. Where the process dies, or
    ``seconds`` are over, the remaining rows hold that as their error.

    Args:
        function: a function of a module.
        jobs: arguments, which must pickle.
        seconds: for all rows together; None for no limit.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    missing, error = len(jobs), "not begun in time"
    if seconds is None or seconds > 0:
        receive, send = SPAWN.Pipe(duplex=False)
        with tempfile.TemporaryDirectory() as folder:
            complaints = Path(folder) / "stderr"
            process = SPAWN.Process(target=_measure, args=(function, jobs, send, complaints))
            process.start()
            send.close()  # the end of the process is then the end of the pipe
            try:
                while missing:
                    left = None if deadline is None else max(0.0, deadline - time.monotonic())
                    if not receive.poll(left):
                        error = "not done in time"
                        break
                    yield receive.recv()
                    missing -= 1
            except EOFError:
                process.join()
                error = _death(process.exitcode, complaints)
            finally:
                process.kill()
                process.join()
    yield from [{"error": error}] * missing


def _measure(
    function: Callable[..., Row], jobs: Sequence[tuple], send: Connection, complaints: Path
) -> None:
    """Measure in this process; stderr goes to a file."""
    with complaints.open("w") as file:
        os.dup2(file.fileno(), 2)
    for job in jobs:
        try:
            row = function(*job)
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs into the table
            row = {"error": table_cell(f"{type(error).__name__}: {one_line(error)}")}
            row["error"] = row["error"][:LONGEST_ERROR]
        send.send(row)
        gc.collect()  # the next row's peak begins with what is left of this one
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _death(status: int, complaints: Path) -> str:
    """How a process ended, and the last line that it wrote to stderr."""
    how = f"exit {status}" if status >= 0 else signal.strsignal(-status) or f"signal {-status}"
    lines = (
        complaints.read_text(errors="replace").strip().splitlines() if complaints.exists() else []
    )
    return f"{table_cell(lines[-1] if lines else 'no message')[:LONGEST_ERROR]} ({how})"
