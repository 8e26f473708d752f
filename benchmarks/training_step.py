"""Measure what a training step of a config costs, or inference of a video: FLOPs, time, memory.

    python benchmarks/training_step.py --config-file configs/embedded/clips.yaml
    python benchmarks/training_step.py --config-file configs/youtubevis_2021/simplevtr_R50.yaml \\
        --frames 16 --size 300 540 --json cost.json MODEL.DEVICE cuda
    python benchmarks/training_step.py --config-file configs/youtubevis_2021/simplevtr_R50.yaml \\
        --frames 16 --size 300 540 --inference

A step is the trainer's: forward, backward, gradient clipping, optimizer, in mixed precision if the
config says so; without its hooks, so without a weight average, and at the config's base learning
rate. Weights are random: MODEL.WEIGHTS is ignored. The clips are those of the config's training
set, or synthetic ones of a fixed size with --frames and --size, which need no dataset.

FLOPs are those of one clip's forward pass in evaluation with the masks of every slot. A
multiply-add counts 2; matrix products, convolutions and attention count, and nothing else does
(norms, activations, grid_sample, interpolation). Peak memory on a CPU is the whole process's,
Python and libraries included; on a GPU it is what PyTorch has allocated there.

With --expected the peak that tools/plan_memory.py expects is reported instead of FLOPs, parameters
and what is saved for the backward pass. With --inference a video of noise is segmented instead,
whose tracks come out at --output-size; reading and resizing frames is not included.
"""

import argparse
import itertools
from functools import partial
from statistics import median

from benchmarks import measure
from benchmarks.command_line import benchmark, model_config, table
from benchmarks.measure import MIB, Row
from benchmarks.synthetic import synthetic_batches, synthetic_clip
from simplevtr.data.build import build_train_loader
from simplevtr.engine.optimizer import build_optimizer
from simplevtr.engine.trainer import build_step_trainer
from simplevtr.terminal import COUNT, NATURAL
from simplevtr.toolbox.memory_model import MemoryModel

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from detectron2.utils.env import seed_all_rng
from detectron2.utils.events import EventStorage

# Columns of a table: the title, the figure, its unit and format.
COLUMNS = (
    ("parameters (M)", "parameters", 1e6, ".1f"),
    ("GFLOPs", "flops", 1e9, ",.1f"),
    ("s", "seconds", 1, ".3f"),
    ("s for data", "data_seconds", 1, ".3f"),
    ("frames/s", "frames_per_second", 1, ".2f"),
    ("saved (MiB)", "saved_bytes", MIB, ",.0f"),
    ("peak (MiB)", "peak_bytes", MIB, ",.0f"),
    ("expected (MiB)", "expected_bytes", MIB, ",.0f"),
    ("expected / peak", "expected_ratio", 1, ".2f"),
)


def measured(args: argparse.Namespace) -> tuple[Row, str]:
    """Run the steps; the figures and what is printed. ValueError for what cannot be measured."""
    if (args.frames is None) != (args.size is None):
        raise ValueError("--frames and --size make synthetic clips together; one is missing")
    for option in ("inference", "expected"):
        if getattr(args, option) and args.frames is None:
            raise ValueError(f"--{option} needs --frames and --size")
    cfg = model_config(args)
    seed_all_rng(cfg.SEED if cfg.SEED >= 0 else None)
    torch.backends.cudnn.benchmark = cfg.CUDNN_BENCHMARK
    memory = MemoryModel(cfg, exact=True) if args.expected else None
    figures = (_inference if args.inference else _training)(cfg, args, memory)
    if memory:
        figures["expected_ratio"] = figures["expected_bytes"] / figures["peak_bytes"]
    figures |= {"device": cfg.MODEL.DEVICE, "threads": args.threads}
    title = (
        f"{args.config_file}: {figures['clips']} clips of {figures['frames']} frames of "
        f"{figures['size'][0]} x {figures['size'][1]} pixels "
        f"({'training set' if args.frames is None else 'synthetic'}), {cfg.MODEL.DEVICE}, "
        f"CPU threads: {args.threads}, {args.steps} steps after {args.warmup}, torch "
        f"{torch.__version__}; peak memory: {figures['peak_kind']}"
    )
    return figures, f"{title}\n\n{table([cells(figures)])}"


def measure_words(words: list[str]) -> Row:
    """The figures of ``measured`` with these arguments of the command."""
    return measured(main.parser().parse_args(words))[0]


