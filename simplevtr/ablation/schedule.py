"""Runs jobs: some side by side, each after those that it needs, and none twice."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from simplevtr.ablation.jobs import Job
from simplevtr.ablation.results import write_json, write_result
from simplevtr.formats.files import write_bytes

from tqdm import tqdm

_POLL = 0.2  # seconds between two looks at the processes
_PATIENCE = 10.0  # seconds that a process has to end by itself
_SHOWN = 15  # last lines of a failed command


class Command(subprocess.Popen):
    """A command in a process group of its own, so that Ctrl-C reaches it through ``stop`` alone.

    Its output is added to ``log``, ``environment`` to ours; it inherits the file descriptors
    ``keep_open``.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        *,
        keep_open: Sequence[int] = (),
    ) -> None:
        with log.open("ab") as output:
            output.write(f"$ {shlex.join(command)}\n".encode())
            output.flush()
            super().__init__(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,
                pass_fds=tuple(keep_open),
            )

    def stop(self) -> None:
        """Terminate the group; kill it after ten seconds."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.poll() is not None:
                return
            os.killpg(self.pid, number)
            try:
                self.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                continue


Launch = Callable[[Sequence[str], Path, Mapping[str, str]], Command]
"""(command, log, environment) -> process."""


def run_jobs(jobs: Sequence[Job], *, side_by_side: int = 1, launch: Launch = Command) -> list[str]:
    """Run what is not finished, show a progress bar, and print why jobs failed or cannot be run.

    An interrupt (KeyboardInterrupt) ends the running commands and is passed on. Each of ``jobs``
    comes after those that it needs.

    Returns:
        The names of the jobs that failed.
    """
    waiting = [job for job in jobs if not job.result.is_file()]
    running: list[tuple[Job, Iterator[None]]] = []
    failed: list[str] = []
    shown = None
    threads = max(1, len(os.sched_getaffinity(0)) // side_by_side)
    environment = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}

    def fail(job: Job, why: object) -> None:
        failed.append(job.name)
        tqdm.write(f"{job.name}: {why}", file=sys.stderr)

    with tqdm(total=len(jobs), unit="job", dynamic_ncols=True) as progress:
        try:
            while waiting or running:
                while job := _next_job(waiting, [job for job, _ in running], side_by_side):
                    waiting.remove(job)
                    running.append((job, _work(job, launch, environment)))
                if not running:  # and nothing can: the rest waits for what failed
                    for job in waiting:
                        missing = next(path for path in job.needs if not path.is_file())
                        fail(job, f"not run: it needs {missing}")
                    waiting.clear()
                before, running = len(running), _look(running, fail)
                progress.n = len(jobs) - len(waiting) - len(running)
                names = "; ".join(job.name for job, _ in running)
                if names != shown:
                    progress.set_postfix_str(shown := names)
                if before == len(running):
                    time.sleep(_POLL)
        finally:  # whatever happens, no command is left behind
            for _, work in running:
                work.close()
    return failed


def _look(
    running: list[tuple[Job, Iterator[None]]], fail: Callable[[Job, object], None]
) -> list[tuple[Job, Iterator[None]]]:
    """Look at every running job once; those that have not ended."""
    left = []
    for job, work in running:
        try:
            next(work)
            left.append((job, work))
        except StopIteration:
            pass
        except (ValueError, OSError) as error:
            fail(job, error)
    return left


def _next_job(waiting: Sequence[Job], running: Sequence[Job], slots: int) -> Job | None:
    """The next job that can be started. Costs are measured alone, after all others."""
    if len(running) == slots or any(job.kind == "cost" for job in running):
        return None
    ready = [job for job in waiting if all(path.is_file() for path in job.needs)]
    job = min(ready, key=lambda job: job.kind == "cost", default=None)
    return None if job and job.kind == "cost" and running else job


def _work(job: Job, launch: Launch, environment: Mapping[str, str]) -> Iterator[None]:
    """Run a job's commands one after the other; yields now and then while one runs."""
    job.folder.mkdir(parents=True, exist_ok=True)
    write_json(job.file("settings.json"), job.settings)
    variables = " ".join(f"{key}={value}" for key, value in environment.items())
    lines = [f"# in {Path.cwd()}", f"# with {variables}"]
    lines += [shlex.join(step.command) for step in job.steps]
    text = "".join(f"{line}\n" for line in lines)
    write_bytes(job.file("commands.txt"), text.encode(), overwrite=True)
    log = job.file("console.txt")  # log.txt is detectron2's
    for step in job.steps:
        if step.unless.exists():
            continue
        process = launch(step.command, log, environment)
        try:
            while (status := process.poll()) is None:
                yield
        except BaseException:  # also where the iterator is closed
            process.stop()
            raise
        if status:
            raise ChildProcessError(f"exit status {status}\n{_tail(log)}")
    if job.kind != "cost":
        write_result(job)
    elif not job.result.is_file():
        raise FileNotFoundError(f"the command left no {job.result}")


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    shown = "".join(f"  | {line[-300:]}\n" for line in lines[-_SHOWN:])
    return f"{shown}  all of it: {log}"
