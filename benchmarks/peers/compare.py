"""SimpleVTR and its peers, each trained for as many CPU seconds on the embedded `easy` dataset.

    python benchmarks/peers/compare.py --budget 1100 --seeds 0 1 2 --page docs/peers.md

`make peers` sets up both environments, makes the dataset and runs this. Each run has a folder,
OUTPUT/SYSTEM/seed_N; what is finished there is not done again, an interrupted training begins anew.
A training that took more than 1.05 of the budget is not shown. What fails is named, the other runs
go on, and the exit status is 1.
"""

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.command_line import machine
from simplevtr.engine.run_folder import only_run_in
from simplevtr.evaluation.analysis.hota import score_hota, trackeval_hota
from simplevtr.evaluation.ytvis_eval import evaluate_tracks
from simplevtr.formats.files import check_output, read_json, write_bytes, write_json
from simplevtr.formats.paths import datasets_root
from simplevtr.formats.results import load_results
from simplevtr.formats.ytvis import load_annotated
from simplevtr.terminal import COUNT, NATURAL, command, markdown_table, number, one_line, say

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(datasets_root()) / "embedded/easy"
CONFIGS = {"paper": ("frames", "clips"), "pixel": ("pixel_frames", "pixel_clips")}  # the stages
# Title and licence of the code; the scripts of the peers have an environment of their own.
SYSTEMS = {
    "paper": ("SimpleVTR, paper's head", "Apache-2.0"),
    "pixel": ("SimpleVTR, pixel head", "Apache-2.0"),
    "mask2former": ("Mask2Former + MinVIS", "Apache-2.0"),
    "yolo": ("YOLO11n-seg + BoT-SORT", "AGPL-3.0"),
}
PEERS_PYTHON = ROOT / ".venv-peers/bin/python"
STAMP = "embedded.json"  # the settings that the dataset was made with
TOLERANCE = 1.05
THRESHOLDS = [tenth / 10 for tenth in range(1, 10)]  # least scores of the tracks that HOTA takes
TEXT = Path(__file__).with_name("page.md")
# The columns of the page: their titles, the figures in them, and the format of those.
COLUMNS = [
    ("val AP / AP50", ("val AP", "val AP50"), ".1f"),
    ("long AP / AP50", ("long AP", "long AP50"), ".1f"),
    ("HOTA, val / long", ("val HOTA", "long HOTA"), ".1f"),
    ("CPU ms per frame, val / long", ("val ms", "long ms"), ".1f"),
    ("peak MiB, training / inference", ("train MiB", "predict MiB"), ",.0f"),
    ("MB in half precision", ("MB",), ".1f"),
    ("parameters (M)", ("parameters",), ".2f"),
    ("CPU s of training", ("CPU s",), ",.0f"),
]


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
        write_json(path, result, indent=1)
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
    """ValueError if a training had other settings or another dataset, or took too long."""
    wanted = {"budget": args.budget, "threads": args.threads, "dataset": read_json(DATA / STAMP)}
    other = [f"{key} {train[key]}" for key in wanted if train.get(key, wanted[key]) != wanted[key]]
    if other:
        found = f"has a training with {', '.join(other)}"
    elif (seconds := train["cpu_seconds"]) > TOLERANCE * args.budget:
        limit = f"{TOLERANCE} x {args.budget:,g}"
        found = f"has a training of {seconds:,.0f} CPU seconds, above {limit}"
    else:
        return
    raise ValueError(f"{folder} {found}: delete it, or choose another --output")


def score(folder: Path) -> dict[str, dict[str, float]]:
    """AP and AP50 of both splits; with TrackEval HOTA, at the least score that is best on val."""
    truth = {key: load_annotated(DATA / f"{key}.json") for key in ("val", "long")}
    tracks = {key: load_results(folder / f"{key}.json", truth[key]) for key in truth}
    scores = {}
    for split, found in tracks.items():
        stats = evaluate_tracks(truth[split], found).stats
        scores[split] = {name: stats[name] for name in ("AP", "AP50")}
    try:
        trackeval_hota()
    except ValueError:
        return scores

    def hota(split: str, least: float) -> float:
        return score_hota(truth[split], tracks[split], score_threshold=least).all_masks["HOTA"]

    best = max(THRESHOLDS, key=lambda least: hota("val", least))
    return {key: own | {"HOTA": hota(key, best), "HOTA from": best} for key, own in scores.items()}