def cells(figures: Row) -> dict[str, str]:
    """The cells of a table by title; those of an error are its text."""
    if "error" in figures:
        return {"error": figures["error"]}
    found = figures | {"seconds": figures["step_seconds"]["median"]}
    return {
        title: f"{found[key] / unit:{form}}" for title, key, unit, form in COLUMNS if key in found
    }


def _inference(cfg: CfgNode, args: argparse.Namespace, memory: MemoryModel | None) -> Row:
    """Segment a video of noise."""
    torch.manual_seed(0)
    model = build_model(cfg).eval()
    noise = {"instances": 0, "classes": 1, "rng": np.random.default_rng(0)}
    clip = synthetic_clip(frames=args.frames, size=tuple(args.size), **noise)
    clip["height"], clip["width"] = args.output_size
    timing = {"steps": args.steps, "warmup": args.warmup, "device": model.device}
    seconds = median(measure.time_steps(partial(model, [clip]), **timing))
    figures = {"step_seconds": {"median": seconds}, "frames_per_second": args.frames / seconds}
    figures |= {"frames": args.frames, "size": args.size, "clips": 1}
    figures |= measure.peak_memory(model.device)
    if memory:
        window = {"frames": min(args.frames, cfg.TEST.WINDOW or args.frames)}
        window |= {"size": args.size, "instances": cfg.MODEL.SIMPLEVTR.NUM_QUERIES}
        figures["expected_bytes"] = max(memory.inference(**window).values())
    return figures


def _training(cfg: CfgNode, args: argparse.Namespace, memory: MemoryModel | None) -> Row:
    """Train as detectron2's trainer does. FloatingPointError if a loss is infinite or NaN.

    Frames and size are those of the first batch, after padding.
    """
    slots = cfg.MODEL.SIMPLEVTR.NUM_QUERIES
    if args.frames is None:
        batches = iter(build_train_loader(cfg))
    elif args.instances > slots:
        raise ValueError(
            f"--instances {args.instances}, but MODEL.SIMPLEVTR.NUM_QUERIES is {slots}"
        )
    else:
        shape = {"frames": args.frames, "size": tuple(args.size), "instances": args.instances}
        batches = synthetic_batches(cfg, **shape)
    batch = next(batches)
    shapes = [(len(clip["image"]), *clip["image"][0].shape[-2:]) for clip in batch]
    length, height, width = (max(sizes) for sizes in zip(*shapes, strict=True))
    model, loading = build_model(cfg), []
    clips = itertools.chain([batch], batches)
    trainer = build_step_trainer(cfg, model, clips, build_optimizer(cfg, model))

    def step() -> None:
        with EventStorage() as storage:
            trainer.run_step()  # reads the losses, as in training, and checks them
        loading.append(storage.latest()["data_time"][0])

    timing = {"steps": args.steps, "warmup": args.warmup, "device": model.device}
    seconds = measure.time_steps(step, **timing)
    loading = loading[args.warmup :]
    computing = [all_ - data for all_, data in zip(seconds, loading, strict=True)]
    figures = {"step_seconds": {"median": median(computing)}}
    if args.frames is None:
        figures["data_seconds"] = median(loading)
    figures |= {"frames": length, "size": [height, width], "clips": len(batch)}
    figures |= measure.peak_memory(model.device)
    if memory:
        clip = {"frames": length, "size": (height, width), "instances": args.instances}
        figures["expected_bytes"] = max(memory.training(**clip, clips=len(batch)).values())
    else:
        frames = torch.empty(1, length, 3, height, width, device="meta")
        figures |= measure.count_costs(model, frames)
        parameters = model.parameters()
        figures["saved_bytes"] = measure.saved_tensor_bytes(lambda: model(batch), parameters)
    return figures


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--steps", type=COUNT, default=10, help="timed steps or runs (default 10)")
    add("--warmup", type=NATURAL, default=2, help="steps before them (default 2)")
    add("--frames", type=COUNT, metavar="T", help="synthetic clips of T frames ...")
    add("--size", type=COUNT, nargs=2, metavar=("H", "W"), help="... of H x W pixels")
    add("--instances", type=NATURAL, default=2, help="of a synthetic clip (default 2)")
    add("--expected", action="store_true", help="what plan_memory.py expects, instead of FLOPs")
    add("--inference", action="store_true", help="segment a synthetic video instead of training")
    add("--output-size", type=COUNT, nargs=2, default=[720, 1280], metavar=("H", "W"))


main = benchmark(_add_options, model=True)(measured)


if __name__ == "__main__":
    raise SystemExit(main())
