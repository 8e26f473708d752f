"""SimpleVTR and its peers, each trained for as many CPU seconds on the embedded `easy` dataset.

    python benchmarks/peers/compare.py --budget 1100 --seeds 0 1 2 --page docs/peers.md

`make peers` sets up both environments, makes the dataset and runs this. Each run has a folder,
OUTPUT/SYSTEM/seed_N; what is finished there is not done again, an interrupted training begins anew.
A training that took more than 1.05 of the budget is not shown. What fails is named, the other runs
go on, and the exit status is 1.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.command_line import COUNT, NATURAL, machine
from benchmarks.peers.page import page
from simplevtr.engine.run_folder import only_run_in
from simplevtr.evaluation.analysis.hota import score_hota, trackeval_hota
from simplevtr.evaluation.ytvis_eval import evaluate_tracks
from simplevtr.formats.files import read_json, write_bytes
from simplevtr.formats.results import load_results
from simplevtr.formats.ytvis import GroundTruth, load_annotated
from simplevtr.terminal import command, number, say

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("DETECTRON2_DATASETS", "datasets")) / "embedded/easy"
CONFIGS = {"paper": ("frames", "clips"), "pixel": ("pixel_frames", "pixel_clips")}  # the stages
# Title and licence of the code; the scripts of the peers have an environment of their own.
SYSTEMS = {
    "paper": ("SimpleVTR, paper's head", "Apache-2.0"),
    "pixel": ("SimpleVTR, pixel head", "Apache-2.0"),
    "mask2former": ("Mask2Former + MinVIS", "Apache-2.0"),
    "yolo": ("YOLO11n-seg + BoT-SORT", "AGPL-3.0"),
}
PEERS_PYTHON = ROOT / ".venv-peers/bin/python"
TOLERANCE = 1.05
THRESHOLDS = [tenth / 10 for tenth in range(1, 10)]  # least scores of the tracks that HOTA takes


def finished(name: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """The figures of a run; what is not done yet is done first.

    ValueError, OSError or subprocess.SubprocessError if the environment is missing, a step fails,
    the training took too long, or the folder holds one of other settings.
    """
    folder = args.output / name / f"seed_{seed}"
    result: dict[str, Any] = {"name": name, "seed": seed}
    for step in ("train", "predict"):
        path = folder / f"{step}.json"
        if not path.is_file():
            run_step(step, name, folder, seed, args)
        result[step] = read_json(path)
        check_settings(result["train"], folder, args)
    path = folder / "result.json"
    if not path.is_file():
        result["scores"] = score(folder)
        python = sys.version.split()[0]
        result["machine"] = f"{machine('cpu')}, {os.cpu_count()} cores, Python {python}"
        write_bytes(path, json.dumps(result, indent=1).encode())
    return read_json(path)


def run_step(step: str, name: str, folder: Path, seed: int, args: argparse.Namespace) -> None:
    """Run a step of a system in a process of its own, which shows its progress."""
    python = Path(sys.executable) if name in CONFIGS else PEERS_PYTHON
    if not python.is_file():
        raise FileNotFoundError(f"{python}: no such interpreter; make peers sets it up")
    folder.mkdir(parents=True, exist_ok=True)
    words: list[object] = [python, "-m", "benchmarks.peers.protocol"]
    words += ["ours" if name in CONFIGS else name, step, "--data", DATA, "--folder", folder]
    words += ["--seed", seed, "--budget", args.budget, "--threads", args.threads]
    words += ["--stages", *CONFIGS.get(name, ())]
    variables = {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", "YOLO_OFFLINE": "true"}
    variables |= {"OMP_NUM_THREADS": str(args.threads), "OMP_WAIT_POLICY": "passive"}
    variables["YOLO_CONFIG_DIR"] = str(args.output.resolve())
    say(f"{name}, seed {seed}: {step}", sys.stderr)
    subprocess.run([str(word) for word in words], check=True, env=os.environ | variables)


def check_settings(train: dict[str, Any], folder: Path, args: argparse.Namespace) -> None:
    """ValueError if a training had other settings than ``args`` or took too long."""
    budget, threads, seconds = (train[key] for key in ("budget", "threads", "cpu_seconds"))
    if (budget, threads) != (args.budget, args.threads):
        found = f"has a training with --budget {budget:g} --threads {threads}"
    elif seconds > TOLERANCE * budget:
        found = f"has a training of {seconds:,.0f} CPU seconds, above {TOLERANCE} x {budget:,g}"
    else:
        return
    raise ValueError(f"{folder} {found}: delete it, or choose another --output")


@cache
def truth(split: str) -> GroundTruth:
    """The annotations of a split."""
    return load_annotated(DATA / f"{split}.json")


def score(folder: Path) -> dict[str, dict[str, float]]:
    """AP and AP50 of both splits; with TrackEval HOTA, at the least score that is best on val."""
    tracks = {key: load_results(folder / f"{key}.json", truth(key)) for key in ("val", "long")}
    scores = {}
    for split, found in tracks.items():
        stats = evaluate_tracks(truth(split), found).stats
        scores[split] = {name: stats[name] for name in ("AP", "AP50")}
    try:
        trackeval_hota()
    except ValueError:
        return scores

    def hota(split: str, least: float) -> float:
        found = score_hota(truth(split), tracks[split], score_threshold=least)
        return found.all_masks["HOTA"]

    best = max(THRESHOLDS, key=lambda least: hota("val", least))
    return {key: own | {"HOTA": hota(key, best), "HOTA from": best} for key, own in scores.items()}


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS), help="default: all")
    add("--seeds", nargs="+", type=NATURAL, default=[0, 1, 2], help="default: 0 1 2")
    add("--budget", type=number(above=0), default=1100.0, help="CPU seconds of each training")
    add("--threads", type=COUNT, default=1, help="of each process (default 1)")
    add("--output", type=Path, default=Path("output/peers"), help="folder of the runs")
    add("--page", type=Path, default=Path("output/peers/peers.md"), help="what is written of them")


@command(_add_options)
def main(args: argparse.Namespace) -> int:
    """Do what is missing and write the page; 1 if something is not shown."""
    for split in ("train", "val", "long"):
        if not (path := DATA / f"{split}.json").is_file():
            raise FileNotFoundError(f"{path}: no such file; datasets/make_embedded.py makes it")
    runs, problems = [], []
    with only_run_in(str(args.output)):
        for name, seed in [(name, seed) for seed in args.seeds for name in args.systems]:
            try:
                runs.append(finished(name, seed, args))
            except (ValueError, OSError, subprocess.SubprocessError) as error:
                problems.append(f"{name}, seed {seed}: {error}")
                say(problems[-1], sys.stderr)
    words = ["--systems", *args.systems, "--seeds", *args.seeds, "--budget", f"{args.budget:g}"]
    words += ["--threads", args.threads, "--output", args.output, "--page", args.page]
    text = page(
        runs,
        SYSTEMS,
        problems,
        command=shlex.join(["python", "benchmarks/peers/compare.py", *map(str, words)]),
        budget=args.budget,
        threads=args.threads,
        configs=" and ".join("`" + "`, `".join(stages) + "`" for stages in CONFIGS.values()),
    )
    write_bytes(args.page, text.encode(), overwrite=True)
    say(text)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
