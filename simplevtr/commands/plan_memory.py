"""Find the clips that train and infer within a GPU's memory, and the config lines to use.

    python tools/plan_memory.py --gpu 11
    python tools/plan_memory.py --short-sides 300 360 --instances 3 10 --gpu 24 \\
        SOLVER.AMP.ENABLED True

The config's own network runs on short clips of tensors without content, so no GPU is needed and
nothing can run out of memory. While one part of it works, memory grows evenly with the frames and
the instances; longer clips follow from that, part by part. What a GPU needs in addition to
PyTorch's tensors (its context, cuDNN's workspaces, the allocator's gaps) is left free by --reserve.

On a machine with a GPU the answers whose config lines are printed are trained for a step, and the
peaks are compared with what was expected; the exit status is 1 if one is off by more than 10 %.
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from typing import TYPE_CHECKING

from simplevtr.terminal import COUNT, command, counted, number, say

if TYPE_CHECKING:  # it takes seconds to import
    from simplevtr.toolbox.planner import Answer, Planner

CONFIG = "configs/youtubevis_2021/simplevtr_R50.yaml"
ALLOWED_ERROR = 0.1


def verify(planner: Planner, answer: Answer, args: argparse.Namespace) -> bool:
    """Train a step of an answer each way on the GPU; whether all peaks are as expected."""
    from benchmarks.measure import in_fresh_process
    from benchmarks.training_step import measure_words

    import torch

    fine, gib = True, 2**30
    for way in answer.ways:
        words = ["--config-file", args.config_file, "--steps", "2", "--warmup", "1", "--expected"]
        words += ["--frames", str(answer.training[way]), "--size", *map(str, answer.size)]
        words += ["--instances", str(answer.instances), *args.opts, *planner.ways[way]]
        words += ["MODEL.DEVICE", "cuda", "SOLVER.EMA_DECAY", "0"]  # a step keeps no average
        figures = in_fresh_process(measure_words, words)
        found, expected = figures["peak_bytes"], figures["expected_bytes"]
        error = expected / found - 1
        fine = fine and abs(error) <= ALLOWED_ERROR
        say(
            f"measured on {torch.cuda.get_device_name()}{way}: {found / gib:.2f} GiB for "
            f"{answer.training[way]} frames, expected {expected / gib:.2f} ({100 * error:+.1f} %)"
        )
    return fine


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--gpu", type=number(above=0), required=True, metavar="GIB", help="its memory in GiB")
    add("--reserve", type=number(least=0), default=1.0, metavar="GIB", help="left free (1)")
    add("--config-file", default=CONFIG, metavar="YAML")
    add("--short-sides", type=number(int, least=2), nargs="+", default=[300, 360, 480])
    add("--instances", type=COUNT, nargs="+", default=[3, 10], help="in a clip")
    longest = "most frames to plan for (default 128; no YouTube-VIS video has more than 72); + in"
    longest += " the table: more may fit"
    add("--longest", type=COUNT, default=128, metavar="T", help=longest)
    add("opts", nargs="*", metavar="KEY VALUE", help="config keys and values")


@command(_add_options, errors=(RuntimeError,))
def main(args: argparse.Namespace) -> int:
    """Print what fits; 1 if nothing does or what fits is not verified."""
    from simplevtr.toolbox.planner import Planner, config_lines, table

    import torch

    planner = Planner(args)
    answers = planner.answers()
    say(table(answers, args.longest))
    best = next((answer for answer in answers if answer.ways), None)
    if best is None:
        say(f"no clip of one frame trains in {args.gpu} GiB at these sizes")
        return 1
    say(
        f"\nMiB at the worst moment of each part, for frames of {best.size[0]} x {best.size[1]};\n"
        "a training step needs the largest fixed + frames x (a frame + instances x an instance):"
        f"\n\n{planner.parts(best)}"
    )
    for way in best.ways:
        tracks, clips = counted(best.instances, "instances"), counted(planner.clips, "clips")
        step = f"{clips} a step on the GPU (SOLVER.IMS_PER_BATCH)"
        say(f"\nfor {tracks} of side {best.size[0]}, {step}{way}:")
        say(f"  {config_lines(best, way, planner.ways[way])}")
    missing = None if torch.cuda.is_available() else "PyTorch finds no GPU here"
    if find_spec("benchmarks") is None:
        missing = "the benchmarks that do it are in a clone of the repository"
    if missing:
        say(f"\nnot verified: {missing}")
        return 0
    return 0 if verify(planner, best, args) else 1
