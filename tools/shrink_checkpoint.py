"""Keep the weights of a training checkpoint alone, in half precision, for sharing.

    python tools/shrink_checkpoint.py output/demo/clips/model_final.pth small.pth

The optimizer's state is left out, so the result can be evaluated or start a training, but not
resume one. Weights are rounded to float16; values outside of its range are refused.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installation too

from simplevtr.checkpoint import safe_reading
from simplevtr.terminal import command_parser, run_command

import torch


def shrink(source: Path, target: Path) -> int:
    """Write the weights of ``source`` to ``target`` and return its size in bytes.

    Raises:
        FileNotFoundError: if there is no ``source``.
        FileExistsError: if there is a ``target``.
        ValueError: if ``source`` is no checkpoint, holds no model, or has a value that does not
            fit into float16.
    """
    if target.exists():
        raise FileExistsError(f"{target} exists; choose another name")
    with safe_reading(str(source)):
        content = torch.load(source, map_location="cpu", weights_only=True)
    if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
        raise ValueError(f"{source} has no 'model', so it is no checkpoint of a training")
    weights = {}
    for name, value in content["model"].items():
        half = value.half() if value.is_floating_point() else value
        if value.is_floating_point() and not torch.isfinite(half).all():
            raise ValueError(f"{source}: {name} has values that do not fit into float16")
        weights[name] = half
    torch.save({"model": weights}, target)
    return target.stat().st_size


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status is 2 after a user's error."""
    parser = command_parser(__file__, __doc__)
    parser.add_argument("source", type=Path, help="checkpoint of a training (.pth)")
    parser.add_argument("target", type=Path, help="file to write (.pth)")
    return run_command(parser, run, arguments)


def run(options: argparse.Namespace) -> None:
    """Shrink ``options.source`` and print the new size."""
    size = shrink(options.source, options.target)
    print(f"wrote {options.target} ({size / 2**20:.1f} MiB)")


if __name__ == "__main__":
    sys.exit(main())