def figures(run: dict[str, Any]) -> dict[str, float | None]:
    """The figures of a result file by name; None for HOTA without TrackEval."""
    train, predict = run["train"], run["predict"]
    found: dict[str, float | None] = {"CPU s": train["cpu_seconds"]}
    for split, scores in run["scores"].items():
        found |= {f"{split} {metric}": scores.get(metric) for metric in ("AP", "AP50", "HOTA")}
        found[f"{split} ms"] = predict["milliseconds"][split]
    found |= {f"{step} MiB": run[step]["peak_bytes"] / 2**20 for step in ("train", "predict")}
    return found | {"MB": predict["half_bytes"] / 1e6, "parameters": predict["parameters"] / 1e6}


def cells(
    found: Sequence[dict[str, float | None]], how: Callable[[Sequence[float]], float]
) -> list[str]:
    """The cells of a row that has one value, made by ``how``, of those of several runs."""

    def shown(name: str, form: str) -> str:
        values = [run[name] for run in found]
        return "-" if None in values else f"{how(values):{form}}"

    return [" / ".join(shown(name, form) for name in names) for _, names, form in COLUMNS]


def page(runs: Sequence[dict[str, Any]], problems: Sequence[str], args: argparse.Namespace) -> str:
    """The text of page.md with the figures of the content of result files, and what failed."""
    rows, seeds = [], []
    for name, (title, licence) in SYSTEMS.items():
        found = {run["seed"]: figures(run) for run in runs if run["name"] == name}
        if not found:
            continue
        every = [*found.values()]
        rows.append([title, licence, str(len(found)), *cells(every, median)])
        seeds += [[title, str(seed), *cells([run], max)] for seed, run in found.items()]
        seeds.append([title, "spread", *cells(every, lambda own: max(own) - min(own))])
    heads = [title for title, *_ in COLUMNS]
    versions = {k: v for run in runs for k, v in run["train"]["versions"].items()}
    words = ["--systems", *args.systems, "--seeds", *args.seeds, "--budget", f"{args.budget:g}"]
    words += ["--threads", args.threads, "--output", args.output, "--page", args.page]
    text = TEXT.read_text(encoding="utf-8").format(
        command=shlex.join(["python", "benchmarks/peers/compare.py", *map(str, words)]),
        budget=args.budget,
        threads=args.threads,
        configs=" and ".join("`" + "`, `".join(stages) + "`" for stages in CONFIGS.values()),
        machine="; ".join(sorted({run["machine"] for run in runs})),
        table=markdown_table(["system", "licence", "seeds", *heads], rows, left=2),
        versions=", ".join(f"{k} {v}" for k, v in sorted(versions.items())),
        seeds=markdown_table(["system", "seed", *heads], seeds),
    )
    if problems:
        text += "\n## Not shown\n\n" + "".join(f"* {one_line(problem)}\n" for problem in problems)
    return text


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
    check_output(args.page, overwrite=True, suffixes=(".md",))
    for name in ("train.json", "val.json", "long.json", STAMP):
        if not (path := DATA / name).is_file():
            raise FileNotFoundError(f"{path}: no such file; datasets/make_embedded.py makes it")
    runs, problems = [], []
    with only_run_in(str(args.output)):
        for name, seed in [(name, seed) for seed in args.seeds for name in args.systems]:
            try:
                runs.append(finished(name, seed, args))
            except (ValueError, OSError, subprocess.SubprocessError) as error:
                problems.append(f"{name}, seed {seed}: {error}")
                say(problems[-1], sys.stderr)
    text = page(runs, problems, args)
    write_bytes(args.page, text.encode(), overwrite=True)
    say(text)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
