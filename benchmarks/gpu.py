"""What a GPU computes, how fast and in how much memory, in minutes: docs/gpu.md.

    make gpu
    python benchmarks/gpu.py --device cpu --output output/gpu_tiny.md

Kernels of the deformable convolution against each other; a training step of 16 and of 64 frames and
inference over three windows, for every full R50 config in float32, float16 and bfloat16, with the
peak memory that tools/plan_memory.py expects beside the measured one. Each config has a process of
its own. A row that fails holds its error, the others go on, and the exit status is 1. On a CPU the
same rows are computed of narrow models and small frames, which shows that the command works and
nothing about a GPU. The time is limited by --minutes, so that `make gpu` takes less than nine with
the installation from local wheels.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installation too

from benchmarks import deform_conv
from benchmarks.command_line import argument_parser, machine, run
from benchmarks.measure import MIB, measured_rows
from benchmarks.synthetic import synthetic_batches
from benchmarks.training_step import time_inference, time_training
from simplevtr import setup_cfg
from simplevtr.engine.memory_model import MemoryModel
from simplevtr.env import describe
from simplevtr.formats.files import refuse_existing, write_bytes
from simplevtr.terminal import number

import torch
from detectron2.config import CfgNode
from tabulate import tabulate
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = [
    f"{name}_R50.yaml" for name in ("youtubevis_2019/simplevtr", "youtubevis_2019/vistr",
    "youtubevis_2021/simplevtr", "youtubevis_2021/vistr", "youtubevis_2021/pixel",
    "ovis/simplevtr")
]  # fmt: skip
FORMATS = ("float32", "float16", "bfloat16")
INSTANCES = 3
LARGEST_DIFFERENCE = 1e-3  # of two kernels in float32, relative


@dataclass(frozen=True)
class Scale:
    """How large everything is; sizes are (H, W) in pixels."""

    size: tuple[int, int]  # of the frames that the network sees
    output_size: tuple[int, int]  # of the masks in inference
    frames: tuple[int, int]  # T of the training steps
    window: int  # frames of a window in inference; a video has three
    opts: tuple[Any, ...] = ()  # config keys and values


FULL = Scale((300, 540), (720, 1280), (16, 64), 64)
# As on any CPU, and for tests: all is there and little of it.
TINY = Scale((32, 48), (48, 64), (2, 3), 2, (
    "MODEL.RESNETS.STEM_OUT_CHANNELS", 8, "MODEL.RESNETS.RES2_OUT_CHANNELS", 8,
    "MODEL.RESNETS.WIDTH_PER_GROUP", 8, "MODEL.SIMPLEVTR.HIDDEN_DIM", 24,
    "MODEL.SIMPLEVTR.DIM_FEEDFORWARD", 32,
))  # fmt: skip


@dataclass(frozen=True)
class Job:
    """One row."""

    part: str  # "kernels", or the config that it is about; a part has a process of its own
    kind: str  # "training" or "inference", or the layer
    how: str  # the number format, or the kernel
    frames: int = 0  # T in training, of a window in inference


def jobs(device: torch.device, scale: Scale, configs: list[str]) -> list[Job]:
    """Every row, part after part."""
    kernels = deform_conv.kernels(device)
    result = [Job("kernels", layer, kernel) for layer in deform_conv.SHAPES for kernel in kernels]
    for config in configs:
        for how in FORMATS:
            if (device.type, how) == ("cpu", "float16"):  # not computed there
                continue
            result += [Job(config, "training", how, frames) for frames in scale.frames]
            result.append(Job(config, "inference", how, scale.window))
    return result


def measured(job: Job, device: torch.device, scale: Scale) -> dict[str, str]:
    """The figures of a row, as they are printed; ValueError if two kernels differ."""
    if job.part == "kernels":
        return _kernel(job, device, tiny=scale == TINY)
    cfg = _config(job, device, scale)
    memory = MemoryModel(cfg)
    if job.kind == "training":
        clip = {"frames": job.frames, "size": scale.size, "instances": INSTANCES}
        expected = max(memory.training(**clip, exact=True).values())
        # The long clip is about memory.
        steps = 3 if job.frames == scale.frames[0] else 1
        *_, figures = time_training(cfg, synthetic_batches(cfg, **clip), steps=steps, warmup=1)
        seconds = figures["step_seconds"]["median"]
        speed = job.frames / seconds
    else:
        slots = cfg.MODEL.SIMPLEVTR.NUM_QUERIES
        window = {"frames": job.frames, "size": scale.size, "instances": slots}
        expected = max(memory.inference(**window, exact=True).values())
        stride = max(1, 3 * job.frames // 4)
        shape = {"frames": job.frames + 2 * stride, "size": scale.size}
        figures = time_inference(cfg, **shape, output_size=scale.output_size, runs=1, warmup=1)
        seconds, speed = figures["seconds"]["median"], figures["frames_per_second"]
    return {
        "s": f"{seconds:.3f}",
        "frames/s": f"{speed:.1f}",
        "peak (MiB)": f"{figures['peak_bytes'] / MIB:,.0f}",
        "expected (MiB)": f"{expected / MIB:,.0f}",
        "expected / peak": f"{expected / figures['peak_bytes']:.2f}",
    }


def _kernel(job: Job, device: torch.device, *, tiny: bool) -> dict[str, str]:
    shape = deform_conv.SHAPES[job.kind]
    shape = (2, *shape[1:3], 6, 8) if tiny else shape
    _, expected = deform_conv.compute("grid_sample", shape, device)
    seconds, found = deform_conv.compute(job.how, shape, device, repeats=5)
    difference = deform_conv.difference(found, expected)
    if not difference <= LARGEST_DIFFERENCE:
        raise ValueError(f"differs from grid_sample by {difference:.1e}, relative")
    return {"ms": f"{1e3 * seconds:.2f}", "difference from grid_sample": f"{difference:.0e}"}


def _config(job: Job, device: torch.device, scale: Scale) -> CfgNode:
    cfg = setup_cfg(str(ROOT / "configs" / job.part), scale.opts)
    cfg.MODEL.DEVICE, cfg.TEST.WINDOW, cfg.SOLVER.IMS_PER_BATCH = str(device), job.frames, 1
    cfg.TEST.STRIDE = 0
    if cfg.MODEL.SIMPLEVTR.QUERY_FRAMES:
        cfg.MODEL.SIMPLEVTR.QUERY_FRAMES = job.frames
    if job.how != "float32":
        cfg.SOLVER.AMP.ENABLED = cfg.TEST.AMP = True
        cfg.SOLVER.AMP.DTYPE = job.how
    return cfg


def measure_all(args: argparse.Namespace) -> tuple[list[dict[str, str]], str, int]:
    """Measure every part in a process of its own, write the page; rows, page and exit status."""
    device = torch.device(args.device)
    scale = FULL if device.type == "cuda" else TINY
    todo = jobs(device, scale, args.configs)
    output = args.output or Path("docs/gpu.md" if scale == FULL else "output/gpu_tiny.md")
    refuse_existing(output, overwrite=args.overwrite)
    begin = time.monotonic()
    rows: list[dict[str, str]] = []
    with tqdm(total=len(todo), unit="row") as progress:
        for part in dict.fromkeys(job.part for job in todo):
            progress.set_description(part)
            own = [job for job in todo if job.part == part]
            left = begin + 60 * args.minutes - time.monotonic()
            words = [(job, device, scale) for job in own]
            for job, row in zip(own, measured_rows(measured, words, seconds=left), strict=True):
                rows.append(vars(job) | row)
                progress.update()
    page = markdown(rows, device, scale, time.monotonic() - begin)
    write_bytes(output, page.encode(), overwrite=True)
    failed = sum("error" in row for row in rows)
    text = f"{page}\nwritten to {output}; {failed} of {len(rows)} rows failed"
    return rows, text, int(failed > 0)


def markdown(rows: list[dict[str, str]], device: torch.device, scale: Scale, seconds: float) -> str:
    """The page."""
    kernels = [row for row in rows if row["part"] == "kernels"]
    models = [row for row in rows if row["part"] != "kernels"]
    tiny = "" if scale == FULL else "**Narrow models and small frames: no figures of a GPU.** "
    parts = [
        "# Measured on a GPU" if scale == FULL else "# A trial of `make gpu`",
        f"{tiny}`python benchmarks/gpu.py --device {device}` on {machine(str(device))}, in "
        f"{seconds / 60:.1f} minutes.",
        "\n".join(f"* {name}: {value}" for name, value in describe()),
        "**Deformable convolutions**, forward and backward in float32. A row fails if a result or "
        f"a gradient differs by more than {LARGEST_DIFFERENCE:g}.",
        _table(kernels, kind="what", how="computed in"),
        f"**Models**, random weights, frames of {scale.size[0]} x {scale.size[1]} pixels. "
        f"Training: a step of one clip with {INSTANCES} instances, data not included. Inference: "
        f"three windows, masks at {scale.output_size[0]} x {scale.output_size[1]} included; its "
        "expected memory is the network's alone. What is expected is that of "
        "`tools/plan_memory.py`; peaks are PyTorch's on a GPU, the whole process's on a CPU.",
        _table(models, part="config", kind="what", how="computed in", frames="frames"),
    ]
    return "\n\n".join(parts) + "\n"


def _table(rows: list[dict[str, str]], **names: str) -> str:
    """The named fields of each row's job, then its figures."""
    lines = []
    for row in rows:
        figures = {key: value for key, value in row.items() if key not in Job.__annotations__}
        lines.append({head: row[field] for field, head in names.items()} | figures)
    return tabulate(lines, "keys", tablefmt="github", disable_numparse=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 1 if a row failed, 2 after a user's error."""
    parser = argument_parser(__file__, __doc__)
    add = parser.add_argument
    default = "cuda" if torch.cuda.is_available() else "cpu"
    add("--device", default=default, choices=["cuda", "cpu"])
    add("--output", type=Path, metavar="FILE", help="default docs/gpu.md")
    add("--configs", nargs="+", default=CONFIGS, metavar="YAML")
    add("--minutes", type=number(above=0), default=6.5, help="what is late is left out")
    return run(parser, measure_all, arguments)


if __name__ == "__main__":
    sys.exit(main())
