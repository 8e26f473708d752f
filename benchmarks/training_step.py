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
import sys
from typing import Any

from benchmarks.command_line import COUNT, NATURAL, benchmark, model_config
from benchmarks.measure import (
    MIB,
    count_costs,
    peak_memory,
    quartiles,
    saved_tensor_bytes,
    time_steps,
)  # fmt: skip
from benchmarks.synthetic import Clip, synthetic_batches, synthetic_clip
from simplevtr.data.build import build_train_loader
from simplevtr.engine.optimizer import build_optimizer
from simplevtr.engine.trainer import build_step_trainer
from simplevtr.terminal import markdown_table
from simplevtr.toolbox.memory_model import MemoryModel

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from detectron2.utils.env import seed_all_rng
from detectron2.utils.events import EventStorage


def measure(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
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
    figures, title, *tables = (_inference if args.inference else _training)(cfg, args, memory)
    figures |= {"device": cfg.MODEL.DEVICE, "threads": args.threads}
    return figures, "\n\n".join([f"{args.config_file}: {title}", *tables])


def measure_words(words: list[str]) -> dict[str, Any]:
    """The figures of ``measure`` with these arguments of the command."""
    return measure(main.parser().parse_args(words))[0]


def _inference(
    cfg: CfgNode, args: argparse.Namespace, memory: MemoryModel | None
) -> tuple[dict[str, Any], str]:
    """Segment a video of noise."""
    shape = {"frames": args.frames, "size": args.size, "output_size": args.output_size}
    torch.manual_seed(0)
    model = build_model(cfg).eval()
    noise = {"instances": 0, "classes": 1, "rng": np.random.default_rng(0)}
    clip = synthetic_clip(frames=args.frames, size=tuple(args.size), **noise)
    clip["height"], clip["width"] = args.output_size
    timing = {"steps": args.steps, "warmup": args.warmup, "device": model.device}
    seconds = quartiles(time_steps(model, itertools.repeat([clip]), **timing)[0])
    speed = args.frames / seconds["median"]
    figures = {"seconds": seconds, "frames_per_second": speed, **peak_memory(model.device), **shape}
    if memory:
        window = {"frames": min(args.frames, cfg.TEST.WINDOW or args.frames)}
        window |= {"size": args.size, "instances": cfg.MODEL.SIMPLEVTR.NUM_QUERIES}
        figures["expected_bytes"] = max(memory.inference(**window).values())
    return figures, (
        f"{speed:.2f} frames/s ({seconds['median']:.2f} s for {args.frames} frames), peak "
        f"({figures['peak_kind']}) {figures['peak_bytes'] / MIB:,.0f} MiB"
    )


def _training(
    cfg: CfgNode, args: argparse.Namespace, memory: MemoryModel | None
) -> tuple[Any, ...]:
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
    elif cfg.SOLVER.IMS_PER_BATCH < 1:
        raise ValueError(f"SOLVER.IMS_PER_BATCH is {cfg.SOLVER.IMS_PER_BATCH}, not at least 1")
    else:
        shape = {"frames": args.frames, "size": tuple(args.size), "instances": args.instances}
        batches = synthetic_batches(cfg, **shape)
    batch = next(batches)
    shapes = [(len(clip["image"]), *clip["image"][0].shape[-2:]) for clip in batch]
    length, height, width = (max(sizes) for sizes in zip(*shapes, strict=True))
    model, losses = build_model(cfg), []
    # The trainer takes its batch from here, so that loading is not part of its time.
    waiting: list[list[Clip]] = []
    optimizer = build_optimizer(cfg, model)
    trainer = build_step_trainer(cfg, model, iter(waiting.pop, None), optimizer)

    def step(batch: list[Clip]) -> None:
        waiting.append(batch)
        with EventStorage() as storage:
            trainer.run_step()  # reads the losses, as in training, and checks them
        losses.append({k: v for k, (v, _) in storage.latest().items() if k.startswith("loss")})

    timing = {"steps": args.steps, "warmup": args.warmup, "device": model.device}
    seconds, data_seconds = time_steps(step, itertools.chain([batch], batches), **timing)
    seconds, data = quartiles(seconds), quartiles(data_seconds)["median"]
    figures = {"step_seconds": seconds, "data_seconds": data, **peak_memory(model.device)}
    figures |= {"frames": length, "size": [height, width], "clips": len(batch)}
    title = (
        f"{len(batch)} clips of {length} frames of {height} x {width} pixels "
        f"({'training set' if args.frames is None else 'synthetic'}), {cfg.MODEL.DEVICE}, CPU "
        f"threads: {args.threads}, {args.steps} steps after {args.warmup}, torch "
        f"{torch.__version__}"
    )
    rows = [
        ("seconds per step, median", f"{seconds['median']:.4f}"),
        ("- quartiles", f"{seconds['low']:.4f} to {seconds['high']:.4f}"),
        ("seconds for data, median", f"{data:.4f}"),
        (f"peak memory ({figures['peak_kind']}), MiB", f"{figures['peak_bytes'] / MIB:,.1f}"),
    ]
    tables = []
    if memory:
        clip = {"frames": length, "size": (height, width), "instances": args.instances}
        figures["expected_bytes"] = max(memory.training(**clip, clips=len(batch)).values())
        rows.append(("expected, MiB", f"{figures['expected_bytes'] / MIB:,.1f}"))
    else:
        figures |= count_costs(model, torch.empty(1, length, 3, height, width, device="meta"))
        figures["saved_bytes"] = saved_tensor_bytes(lambda: model(batch), model.parameters())
        rows.append(("saved for backward, MiB", f"{figures['saved_bytes'] / MIB:,.1f}"))
        rows.insert(0, ("trainable parameters", f"{figures['trainable']:,}"))
        tables.append(_parts_table(figures))
    rows += [(f"first step: {name}", f"{value:.4f}") for name, value in losses[0].items()]
    return figures, title, *tables, markdown_table(["a training step", ""], rows)


def _parts_table(figures: dict[str, Any]) -> str:
    parameters = figures["parameters_by_part"] | {"all": figures["parameters"]}
    flops = figures["flops_by_part"] | {"all": figures["flops"]}
    rows = [(k.replace("_", " "), f"{n:,}", f"{flops[k] / 1e9:.3f}") for k, n in parameters.items()]
    return markdown_table(["part", "parameters", "GFLOPs of a clip's forward"], rows)


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


main = benchmark(_add_options, model=True)(measure)


if __name__ == "__main__":
    sys.exit(main())
