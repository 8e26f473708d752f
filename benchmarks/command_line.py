"""What the benchmarks' commands share: arguments, the config, tables, files and errors."""

import argparse
import functools
import platform
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from simplevtr import setup_cfg
from simplevtr.evaluation.ytvis_eval import without_nan
from simplevtr.formats.files import check_output, write_json
from simplevtr.modeling.precision import Precision
from simplevtr.run_config import check_device
from simplevtr.terminal import COUNT, Command, command, say

import torch
from detectron2.config import CfgNode
from tabulate import tabulate


def model_config(args: argparse.Namespace) -> CfgNode:
    """The frozen config of the options, see ``check_measured``; threads are set from here on."""
    torch.set_num_threads(args.threads)
    cfg = setup_cfg(args.config_file, args.opts)
    check_measured(cfg)
    cfg.freeze()
    return cfg


def check_measured(cfg: CfgNode) -> None:
    """ValueError if ``MODEL.DEVICE``, or a number format on it, cannot be measured."""
    check_device(cfg)
    device = torch.device(cfg.MODEL.DEVICE)
    Precision.from_config(cfg).check(device)
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"MODEL.DEVICE is {cfg.MODEL.DEVICE}; only a CPU or CUDA is measured")


def machine(device: str) -> str:
    """The name of the GPU or the processor."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8") if info.is_file() else ""
    found = re.search(r"^model name\s*: (.*)", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """The rows, cells by title, as Markdown; a cell that a row lacks is empty."""
    return tabulate(rows, "keys", tablefmt="github", disable_numparse=True)


def benchmark(
    add_arguments: Callable[[argparse.ArgumentParser], None], *, model: bool = False
) -> Callable[[Callable[[argparse.Namespace], tuple[Any, str]]], Command]:
    """Decorate a function that measures, see ``command``.

    It returns the figures, which JSON can hold, and the text to print; the exit status is 1 if one
    of several rows of figures is an error (``measured_rows``). ``--json`` says where the figures
    go; with ``model`` the command has the options of ``model_config``.
    """

    def add_all(parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add("--json", metavar="FILE", help="also write the figures to this .json file")
        add("--overwrite", action="store_true", help="replace files that exist")
        if model:
            add("--config-file", required=True, metavar="YAML")
            add("--threads", type=COUNT, default=1, help="CPU threads (default 1)")
            add("opts", nargs="*", metavar="KEY VALUE", help="config keys and values")
        add_arguments(parser)

    def decorate(measure: Callable[[argparse.Namespace], tuple[Any, str]]) -> Command:
        # What the machine cannot compute, or has no memory for, also ends in one line.
        @command(add_all, errors=(FloatingPointError, torch.OutOfMemoryError))
        @functools.wraps(measure)
        def measured(args: argparse.Namespace) -> int:
            if args.json is not None:
                check_output(args.json, overwrite=args.overwrite, suffixes=(".json",))
            figures, text = measure(args)
            if args.json is not None:
                write_json(args.json, without_nan(figures), overwrite=args.overwrite, indent=2)
            say(text)
            return int(isinstance(figures, list) and any("error" in row for row in figures))

        return measured

    return decorate
