"""Stop training, evaluation and ``simplevtr segment`` again and again, go on, and compare the end.

    python datasets/make_embedded.py --variant easy
    python tests/kills.py --output output/kills

Each is run once undisturbed. Then runs of the same end at random moments: by SIGKILL, by SIGTERM,
and by a disk that is full (files cannot grow beyond a random size). The next run goes on with what
is there. What has been written must at any time be whole and equal, to the bit, to that of the
undisturbed run: weights of every checkpoint, results.json, results of every video. Counted as
lost is whatever is not, and what lacks at the end; no process may outlive its run.
"""

import argparse
import atexit
import hashlib
import itertools
import os
import random
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.command_line import benchmark, table
from benchmarks.synthetic import write_videos
from simplevtr.formats.files import check_output
from simplevtr.terminal import COUNT
from simplevtr.weights_file import read_checkpoint

ROOT = Path(__file__).resolve().parents[1]
FULL_DISK = "full disk"
WAYS = ("SIGKILL", "SIGTERM", FULL_DISK)
VIDEOS, FRAMES, SIZE = 6, 40, (64, 96)
LONGEST = 30.0  # seconds that the processes of a stopped run may live on

Results = dict[str, str]  # by name: a digest of its content


class End(NamedTuple):
    """How a run ended."""

    complete: bool  # by itself, with exit status 0
    seconds: float  # of work until then
    left_behind: bool  # processes of it lived on and had to be killed


@dataclass(frozen=True)
class Work:
    """A command that is stopped and run again."""

    name: str
    words: str  # after the interpreter; "{output}" is the folder it writes to
    results: Callable[[Path], Results]  # that lie in such a folder

    def run(self, output: Path, way: str = "", *, seconds: float = 0, size: int = 0) -> End:
        """Run it to its end, or to one of ``WAYS``.

        A signal comes after ``seconds`` of work, which begins once the run has locked its folder;
        on a full disk no file can have more than ``size`` bytes.
        """
        limit = None
        if way == FULL_DISK:  # Python ignores SIGXFSZ, so that writing fails with EFBIG
            limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (size, size))
        process = subprocess.Popen(
            [sys.executable, *shlex.split(self.words.format(output=shlex.quote(str(output))))],
            cwd=ROOT,
            stdout=subprocess.PIPE,  # what it prints counts for no disk
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=limit,
        )
        # If this command itself is stopped.
        atexit.register(lambda: process.poll() is None and os.killpg(process.pid, signal.SIGKILL))
        log, lock = output.with_suffix(".log"), output / ".lock"
        log.touch()
        threading.Thread(target=lambda: log.write_bytes(process.stdout.read())).start()
        while limit is None and process.poll() is None:
            if lock.is_file() and f"process {process.pid} " in lock.read_text():
                break
            time.sleep(0.05)
        begin = time.monotonic()
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds if way and limit is None else None)
        if process.returncode is None:
            process.send_signal(getattr(signal, way))
        status = process.wait()
        return End(status == 0, time.monotonic() - begin, not has_ended(process.pid))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def checkpoints(folder: Path) -> Results:
    """The weights of each; ValueError if one is not whole."""
    found = {}
    for path in folder.glob("model_*.pth"):
        weights = read_checkpoint(str(path))["model"]
        parts = (key.encode() + weights[key].numpy().tobytes() for key in sorted(weights))
        found[path.name] = _digest(b"".join(parts))
    return found


def results_files(folder: Path, done: str) -> Results:
    """results.json of each dataset or video, beside whose file ``done`` it lies."""
    return {
        path.parent.name: _digest(path.with_name("results.json").read_bytes())
        for path in folder.rglob(done)
    }


def works(place: Path) -> list[Work]:
    """The three, with their videos drawn."""
    write_videos(place / "videos", VIDEOS, FRAMES, SIZE)
    train = "train_net.py --resume --config-file configs/embedded/pixel_clips.yaml SEED 1"
    train += " MODEL.WEIGHTS demo/embedded_easy.pth SOLVER.IMS_PER_BATCH 2 SOLVER.MAX_ITER 16"
    train += " SOLVER.CHECKPOINT_PERIOD 3 DATASETS.TEST () OUTPUT_DIR {output}"
    evaluate = "train_net.py --eval-only --config-file configs/embedded/pretrained.yaml"
    evaluate += " TEST.OVERWRITE True OUTPUT_DIR {output}"
    segment = f"-m simplevtr segment {shlex.quote(str(place / 'videos'))} --output {{output}}"
    segment += " --config-file configs/embedded/pretrained.yaml"
    return [
        Work("train", train, checkpoints),
        Work("evaluate", evaluate, partial(results_files, done="results.json")),
        Work("segment", segment, partial(results_files, done="video.json")),
    ]


def has_ended(group: int) -> bool:
    """Whether no process of a session is left, after some patience."""
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    os.killpg(group, signal.SIGKILL)
    return False


def lost(work: Work, output: Path, expected: Results, *, complete: bool) -> list[str]:
    """What is not whole or not as expected."""
    try:
        found = work.results(output)
    except (OSError, ValueError) as error:
        return [str(error)]
    wrong = [name for name in found if found[name] != expected.get(name)]
    return wrong + [name for name in expected if complete and name not in found]


def endure(work: Work, place: Path, kills: int, rng: random.Random) -> list[dict[str, Any]]:
    """One row per way to stop the work. ValueError: it fails undisturbed."""
    place.mkdir()
    untouched, output = place / "undisturbed", place / "0"
    first = work.run(untouched)
    if not first.complete:
        raise ValueError(f"{work.name} fails undisturbed; see {untouched.with_suffix('.log')}")
    expected = work.results(untouched)
    largest = max(path.stat().st_size for path in untouched.rglob("*") if path.is_file())
    rows: list[dict[str, Any]] = [
        {"what": work.name, "stopped by": way, "times": 0, "lost": [], "left behind": 0}
        for way in WAYS
    ]
    for row in itertools.cycle(rows):
        count, way = sum(own["times"] for own in rows), row["stopped by"]
        last = count == kills  # which nothing stops
        limits = {"seconds": rng.uniform(0, first.seconds), "size": rng.randrange(largest)}
        end = work.run(output, "" if last else way, **limits)
        row["lost"] += lost(work, output, expected, complete=end.complete or last)
        row["left behind"] += end.left_behind
        if last:
            break
        if end.complete:
            shutil.rmtree(output)
        else:
            row["times"] += 1
            print(f"{work.name}: {count + 1} of {kills}, {way}", file=sys.stderr)
    return rows


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kills", type=COUNT, default=34, help="of each of the three (default 34)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--output", type=Path, default=Path("output/kills"), help="a new folder")


@benchmark(_add_options)
def main(args: argparse.Namespace) -> tuple[list[dict[str, Any]], str]:
    """Stop each of the three; what was lost or left behind is an error of its row."""
    place = args.output.absolute()
    check_output(place)
    place.mkdir(parents=True)
    rng, rows = random.Random(args.seed), []
    for work in works(place):
        rows += endure(work, place / work.name, args.kills, rng)
    for row in rows:
        if row["lost"] or row["left behind"]:
            row["error"] = f"see {place / row['what']}"
    return rows, table({**row, "lost": len(row["lost"])} for row in rows)


if __name__ == "__main__":
    sys.exit(main())
