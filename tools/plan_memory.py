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

import argparse
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installation too

from benchmarks.measure import in_fresh_process
from benchmarks.training_step import measure_words
from simplevtr import setup_cfg
from simplevtr.head_keys import RECOMPUTABLE
from simplevtr.terminal import command_parser, markdown_table, number, run_command
from simplevtr.toolbox.planner import MemoryModel, MemoryPlan

import torch
from tqdm import tqdm

CONFIG = "configs/youtubevis_2021/simplevtr_R50.yaml"
MIB, GIB = 2**20, 2**30
RECOMPUTED = ", recomputed"
ALLOWED_ERROR = 0.1


@dataclass(frozen=True)
class Answer:
    """One line of the table."""

    size: tuple[int, int]  # (H, W) of a 16 : 9 frame
    instances: int  # tracks of a clip in training
    training: dict[str, int]  # most frames of a training clip, by way; 0 if not even one fits
    inference: int  # most frames at a time in inference, with the masks of every slot

    @property
    def ways(self) -> list[str]:
        """The ways in which a clip trains."""
        return [way for way, frames in self.training.items() if frames]


class Planner:
    """A config's models, plain and recomputed, and a GPU's memory."""

    def __init__(self, args: argparse.Namespace) -> None:
        """Build the models without their memory; ValueError if they cannot be planned for."""
        cfg = setup_cfg(args.config_file, args.opts)
        if args.gpu <= args.reserve:
            raise ValueError(f"--gpu {args.gpu} must be more than --reserve {args.reserve}")
        most, slots = max(args.instances), cfg.MODEL.SIMPLEVTR.NUM_QUERIES
        if most > slots:
            raise ValueError(f"--instances {most}, but MODEL.SIMPLEVTR.NUM_QUERIES is {slots}")
        if cfg.MODEL.SIMPLEVTR.QUERY_FRAMES:
            raise ValueError(
                "MODEL.SIMPLEVTR.QUERY_FRAMES fixes the number of frames; plan with QUERY_FRAMES 0 "
                "(the queries themselves take next to no memory) and set it to the answer"
            )
        parts = list(RECOMPUTABLE[cfg.MODEL.SIMPLEVTR.HEAD])
        self._args, self._slots, clips = args, slots, cfg.SOLVER.IMS_PER_BATCH
        # A way's config keys and values.
        self.ways = {"": [], RECOMPUTED: ["MODEL.SIMPLEVTR.RECOMPUTE", str(parts)]}
        self._models = {
            way: MemoryModel(setup_cfg(args.config_file, [*args.opts, *words]))
            for way, words in self.ways.items()
        }
        self._plans = {  # nothing is measured yet
            (size, way): MemoryPlan(partial(model.training, size=size, clips=clips))
            for size in ((short, round(short * 16 / 9)) for short in args.short_sides)
            for way, model in self._models.items()
        }

    def answers(self) -> list[Answer]:
        """The largest clips for every short side and number of instances."""
        budget = (self._args.gpu - self._args.reserve) * GIB

        def most(plan: MemoryPlan, instances: int) -> int:
            return plan.most_frames(budget, instances, at_most=self._args.longest)

        answers = []
        for size in tqdm(dict.fromkeys(size for size, _ in self._plans), unit="size"):
            plan = MemoryPlan(partial(self._models[""].inference, size=size))
            inference = most(plan, self._slots)
            for count in self._args.instances:
                training = {way: most(self._plans[size, way], count) for way in self.ways}
                answers.append(Answer(size, count, training, inference))
        return answers

    def parts(self, answer: Answer) -> str:
        """A table of what each part of a training step needs, from which an answer follows."""
        ways = [self._plans[answer.size, way].parts(answer.instances) for way in self.ways]
        needs = {part: [need for way in ways for need in way[part]] for part in ways[0]}
        rows = [[part, *(f"{need / MIB:,.1f}" for need in row)] for part, row in needs.items()]
        heads = [
            f"{head}{way}" for way in self.ways for head in ("fixed", "a frame", "an instance")
        ]
        return markdown_table(["while this works", *heads], rows)


