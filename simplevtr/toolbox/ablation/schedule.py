"""Runs jobs: some side by side, each after the one that it needs, and none twice."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from statistics import fmean, median
from typing import Any

from simplevtr.formats.files import read_json, write_bytes, write_json
from simplevtr.formats.metrics import read_metrics
from simplevtr.terminal import USER_ERRORS, usable_cores
from simplevtr.toolbox.ablation.jobs import Job, refuse_changed_config

from tqdm import tqdm

FINAL_TERMS = ("loss_ce", "loss_bbox", "loss_giou", "loss_mask", "loss_dice")
"""Losses of the last decoder layer; comparable between different numbers of layers."""

_LAST_PART = 0.2  # of the iterations: what ``loss`` is the mean of
_POLL = 0.2  # seconds between two looks at the processes
_PATIENCE = 10.0  # seconds that a process has to end by itself
_SHOWN = 15  # last lines of a failed command


class RunningCommand(subprocess.Popen):
    """A command in a process group of its own, so that Ctrl-C reaches it through ``stop`` alone.

    Its output is added to ``log``, ``environment`` to ours; it inherits files that may be.
    """

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
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
                close_fds=False,
            )

    def stop(self) -> None:
        """Terminate the group; kill it after ten seconds."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.poll() is None:
                os.killpg(self.pid, number)
                with suppress(subprocess.TimeoutExpired):
                    self.wait(_PATIENCE)


def run_jobs(jobs: Sequence[Job], *, side_by_side: int = 1) -> list[str]:
    """Run what is not finished, show a progress bar, and print why jobs failed or cannot be run.

    An interrupt (KeyboardInterrupt) ends the running commands and is passed on. Each of ``jobs``
    comes after the one that it needs.

    Returns:
        The names of the jobs that failed.
    """
    waiting = [job for job in jobs if not job.result.is_file()]
    running: dict[Job, Generator[None, None, None]] = {}
    failed: list[str] = []
    shown = None
    threads = max(1, usable_cores() // side_by_side)
    environment = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}

    def fail(job: Job, why: object) -> None:
        failed.append(job.name)
        tqdm.write(f"{job.name}: {why}", file=sys.stderr)

    with tqdm(total=len(jobs), unit="job", dynamic_ncols=True) as progress:
        try:
            while True:
                ready = [job for job in waiting if job.needs is None or job.needs.is_file()]
                for job in islice(ready, side_by_side - len(running)):
                    waiting.remove(job)
                    running[job] = _work(job, environment)
                if not running:
                    break
                for job, work in [*running.items()]:
                    try:
                        if next(work, "ended") == "ended":
                            del running[job]
                    except USER_ERRORS as error:
                        del running[job]
                        fail(job, error)
                progress.n = len(jobs) - len(waiting) - len(running)
                if shown == (names := "; ".join(job.name for job in running)):
                    time.sleep(_POLL)
                else:
                    progress.set_postfix_str(shown := names)
        finally:  # whatever happens, no command is left behind
            for work in running.values():
                work.close()
        for job in waiting:
            fail(job, f"not run: it needs {job.needs}")
    return failed


def _work(job: Job, environment: Mapping[str, str]) -> Generator[None, None, None]:
    """Run a job's commands one after the other; yields now and then while one runs."""
    refuse_changed_config(job)
    job.folder.mkdir(parents=True, exist_ok=True)
    write_json(job.file("settings.json"), job.settings, overwrite=True, indent=1)
    variables = " ".join(f"{key}={value}" for key, value in environment.items())
    commands = [shlex.join(command) for command, _ in job.steps]
    text = "\n".join([f"# in {Path.cwd()}", f"# with {variables}", *commands, ""])
    write_bytes(job.file("commands.txt"), text.encode(), overwrite=True)
    log = job.file("console.txt")  # log.txt is detectron2's
    for command, unless in job.steps:
        if unless.exists():
            continue
        process = RunningCommand(command, log, environment)
        try:
            while (status := process.poll()) is None:
                yield
        except BaseException:  # also where the iterator is closed
            process.stop()
            raise
        if status:
            lines = log.read_text(errors="replace").splitlines()
            tail = "".join(f"  | {line[-300:]}\n" for line in lines[-_SHOWN:])
            raise ChildProcessError(f"exit status {status}\n{tail}  all of it: {log}")
    if job.seed is not None:
        result = {"name": job.run.name, "seed": job.seed, "commands": commands}
        if job.run.kind != "start":
            scores = read_json(job.folder / "scores.json")
            result |= {key: scores[key] for key in scores if key != "per_category"}
        if job.run.kind != "evaluate":
            result |= summarise_training(job.folder)
        write_json(job.result, result, overwrite=True, indent=1)
    elif not job.result.is_file():
        raise FileNotFoundError(f"the command left no {job.result}")


def summarise_training(folder: str | os.PathLike) -> dict[str, Any]:
    """Losses and times from a run's metrics.json.

    Returns:
        ``losses`` [[iteration, sum of the final-layer terms], ...], each the median of about 20
        iterations; ``loss`` their mean over the last fifth of the iterations; ``loss_first`` the
        first of them; ``iterations``; ``seconds_per_iteration``, the median, None if unknown.
    """
    curves = read_metrics(folder)
    terms = [dict(curves[name]) for name in FINAL_TERMS if name in curves]
    common = set.intersection(*map(set, terms)) if terms else ()
    losses = [[iteration, sum(term[iteration] for term in terms)] for iteration in sorted(common)]
    if not losses:
        raise ValueError(f"{Path(folder) / 'metrics.json'}: has none of {', '.join(FINAL_TERMS)}")
    total = losses[-1][0] + 1
    late = [value for iteration, value in losses if iteration + 1 > (1 - _LAST_PART) * total]
    times = [seconds for _, seconds in curves.get("time", [])]
    return {
        "loss": fmean(late),
        "loss_first": losses[0][1],
        "losses": losses,
        "iterations": total,
        "seconds_per_iteration": median(times) if times else None,
    }
