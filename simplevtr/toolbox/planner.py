"""The largest clips that a config trains and infers within a GPU's memory."""

import argparse
from dataclasses import dataclass
from functools import partial

from simplevtr.config_checks import RECOMPUTABLE
from simplevtr.run_config import setup_cfg
from simplevtr.terminal import markdown_table
from simplevtr.toolbox.memory_model import MemoryModel, MemoryPlan

from tqdm import tqdm

MIB, GIB = 2**20, 2**30
RECOMPUTED = ", recomputed"
_RECOMPUTE = "MODEL.SIMPLEVTR.RECOMPUTE"


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
        self._args, self._slots = args, slots
        self.clips = cfg.SOLVER.IMS_PER_BATCH  # of a step, all of them on the one GPU
        self.ways: dict[str, list[str]] = {"": []}  # a way's config keys and values
        if parts := list(filter(self._can_recompute, RECOMPUTABLE[cfg.MODEL.SIMPLEVTR.HEAD])):
            self.ways[RECOMPUTED] = [_RECOMPUTE, str(parts)]
        self._models = {way: self._model(words) for way, words in self.ways.items()}
        self._plans = {  # nothing is measured yet
            (size, way): MemoryPlan(partial(model.training, size=size, clips=self.clips))
            for size in ((short, round(short * 16 / 9)) for short in args.short_sides)
            for way, model in self._models.items()
        }

    def _model(self, words: list[str]) -> MemoryModel:
        return MemoryModel(setup_cfg(self._args.config_file, [*self._args.opts, *words]))

    def _can_recompute(self, part: str) -> bool:
        """Not if it has batch norms, whose statistics would be those of less than a batch."""
        try:
            self._model([_RECOMPUTE, str([part])])
        except ValueError:  # what else may be wrong, the model that recomputes nothing tells
            return False
        return True

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
            f"{head}{way}" for way in self.ways for head in ("fixed", "per frame", "per instance")
        ]
        return markdown_table(["while this works", *heads], rows)


def table(answers: list[Answer], longest: int) -> str:
    """Frames by short side and instances; a plus sign where more than ``longest`` may fit."""
    rows = []
    for answer in answers:
        counts = [*answer.training.values(), answer.inference]
        cells = [f"{count}+" if count == longest else count or "-" for count in counts]
        rows.append([answer.size[0], answer.instances, *cells])
    heads = [f"frames in training{way}" for way in answers[0].training]
    return markdown_table(["short side", "instances", *heads, "in inference"], rows)


def config_lines(answer: Answer, way: str, recompute: list[str]) -> str:
    """What to add to a config or a command line for an answer."""
    more = ' {} "{}"'.format(*recompute) if recompute else ""
    short, long = answer.size
    return (
        f"INPUT.SAMPLING_FRAME_NUM {answer.training[way]} INPUT.MIN_SIZE_TRAIN '({short},)' "
        f"INPUT.MAX_SIZE_TRAIN {long} TEST.WINDOW {answer.inference} "
        f"INPUT.MIN_SIZE_TEST {short} INPUT.MAX_SIZE_TEST {long}{more}"
    )