def table(answers: list[Answer], longest: int) -> str:
    """Frames by short side and instances; a plus sign where more than ``longest`` may fit."""
    rows = []
    for answer in answers:
        counts = [*answer.training.values(), answer.inference]
        cells = [f"{count}+" if count == longest else count or "-" for count in counts]
        rows.append([answer.size[0], answer.instances, *cells])
    heads = ["short side", "instances", "frames in training", f"frames in training{RECOMPUTED}"]
    return markdown_table([*heads, "in inference"], rows)


def config_lines(answer: Answer, way: str, recompute: list[str]) -> str:
    """What to add to a config or a command line for an answer."""
    more = ' {} "{}"'.format(*recompute) if recompute else ""
    return (
        f"INPUT.SAMPLING_FRAME_NUM {answer.training[way]} INPUT.MIN_SIZE_TRAIN "
        f"'({answer.size[0]},)' INPUT.MAX_SIZE_TRAIN {answer.size[1]} "
        f"TEST.WINDOW {answer.inference}{more}"
    )


def verify(planner: Planner, answer: Answer, args: argparse.Namespace) -> bool:
    """Train a step of an answer each way on the GPU; whether all peaks are as expected."""
    fine = True
    for way in answer.ways:
        words = ["--config-file", args.config_file, "--steps", "2", "--warmup", "1", "--expected"]
        words += ["--frames", str(answer.training[way]), "--size", *map(str, answer.size)]
        words += ["--instances", str(answer.instances), *args.opts, *planner.ways[way]]
        figures = in_fresh_process(measure_words, [*words, "MODEL.DEVICE", "cuda"])
        found, expected = figures["peak_bytes"], figures["expected_bytes"]
        error = expected / found - 1
        fine = fine and abs(error) <= ALLOWED_ERROR
        print(
            f"measured on {torch.cuda.get_device_name()}{way}: {found / GIB:.2f} GiB for "
            f"{answer.training[way]} frames, expected {expected / GIB:.2f} ({100 * error:+.1f} %)"
        )
    return fine


def run(args: argparse.Namespace) -> int:
    """Print what fits; 1 if nothing does or what fits is not verified."""
    planner = Planner(args)
    answers = planner.answers()
    print(table(answers, args.longest))
    best = next((answer for answer in answers if answer.ways), None)
    if best is None:
        print(f"no clip of one frame trains in {args.gpu} GiB at these sizes")
        return 1
    print(
        f"\nMiB at the worst moment of each part, for frames of {best.size[0]} x {best.size[1]};\n"
        "a training step needs the largest fixed + frames x (a frame + instances x an instance):"
        f"\n\n{planner.parts(best)}"
    )
    for way in best.ways:
        print(f"\nfor {best.instances} instances of side {best.size[0]}{way}:")
        print(f"  {config_lines(best, way, planner.ways[way])}")
    if torch.cuda.is_available():
        return 0 if verify(planner, best, args) else 1
    print("\nnot verified: PyTorch finds no GPU here")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status is 1 if nothing fits or is verified, 2 after an error."""
    parser, count = command_parser(__file__, __doc__), number(int, least=1)
    add = parser.add_argument
    add("--gpu", type=float, required=True, metavar="GB", help="its memory, GiB")
    add("--reserve", type=float, default=1.0, metavar="GB", help="GiB to leave free (default 1)")
    add("--config-file", default=CONFIG, metavar="YAML")
    add("--short-sides", type=count, nargs="+", default=[300, 360, 480])
    add("--instances", type=count, nargs="+", default=[3, 10], help="in a clip")
    longest = "most frames to plan for (default 128; no YouTube-VIS video has more than 72); + in"
    longest += " the table: more may fit"
    add("--longest", type=count, default=128, metavar="T", help=longest)
    add("opts", nargs="*", metavar="KEY VALUE", help="config keys and values")
    return run_command(parser, run, arguments, errors=(RuntimeError,))


if __name__ == "__main__":
    sys.exit(main())
