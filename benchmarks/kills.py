"""Stop training, evaluation and ``simplevtr segment`` again and again, go on, and compare the end.

    python datasets/make_embedded.py --variant easy
    python benchmarks/kills.py --output output/kills

Each is run once undisturbed. Then runs of the same end at random moments: by SIGKILL, by SIGTERM,
and by a disk that is full (files cannot grow beyond a random size). The next run goes on with what
is there. What has been written must at any time be whole and equal, to the bit, to that of the
undisturbed run: weights of every checkpoint, results.json, results of every video. Counted as
lost is whatever is not, and what lacks at the end; no process may outlive its run.
"""

import argparse
import atexit
import hashlib
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
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.command_line import COUNT, benchmark, table
from benchmarks.synthetic import write_videos
from simplevtr.formats.files import check_output
from simplevtr.weights_file import read_checkpoint

ROOT = Path(__file__).resolve().parents[1]
WAYS = ("SIGKILL", "SIGTERM", "full disk")
VIDEOS, FRAMES, SIZE = 6, 40, (64, 96)
LONGEST = 30.0  # seconds that the processes of a stopped run may live on

Results = dict[str, str]  # by name: a digest of its content


@dataclass(frozen=True)
class Work:
    """A command that is stopped and run again."""

    name: str
    words: str  # after the interpreter; "{output}" is the folder it writes to
    results: Callable[[Path], Results]  # that lie in such a folder

    def start(self, output: Path, *, largest_file: int | None = None) -> subprocess.Popen:
        """Start it, in a session of its own, without or with a limit of bytes of a file.

        Without one, it has begun to work in its folder when this returns, or has ended.
        """
        limit = None
        if largest_file is not None:
            size = largest_file  # Python ignores SIGXFSZ, so that writing fails with EFBIG
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
        return process


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


def undisturbed(work: Work, output: Path) -> tuple[Results, float, int]:
    """What a run that nobody stops writes, its seconds of work, and the bytes of its largest file.

    ValueError: it fails.
    """
    process = work.start(output)
    begin = time.monotonic()
    if process.wait() != 0:
        raise ValueError(f"{work.name} fails undisturbed; see {output.with_suffix('.log')}")
    largest = max(path.stat().st_size for path in output.rglob("*") if path.is_file())
    return work.results(output), time.monotonic() - begin, largest


def stop(work: Work, output: Path, way: str, seconds: float, size: int) -> subprocess.Popen:
    """A run that ended by ``way``, if it was not faster: after ``seconds`` of work."""
    if way == "full disk":
        process = work.start(output, largest_file=size)
    else:
        process = work.start(output)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(getattr(signal, way))
    process.wait()
    return process


def lost(work: Work, output: Path, expected: Results, *, complete: bool) -> list[str]:
    """What is not whole or not as expected."""
    try:
        found = work.results(output)
    except (OSError, ValueError) as error:
        return [str(error)]
    wrong = [name for name in found if found[name] != expected.get(name)]
    return wrong + [name for name in expected if complete and name not in found]


def endure(work: Work, place: Path, kills: int, rng: random.Random) -> list[dict[str, Any]]:
    """One row per way to stop the work."""
    place.mkdir()
    expected, seconds, largest = undisturbed(work, place / "undisturbed")
    rows = {
        way: {"what": work.name, "stopped by": way, "times": 0, "lost": [], "left behind": 0}
        for way in WAYS
    }
    count = turn = 0
    output = place / "0"
    while True:
        way = WAYS[turn % len(WAYS)]
        turn += 1
        enough = count >= kills
        if enough:
            process = work.start(output)
            process.wait()
        else:
            moment, size = rng.uniform(0, seconds), rng.randrange(largest)
            process = stop(work, output, way, moment, size)
        complete = process.returncode == 0
        rows[way]["lost"] += lost(work, output, expected, complete=complete or enough)
        rows[way]["left behind"] += not has_ended(process.pid)
        if enough:
            return list(rows.values())
        if complete:
            shutil.rmtree(output)
        else:
            rows[way]["times"] += 1
            count += 1
            print(f"{work.name}: {count} of {kills}, {way}", file=sys.stderr)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kills", type=COUNT, default=34, help="of each of the three (default 34)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--output", type=Path, default=Path("output/kills"), help="a new folder")


@benchmark(_add_options)
def main(args: argparse.Namespace) -> tuple[list[dict[str, Any]], str, int]:
    """Stop each of the three; the exit status is 1 if anything was lost or left behind."""
    place = args.output.absolute()
    check_output(place)
    place.mkdir(parents=True)
    rng, rows = random.Random(args.seed), []
    for work in works(place):
        rows += endure(work, place / work.name, args.kills, rng)
    bad = any(row["lost"] or row["left behind"] for row in rows)
    return rows, table({**row, "lost": len(row["lost"])} for row in rows), int(bad)


if __name__ == "__main__":
    sys.exit(main())
