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

With --inference a video of noise is segmented instead, whose tracks come out at --output-size;
reading and resizing frames is not included.
"""

import argparse
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installation too

from benchmarks.command_line import COUNT, NATURAL, argument_parser, model_config, run
from benchmarks.measure import (
    MIB,
    count_flops,
    count_parameters,
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

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from detectron2.utils.env import seed_all_rng
from detectron2.utils.events import EventStorage
from torch import nn


def time_training(
    cfg: CfgNode, batches: Iterator[list[Clip]], *, steps: int, warmup: int
) -> tuple[nn.Module, dict[str, float], dict[str, Any]]:
    """Train as detectron2's trainer does: the model, the first losses, and seconds and peak memory.

    FloatingPointError if a loss is infinite or NaN.
    """
    device = torch.device(cfg.MODEL.DEVICE)
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

    seconds, data_seconds = time_steps(step, batches, steps=steps, warmup=warmup, device=device)
    figures = {
        "step_seconds": quartiles(seconds),
        "data_seconds": quartiles(data_seconds)["median"],
        **peak_memory(device),
    }
    return model, losses[0], figures


def time_inference(
    cfg: CfgNode,
    *,
    frames: int,
    size: tuple[int, int],
    output_size: tuple[int, int],
    runs: int,
    warmup: int,
) -> dict[str, Any]:
    """Segment a video of noise ``runs`` times; seconds, frames a second and peak memory."""
    device = torch.device(cfg.MODEL.DEVICE)
    torch.manual_seed(0)
    model = build_model(cfg).eval()
    draw = np.random.default_rng(0)
    clip = synthetic_clip(frames=frames, size=size, instances=0, classes=1, rng=draw)
    clip["height"], clip["width"] = output_size
    videos = iter([[clip]] * (warmup + runs))
    seconds = quartiles(time_steps(model, videos, steps=runs, warmup=warmup, device=device)[0])
    speed = frames / seconds["median"]
    return {"seconds": seconds, "frames_per_second": speed, **peak_memory(device)}


def measure(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Run the steps; the figures and what is printed. ValueError for what cannot be measured.

    Frames and size are those of the first batch, after padding.
    """
    if (args.frames is None) != (args.size is None):
        raise ValueError("--frames and --size make synthetic clips together; one is missing")
    if args.inference:
        return measure_inference(args)
    cfg, batches = _setup(args)
    batch = next(batches)
    batches = itertools.chain([batch], batches)
    model, losses, figures = time_training(cfg, batches, steps=args.steps, warmup=args.warmup)
    shapes = [(len(clip["image"]), *clip["image"][0].shape[-2:]) for clip in batch]
    length, height, width = (max(sizes) for sizes in zip(*shapes, strict=True))
    report = {
        **count_parameters(model),
        **count_flops(model, torch.empty(1, length, 3, height, width, device="meta")),
        **figures,
        "saved_bytes": saved_tensor_bytes(lambda: model(batch), model.parameters()),
        "frames": length,
        "size": [height, width],
        "clips": len(batch),
        "device": cfg.MODEL.DEVICE,
        "threads": args.threads,
    }
    title = (
        f"{args.config_file}: {len(batch)} clips of {length} frames of {height} x {width} pixels "
        f"({'training set' if args.frames is None else 'synthetic'}), {report['device']}, CPU "
        f"threads: {args.threads}, {args.steps} steps after {args.warmup}, torch "
        f"{torch.__version__}"
    )
    return report, f"{title}\n\n{format_report(report, losses)}"


def measure_words(words: list[str]) -> dict[str, Any]:
    """The figures of ``measure`` with these arguments of the command."""
    return measure(parser().parse_args(words))[0]


def measure_inference(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """As ``measure``, of a video that is segmented ``args.steps`` times."""
    if args.frames is None:
        raise ValueError("--inference needs --frames and --size")
    cfg = model_config(args)
    shape = {"frames": args.frames, "size": args.size, "output_size": args.output_size}
    figures = time_inference(cfg, **shape, runs=args.steps, warmup=args.warmup)
    report = figures | shape | {"device": cfg.MODEL.DEVICE, "threads": args.threads}
    text = (
        f"{args.config_file}: {report['frames_per_second']:.2f} frames/s "
        f"({report['seconds']['median']:.2f} s for {args.frames} frames), peak "
        f"({report['peak_kind']}) {report['peak_bytes'] / MIB:,.0f} MiB"
    )
    return report, text


def _setup(args: argparse.Namespace) -> tuple[CfgNode, Iterator[list[Clip]]]:
    """The config and endless batches of training. Threads and chance are set from here."""
    cfg = model_config(args)
    seed_all_rng(cfg.SEED if cfg.SEED >= 0 else None)
    torch.backends.cudnn.benchmark = cfg.CUDNN_BENCHMARK
    if args.frames is None:
        return cfg, iter(build_train_loader(cfg))
    slots = cfg.MODEL.SIMPLEVTR.NUM_QUERIES
    if args.instances > slots:
        raise ValueError(
            f"--instances {args.instances}, but MODEL.SIMPLEVTR.NUM_QUERIES is {slots}"
        )
    if cfg.SOLVER.IMS_PER_BATCH < 1:
        raise ValueError(f"SOLVER.IMS_PER_BATCH is {cfg.SOLVER.IMS_PER_BATCH}, not at least 1")
    shape = {"frames": args.frames, "size": tuple(args.size), "instances": args.instances}
    return cfg, synthetic_batches(cfg, **shape)


def format_report(report: dict[str, Any], losses: dict[str, float]) -> str:
    """Two aligned tables: what each part has, and what a step takes."""
    parameters = report["parameters_by_part"] | {"all": report["parameters"]}
    flops = report["flops_by_part"] | {"all": report["flops"]}
    rows = [(k.replace("_", " "), f"{n:,}", f"{flops[k] / 1e9:.3f}") for k, n in parameters.items()]
    table = markdown_table(["part", "parameters", "GFLOPs of a clip's forward"], rows)
    seconds = report["step_seconds"]
    rows = [
        ("trainable parameters", f"{report['trainable']:,}"),
        ("seconds a step, median", f"{seconds['median']:.4f}"),
        ("- quartiles", f"{seconds['low']:.4f} to {seconds['high']:.4f}"),
        ("seconds for data, median", f"{report['data_seconds']:.4f}"),
        (f"peak memory ({report['peak_kind']}), MiB", f"{report['peak_bytes'] / MIB:,.1f}"),
        ("saved for backward, MiB", f"{report['saved_bytes'] / MIB:,.1f}"),
        *((f"first step: {name}", f"{value:.4f}") for name, value in losses.items()),
    ]
    return f"{table}\n\n{markdown_table(['a training step', ''], rows)}"


def parser() -> argparse.ArgumentParser:
    """What the command takes."""
    parser = argument_parser(__file__, __doc__, model=True)
    add = parser.add_argument
    add("--steps", type=COUNT, default=10, help="timed steps or runs (default 10)")
    add("--warmup", type=NATURAL, default=2, help="steps before them (default 2)")
    add("--frames", type=COUNT, metavar="T", help="synthetic clips of T frames ...")
    add("--size", type=COUNT, nargs=2, metavar=("H", "W"), help="... of H x W pixels")
    add("--instances", type=NATURAL, default=2, help="of a synthetic clip (default 2)")
    add("--inference", action="store_true", help="segment a synthetic video instead of training")
    add("--output-size", type=COUNT, nargs=2, default=[720, 1280], metavar=("H", "W"))
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status is 2 after a user's error."""
    return run(parser(), measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
