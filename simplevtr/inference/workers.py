"""Processes of this machine that share videos out among them, each with a model of its own.

One that is killed is noticed; its video is tried once more.
"""

import logging
import multiprocessing
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from typing import Any

from simplevtr.inference.many_videos import Outcome, SegmentTask
from simplevtr.terminal import error_text, usable_cores
from simplevtr.video_io import NamedVideo

import torch

_PATIENCE = 10.0  # seconds that a process which was told to end may take
KILLED = "its worker was killed twice; is the memory too small?"


class _Worker:
    """A process with a model, which segments one video after the other."""

    def __init__(self, task: SegmentTask, number: int, opts: Sequence[str], threads: int) -> None:
        context = multiprocessing.get_context("forkserver")
        self.number = number
        self.connection, theirs = context.Pipe()
        arguments = (task, opts, threads, theirs)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()  # so that the end of the process is the end of the pipe
        self.video: NamedVideo | Any = None  # before the first one

    def give(self, video: NamedVideo) -> None:
        self.video = video
        with suppress(BrokenPipeError):  # it was killed, as reading tells
            self.connection.send(video)

    def answer(self) -> Outcome | None:
        """The outcome, None of a process that has ended; ChildProcessError without a model."""
        try:
            answer = self.connection.recv()
        except (EOFError, OSError):
            return None
        if isinstance(answer, str):
            raise ChildProcessError(answer)
        return answer

    def exit_text(self) -> str:
        """How a process ended that ended by itself."""
        self._process.join(_PATIENCE)
        code = self._process.exitcode or 0
        return f"signal {-code}" if code < 0 else f"exit status {code}"

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self.connection.close()
        self._process.terminate()
        self._process.join(_PATIENCE)
        self._process.kill()


def _start_server() -> None:
    """Start the fork server, which imports everything once, and from which workers are forked."""
    forkserver.set_forkserver_preload([__name__])
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # which it inherits, and they
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)


def _serve(task: SegmentTask, opts: Sequence[str], threads: int, connection: Connection) -> None:
    """In a process: load the model, then segment what comes, until the connection ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    # Unfinished files are removed, whatever their writer thinks.
    logging.getLogger("simplevtr.video_io.sink").setLevel(logging.ERROR)
    torch.set_num_threads(threads)
    with suppress(EOFError, BrokenPipeError):
        segment = load_or_reason(task, *opts)
        if isinstance(segment, str):  # the parent ends all, with this as its message
            connection.send(segment)
            return
        while True:
            connection.send(segment(connection.recv()))


def load_or_reason(task: SegmentTask, *opts: str) -> Callable[[NamedVideo], Outcome] | str:
    """What segments one video, or why there is no model, whatever the reason is."""
    try:
        return task.load(*opts)
    except Exception as error:  # noqa: BLE001
        return error_text(error) or type(error).__name__


def _end_with_parent() -> None:
    """End with the parent, so that nothing is written once another run may have begun."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "only workers run this"
    wait([parent.sentinel])
    os._exit(1)


def in_processes(
    task: SegmentTask, videos: Sequence[NamedVideo], *, workers: int, gpus: int = 0
) -> Generator[Outcome, None, None]:
    """Segment videos in several processes; outcomes come as they are ready.

    With ``gpus`` (the number of them) each process takes one. Closing the generator ends them; it
    runs in the main thread. ChildProcessError: a process cannot build the model.
    """
    if not videos:
        return
    _start_server()
    workers = min(workers, len(videos))
    threads = min(torch.get_num_threads(), max(1, usable_cores() // workers))
    waiting, tries = deque(videos), Counter[NamedVideo]()
    free, idle = [*range(workers)], list[_Worker]()  # free: numbers without a process
    busy: dict[Any, _Worker] = {}
    try:
        while waiting or busy:
            while waiting and (idle or free):
                if not idle:
                    number = free.pop()
                    opts = ("MODEL.DEVICE", f"cuda:{number % gpus}") if gpus else ()
                    idle.append(_Worker(task, number, opts, threads))
                worker = idle.pop()
                busy[worker.connection] = worker
                worker.give(waiting.popleft())
            for connection in wait(list(busy)):
                answer = busy[connection].answer()
                worker = busy.pop(connection)
                if answer is not None:
                    idle.append(worker)
                    yield answer
                    continue
                free.append(worker.number)
                how, video = worker.exit_text(), worker.video
                worker.end()
                tries[video] += 1
                if tries[video] == 1:
                    waiting.append(video)
                else:
                    reason = KILLED if how.startswith("signal") else "its worker ended twice"
                    yield Outcome(video.name, "failed", reason=f"{reason} ({how})")
    finally:
        for worker in (*idle, *busy.values()):
            worker.end()
