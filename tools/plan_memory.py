"""Find the clips that train and infer within a GPU's memory, and the config lines to use.

    python tools/plan_memory.py --gpu 11
    python tools/plan_memory.py --short-sides 300 360 --instances 3 10 --gpu 24 \\
        SOLVER.AMP.ENABLED True

Every figure is that of the config's own network, run on tensors without content, so no GPU is
needed and nothing can run out of memory. What a GPU needs beside PyTorch's tensors (its context,
cuDNN's workspaces, the allocator's gaps) is left free by --reserve. Training clips of more than
128 frames are not looked for. On a machine with a GPU one of
the answers is then run, and its peak is compared with the one that was expected.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installation too

from simplevtr import setup_cfg
from simplevtr.engine.memory_model import MemoryModel, most_frames

import torch
from tabulate import tabulate
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
CONFIG = "configs/youtubevis_2021/simplevtr_R50.yaml"
GIB = 2**30
# Longer training clips are not looked for: no YouTube-VIS video has more than 72 frames (A.2).
LONGEST_CLIP = 128
RECOMPUTE = "['backbone','encoder','mask_head']"
WAYS = {"": [], ", recomputed": ["MODEL.SIMPLEVTR.RECOMPUTE", RECOMPUTE]}


@dataclass(frozen=True)
class Answer:
    """One line of the table.

    Attributes:
        short: side of the frames in pixels; ``size`` is (H, W) of a 16 : 9 frame.
        instances: tracks of a clip in training.
        training: most frames of a training clip, by way; 0 if not even one fits.
        inference: most frames at a time in inference, with the masks of every slot.
        needed: bytes of the training step with as many frames as ``training[""]``.
    """

    short: int
    size: tuple[int, int]
    instances: int
    training: dict[str, int]
    inference: int
    needed: int


def plan(options: argparse.Namespace) -> list[Answer]:
    """Find the largest clips for every short side and number of instances."""
    cfgs = {
        way: setup_cfg(options.config_file, [*options.opts, *extra]) for way, extra in WAYS.items()
    }
    if cfgs[""].MODEL.SIMPLEVTR.QUERY_FRAMES:
        raise ValueError(
            "MODEL.SIMPLEVTR.QUERY_FRAMES fixes the number of frames; plan with QUERY_FRAMES 0 "
            "(the queries themselves take next to no memory) and set it to the answer"
        )
    models = {way: MemoryModel(cfg) for way, cfg in cfgs.items()}
    budget = (options.gpu - options.reserve) * GIB
    slots = cfgs[""].MODEL.SIMPLEVTR.NUM_QUERIES
    clips = cfgs[""].SOLVER.IMS_PER_BATCH
    answers = []
    cases = [(short, count) for short in options.short_sides for count in options.instances]
    for short, count in tqdm(cases, unit="case"):
        size = (short, round(short * 16 / 9))
        needs = {
            way: cache(
                lambda frames, model=model, size=size, count=count: model.training(
                    frames=frames, size=size, instances=count, clips=clips
                )
            )
            for way, model in models.items()
        }
        training = {
            way: most_frames(need, budget, at_most=LONGEST_CLIP) for way, need in needs.items()
        }
        inference = partial(models[""].inference, size=size, slots=slots)
        answers.append(
            Answer(
                short=short,
                size=size,
                instances=count,
                training=training,
                inference=most_frames(lambda frames, f=inference: f(frames=frames), budget),
                needed=needs[""](training[""]) if training[""] else 0,
            )
        )
    return answers


def table(answers: list[Answer]) -> str:
    """Frames by short side and instances."""
    rows = [
        (a.short, a.instances, *(a.training[way] or "-" for way in WAYS), a.inference or "-")
        for a in answers
    ]
    heads = ["short side", "instances", *(f"frames in training{way}" for way in WAYS)]
    return tabulate(rows, [*heads, "in inference"], tablefmt="github")


def config_lines(answer: Answer, way: str) -> str:
    """What to add to a config or a command line for an answer."""
    words = [
        f"INPUT.SAMPLING_FRAME_NUM {answer.training[way]}",
        f"INPUT.MIN_SIZE_TRAIN '({answer.short},)'",
        f"INPUT.MAX_SIZE_TRAIN {answer.size[1]}",
        f"TEST.WINDOW {answer.inference}",
    ]
    if WAYS[way]:
        words.append(f'{WAYS[way][0]} "{WAYS[way][1]}"')
    return " ".join(words)


def verify(answer: Answer, options: argparse.Namespace) -> str:
    """Run a training step of an answer on the GPU and compare its peak with the expected one.

    Raises:
        RuntimeError: if the step fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "step.json"
        words = [sys.executable, "benchmarks/training_step.py", "--json", str(path)]
        words += ["--config-file", str(Path(options.config_file).resolve())]
        words += ["--frames", str(answer.training[""]), "--size", *map(str, answer.size)]
        words += ["--instances", str(answer.instances), "--steps", "2", "--warmup", "1"]
        words += [*options.opts, "MODEL.DEVICE", "cuda"]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"the training step failed: {done.stderr[-1000:]}")
        peak = json.loads(path.read_text(encoding="utf-8"))["peak_bytes"]
    return (
        f"measured on {torch.cuda.get_device_name()}: {peak / GIB:.2f} GiB for "
        f"{answer.training['']} frames of {answer.size[0]} x {answer.size[1]}, expected "
        f"{answer.needed / GIB:.2f} ({100 * (answer.needed / peak - 1):+.1f} %)"
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status is 2 after a user's error."""
    options = _parser().parse_args(arguments)
    try:
        if options.gpu <= options.reserve or min(options.short_sides + options.instances) < 1:
            raise ValueError("--gpu must be more than --reserve, sides and instances at least 1")
        answers = plan(options)
        print(table(answers))
        best = next((a for a in answers if a.training[""]), None)
        if best is None:
            print(f"no clip of one frame trains in {options.gpu} GiB at these sizes")
            return 1
        for way in WAYS:
            print(f"\nfor {best.instances} instances of side {best.short}{way}:")
            print(f"  {config_lines(best, way)}")
        if torch.cuda.is_available():
            print(verify(best, options))
        else:
            print("\nnot verified: PyTorch finds no GPU here")
    except (ValueError, KeyError, OSError, RuntimeError) as error:
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        print(f"plan_memory.py: error: {message}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gpu", type=float, required=True, metavar="GB", help="its memory, GiB")
    parser.add_argument(
        "--reserve", type=float, default=1.0, metavar="GB", help="GiB to leave free (default 1)"
    )
    parser.add_argument("--config-file", default=CONFIG, metavar="YAML")
    parser.add_argument("--short-sides", type=int, nargs="+", default=[300, 360, 480])
    parser.add_argument("--instances", type=int, nargs="+", default=[3, 10], help="in a clip")
    parser.add_argument("opts", nargs="*", metavar="KEY VALUE", help="config keys and values")
    return parser


if __name__ == "__main__":
    sys.exit(main())
