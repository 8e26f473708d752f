"""Runs jobs: some side by side, each after those that it needs, and none twice."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from simplevtr.ablation.results import settings_file, write_json, write_result
from simplevtr.ablation.steps import Job
from simplevtr.formats.files import write_bytes

_POLL = 0.2  # seconds between two looks at the processes
_PATIENCE = 10.0  # seconds that a process has to end by itself
_SHOWN = 15  # last lines of a failed command


Launch = Callable[[Sequence[str], Path, Mapping[str, str]], "Command"]
"""(command, file that its output is added to, environment variables on top of ours) -> process."""


class Command:
    """A command in a process group of its own, so that Ctrl-C reaches it through ``stop`` alone."""

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
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,
                pass_fds=tuple(keep_open),
            )

    def poll(self) -> int | None:
        """The exit status; None while it runs."""
        return self._process.poll()

    def stop(self) -> None:
        """Terminate the group; kill it after ten seconds."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is not None:
                return
            os.killpg(self._process.pid, number)
            try:
                self._process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                continue


@dataclass
class _Running:
    job: Job
    process: Command
    rest: list[tuple[str, ...]] = field(default_factory=list)


class Schedule:
    """Runs jobs.

    Args:
        jobs: each after those that it needs.
        side_by_side: how many run at the same time.
        launch: starts a command.
        on_change: called with the running jobs' names and the number of those that have ended.
        on_failure: called with a message for each job that failed or cannot be run.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        *,
        side_by_side: int = 1,
        launch: Launch = Command,
        on_change: Callable[[list[str], int], None] = lambda names, ended: None,
        on_failure: Callable[[str], None] = lambda message: None,
    ) -> None:
        self._waiting = [job for job in jobs if not job.result.is_file()]
        self._ended = len(jobs) - len(self._waiting)
        self._running: list[_Running] = []
        self._slots = side_by_side
        self._launch = launch
        self._on_change = on_change
        self._on_failure = on_failure
        self.failed: list[str] = []
        threads = max(1, len(os.sched_getaffinity(0)) // side_by_side)
        self._environment = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}

    def run(self) -> bool:
        """Run all jobs; whether all succeeded.

        An interrupt (KeyboardInterrupt) ends the running commands and is passed on.
        """
        try:
            while self._waiting or self._running:
                self._fill()
                if self._running:
                    self._collect()
        finally:  # whatever happens, no command is left behind
            for running in self._running:
                running.process.stop()
        self._report()
        return not self.failed

    def _fill(self) -> None:
        """Start what can be started, in the order of the jobs."""
        while (job := self._next()) is not None:
            self._waiting.remove(job)
            self._start(job)
        if not self._running:  # and nothing can: the rest waits for what failed
            for job in self._waiting:
                missing = next(path for path in job.needs if not path.is_file())
                self._fail(job, f"not run: it needs {missing}")
            self._waiting.clear()

    def _next(self) -> Job | None:
        """The next job that can be started; those that run alone come after all others."""
        if len(self._running) == self._slots or any(r.job.alone for r in self._running):
            return None
        ready = [job for job in self._waiting if all(path.is_file() for path in job.needs)]
        ready.sort(key=lambda job: job.alone)
        return None if not ready or (ready[0].alone and self._running) else ready[0]

    def _start(self, job: Job) -> None:
        job.folder.mkdir(parents=True, exist_ok=True)
        write_json(settings_file(job), job.settings)
        _write_commands(job, self._environment)
        steps = [step.command for step in job.steps if step.needed()]
        if steps:
            process = self._launch(steps[0], _log(job), self._environment)
            self._running.append(_Running(job, process, steps[1:]))
        else:
            self._finish(job)
        self._report()

    def _collect(self) -> None:
        """Look at every running command once, after a moment."""
        statuses = [running.process.poll() for running in self._running]
        if all(status is None for status in statuses):
            time.sleep(_POLL)
            return
        for running, status in zip(list(self._running), statuses, strict=True):
            if status is None:
                continue
            if status == 0 and running.rest:
                command = running.rest.pop(0)
                running.process = self._launch(command, _log(running.job), self._environment)
                continue
            self._running.remove(running)
            if status:
                self._fail(running.job, f"exit status {status}\n{_tail(_log(running.job))}")
            else:
                self._finish(running.job)
        self._report()

    def _finish(self, job: Job) -> None:
        try:
            if job.seed is not None:
                write_result(job)
            elif not job.result.is_file():
                raise FileNotFoundError(f"the command left no {job.result}")
        except (ValueError, OSError) as error:
            self._fail(job, str(error))
        else:
            self._ended += 1

    def _fail(self, job: Job, message: str) -> None:
        self.failed.append(job.name)
        self._ended += 1
        self._on_failure(f"{job.name}: {message}")

    def _report(self) -> None:
        self._on_change([running.job.name for running in self._running], self._ended)


def _log(job: Job) -> Path:
    # detectron2 keeps a log.txt of its own in the folder of a training.
    return job.folder / ("cost_console.txt" if job.seed is None else "console.txt")


def _write_commands(job: Job, environment: Mapping[str, str]) -> None:
    variables = " ".join(f"{key}={value}" for key, value in environment.items())
    lines = [f"# in {Path.cwd()}", f"# with {variables}"]
    lines += [shlex.join(step.command) for step in job.steps]
    path = job.folder / ("cost_commands.txt" if job.seed is None else "commands.txt")
    write_bytes(path, ("\n".join(lines) + "\n").encode(), overwrite=True)


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    shown = "".join(f"  | {line[-300:]}\n" for line in lines[-_SHOWN:])
    return f"{shown}  all of it: {log}"
