"""The cells of a comparison: which model, computed in which way, on clips of which size.

Each is measured in a fresh process, so that peaks of memory do not mix.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simplevtr.formats.files import write_bytes

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = {
    "SimpleVTR": "configs/youtubevis_2021/simplevtr_R50.yaml",
    "VisTR": "configs/youtubevis_2021/vistr_R50.yaml",
}
RECOMPUTE = "['backbone','encoder','mask_head']"
WAYS = {
    "plain": ["MODEL.META_ARCHITECTURE", "SIMPLEVTR_PLAIN"],
    "light": [],
    "light, recomputed": ["MODEL.SIMPLEVTR.RECOMPUTE", RECOMPUTE],
}
KINDS = {"training": "benchmarks/training_step.py", "inference": "benchmarks/inference.py"}
# How PyTorch, Python, C++ and CUDA say that there is no memory.
OUT_OF_MEMORY = (
    "out of memory", "can't allocate memory", "MemoryError", "bad_alloc", "_STATUS_ALLOC_FAILED",
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One measurement.

    Attributes:
        kind: of ``KINDS``.
        model: of ``CONFIGS``.
        way: of ``WAYS``.
        frames: T.
        size: (H, W) in pixels.
    """

    kind: str
    model: str
    way: str
    frames: int
    size: tuple[int, int]

    @property
    def file_name(self) -> str:
        """Where its figures lie."""
        way = self.way.replace(", ", "_")
        height, width = self.size
        return f"{self.kind}_{self.model}_{way}_{self.frames}_{height}x{width}.json"

    def command(self, args: argparse.Namespace, path: Path) -> list[str]:
        """What measures it."""
        words = [sys.executable, KINDS[self.kind], "--config-file", CONFIGS[self.model]]
        words += ["--frames", str(self.frames), "--size", *map(str, self.size)]
        words += ["--threads", str(args.threads), "--warmup", str(args.warmup)]
        words += ["--steps" if self.kind == "training" else "--runs", str(args.steps)]
        words += ["--json", str(path), "MODEL.DEVICE", args.device, *WAYS[self.way], *args.opts]
        if self.model == "VisTR":
            words += ["MODEL.SIMPLEVTR.QUERY_FRAMES", str(self.frames)]
        return words


def cells(frames: list[int], sizes: list[tuple[int, int]]) -> list[Cell]:
    """All measurements, small ones first. Inference keeps no activations to recompute."""
    return [
        Cell(kind, model, way, length, size)
        for size in sorted(set(sizes), key=lambda size: (math.prod(size), size))
        for length in sorted(set(frames))
        for kind in KINDS
        for model in CONFIGS
        for way in WAYS
        if kind == "training" or way != "light, recomputed"
    ]


def run_cell(cell: Cell, args: argparse.Namespace) -> dict[str, Any]:
    """Measure a cell, or read what an earlier run measured.

    Returns:
        The figures; {} if it did not fit into the memory; the name of the signal as "died" if
        something else ended the process, which is not kept.

    Raises:
        RuntimeError: if the measurement failed for another reason.
    """
    path = args.output.resolve() / cell.file_name
    if not path.is_file():
        done = subprocess.run(
            cell.command(args, path), cwd=ROOT, capture_output=True, text=True, check=False
        )
        killed = done.returncode == -signal.SIGKILL  # by the system, for want of memory
        if killed or (done.returncode and any(words in done.stderr for words in OUT_OF_MEMORY)):
            write_bytes(path, b"{}\n", overwrite=True)
        elif done.returncode < 0:
            return {"died": signal.strsignal(-done.returncode) or f"signal {-done.returncode}"}
        elif done.returncode:
            raise RuntimeError(f"{cell}: exit status {done.returncode}\n{done.stderr[-2000:]}")
    return json.loads(path.read_text(encoding="utf-8"))


def is_measured(result: dict[str, Any]) -> bool:
    """Whether ``run_cell`` gave figures."""
    return "peak_bytes" in result
