"""Write a trained model as one file that other programs run: ONNX, or torch.export's .pt2.

    simplevtr export --config-file CFG --weights model_final.pth --output model.onnx
    simplevtr export --weights model.safetensors --format torch --output model.pt2

The graph takes uint8 frames of one window, of any number and, in multiples of the backbone's
stride, any size, and returns scores, mask logits and, of the paper's head, boxes of all slots. The
file's metadata describes them and has the class names. Backbones that cannot be exported for every
size (Swin, Twins, models of timm with one size) need --size. The file is compared with the model
before it is kept.
"""

import argparse
from pathlib import Path

from simplevtr.terminal import COUNT, add_model, command, say

SUFFIXES = {"onnx": ".onnx", "torch": ".pt2"}


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add_model(parser)
    add("--format", choices=SUFFIXES, help="default: that of OUTPUT's suffix")
    add("--output", type=Path, required=True, metavar="FILE", help=".onnx or .pt2")
    add("--size", type=COUNT, nargs=2, metavar=("HEIGHT", "WIDTH"),
        help="the only frame size, for backbones that do not take any")  # fmt: skip
    add("--overwrite", action="store_true", help="replace an existing file")
    add("opts", nargs="*", metavar="KEY VALUE", help="config keys and values")


@command(_add_options, intermixed=True)
def main(options: argparse.Namespace) -> None:
    """Export the model and print where it is and how close its outputs are."""
    from simplevtr.formats.files import check_output
    from simplevtr.inference.exported_model import ExportedModel, check_packages
    from simplevtr.run_config import model_cfg

    suffixes = [SUFFIXES[options.format]] if options.format else [*SUFFIXES.values()]
    path = check_output(options.output, overwrite=options.overwrite, suffixes=suffixes)
    is_onnx = path.suffix.lower() == SUFFIXES["onnx"]
    if is_onnx:
        check_packages()
    cfg = model_cfg(options.config_file, options.weights, options.opts)
    exported = ExportedModel.of_config(cfg, tuple(options.size) if options.size else None)
    difference = exported.write_onnx(path) if is_onnx else exported.write_torch(path)
    say(f"wrote {path} ({path.stat().st_size / 2**20:.1f} MiB); outputs differ from the model's "
          f"by at most {difference:.1e}")  # fmt: skip
