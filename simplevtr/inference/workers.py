"""Processes that share videos out among them: on this machine, or on a Ray cluster.

Each has a model of its own. One that is killed is noticed; its video is tried once more.
"""

import logging
import multiprocessing
import os
import signal
import threading
import warnings
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import ModuleType
from typing import Any

from simplevtr.inference.many_videos import Outcome, Segmentation
from simplevtr.terminal import error_text, one_line, usable_cores
from simplevtr.video_io import NamedVideo

import torch

_PATIENCE = 10.0  # seconds that a process which was told to end may take
_NO_MODEL = "no model"
_KILLED = "its worker was killed twice; is the memory too small?"


class _Worker:
    """A process with a model, which segments one video after the other."""

    def __init__(self, task: Segmentation, number: int, opts: Sequence[str], threads: int) -> None:
        context = multiprocessing.get_context("forkserver")
        self.number = number
        self.connection, theirs = context.Pipe()
        arguments = (task, opts, threads, theirs)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()  # so that the end of the process is the end of the pipe
        self.video: NamedVideo | None = None

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
    """Start the process that imports all once, of which workers are forks."""
    forkserver.set_forkserver_preload([__name__])
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # which it inherits, and they
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)


def _serve(task: Segmentation, opts: Sequence[str], threads: int, connection: Connection) -> None:
    """In a process: load the model, then segment what comes, until the connection ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    # Unfinished files are removed, whatever their writer thinks.
    logging.getLogger("simplevtr.video_io.sink").setLevel(logging.ERROR)
    torch.set_num_threads(threads)
    with suppress(EOFError, BrokenPipeError):
        segment = _load(task, *opts)
        if isinstance(segment, str):  # the parent ends all, with this as its message
            connection.send(segment)
            return
        while True:
            connection.send(segment(connection.recv()))


def _load(task: Segmentation, *opts: str) -> Callable[[NamedVideo], Outcome] | str:
    """What segments one video, or why there is no model, whatever the reason is."""
    try:
        return task.load(*opts)
    except Exception as error:  # noqa: BLE001
        return error_text(error) or type(error).__name__


def _end_with_parent() -> None:
    """Nothing is written any more once another run may do so."""
    wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def in_processes(
    task: Segmentation, videos: Sequence[NamedVideo], *, workers: int, gpus: int = 0
) -> Generator[Outcome, None, None]:
    """Segment videos in several processes; outcomes come in the order in which they are there.

    With ``gpus`` (the number of them) each process takes one. Closing the generator ends them; it
    runs in the main thread.

    Raises:
        ChildProcessError: a process cannot build the model.
    """
    if not videos:
        return
    _start_server()
    workers = min(workers, len(videos))
    threads = min(torch.get_num_threads(), max(1, usable_cores() // workers))
    waiting, tries = deque(videos), Counter[NamedVideo]()
    free, idle = [*range(workers)], list[_Worker]()  # free: numbers without a process
    busy: dict[Connection, _Worker] = {}
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
                    yield Outcome(video.name, "failed", reason=f"{_KILLED} ({how})")
    finally:
        for worker in (*idle, *busy.values()):
            worker.end()


def load_ray() -> ModuleType:
    """Import Ray; ValueError if it is not installed."""
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ValueError(f"--ray needs Ray ({error}): pip install 'ray[data]==2.60.0'") from None
    return ray


class _RayWorker:
    """An actor with a model."""

    def __init__(self, task: Segmentation) -> None:
        self._segment = _load(task)  # Ray would try again and again, and print how it went

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        video = NamedVideo(row["name"], Path(row["path"]))
        if isinstance(self._segment, str):
            return Outcome(video.name, _NO_MODEL, reason=self._segment)._asdict()
        return self._segment(video)._asdict()


def on_ray(
    task: Segmentation,
    videos: Sequence[NamedVideo],
    *,
    address: str,
    workers: int | None = None,
    gpu: bool = False,
) -> Generator[Outcome, None, None]:
    """Do what ``in_processes`` does in the actors of a Ray cluster; "local" starts one here.

    All machines see the same files under the same paths. ``workers`` is by default the number of
    the cluster's GPUs, or 1; with ``gpu`` each has one for itself.

    Raises:
        ConnectionError: there is no cluster at ``address``.
        ChildProcessError: an actor cannot build the model.
    """
    if not videos:
        return
    ray = load_ray()
    here = {"include_dashboard": False} if address == "local" else {}
    ray.init(address, logging_level=logging.ERROR, log_to_driver=False, **here)
    try:
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.max_errored_blocks = -1  # a worker that is killed costs its video alone
        if workers is None:
            workers = int(ray.cluster_resources().get("GPU", 0)) if gpu else 1
        rows = [{"name": video.name, "path": str(video.path)} for video in videos]
        # One video at a time: those that wait at a worker would be lost with it.
        workers = max(1, min(workers, len(rows)))
        pool = ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1)
        with warnings.catch_warnings(action="ignore"):  # tries have no other name before Ray 2.64
            done = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
                _RayWorker,
                fn_constructor_args=(task,),
                compute=pool,
                num_gpus=1 if gpu else 0,
                max_task_retries=1,
            )
        left = {video.name for video in videos}
        for row in done.iter_rows():
            if row["state"] == _NO_MODEL:
                raise ChildProcessError(row["reason"])
            left.remove(row["video"])
            yield Outcome(**row)
        for name in left:
            yield Outcome(name, "failed", reason=_KILLED)
    except ray.exceptions.RayError as error:
        raise ChildProcessError(f"Ray: {one_line(error)}") from error
    finally:
        ray.shutdown()
