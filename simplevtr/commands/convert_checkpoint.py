r"""Turn weights of other code bases, or of another config, into weights for a config's model.

    python tools/convert_checkpoint.py vistr_r50.pth vistr.pth \
        --config-file configs/youtubevis_2019/vistr_R50.yaml
    python tools/convert_checkpoint.py resnet50.safetensors start.pth \
        --config-file configs/youtubevis_2019/simplevtr_R50.yaml MODEL.SIMPLEVTR.ENC_LAYERS 2
    python tools/convert_checkpoint.py vistr.pth official.pth --to vistr
    python tools/convert_checkpoint.py output/model_final.pth small.safetensors --half

Without a config the weights of SOURCE are written as they are, without the other states of a
training: for sharing, with --half in float16. A .safetensors file has the config inside, the given
one or that of SOURCE's training, so that the demo and --eval-only need no other file. The result
can be evaluated or start a training, but not resume one. Of a checkpoint that has an average
(SOLVER.EMA_DECAY) the average is taken.

The result starts a training as ``MODEL.WEIGHTS``; a report says what became of every tensor. Read
are .pth, .pt, .safetensors and detectron2's .pkl files, without running code from them, in these
layouts, recognised by their names:

  vistr        VisTR's published checkpoints
  detr         DETR, on COCO or of VisTR's widths, with or without its mask head
  torchvision  ResNets with torchvision's names, as timm's are
  detectron2   ResNets and detectors of detectron2 with one
  simplevtr    ours, of another config

and models of timm, if the config has the same as its backbone (MODEL.TIMM), by their names or by
the order and shapes of their tensors.

ResNets are expected to be trained on RGB frames normalised by ImageNet's statistics, torchvision's
way. Caffe's (BGR, "MSRA") are recognised by folded statistics of norms and rewritten; others need
--source-colours caffe. What no tensor shows is told where SOURCE's training had it otherwise.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simplevtr.data.categories import DATASET_CATEGORIES
from simplevtr.terminal import COUNT, NATURAL, command, say

if TYPE_CHECKING:  # they take seconds to import
    from simplevtr.conversion.draft import Target
    from simplevtr.structures import Classes

    from torch import Tensor

# The layouts of simplevtr.conversion, which takes seconds to import.
LAYOUTS = ("vistr", "detr", "torchvision", "detectron2", "simplevtr")
COLOURS = ("auto", "rgb", "caffe")


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("source", type=Path, help="weights to read")
    add("target", type=Path, help="file to write (.pth or .safetensors)")
    add("--config-file", help="config of the model to convert for")
    add("opts", nargs="*", metavar="KEY VALUE", help="config keys and values")
    add("--layout", choices=LAYOUTS, help="of SOURCE, if the names do not tell")
    slots = "queries per frame of SOURCE (vistr: 10; detr: all)"
    add("--source-slots", type=COUNT, metavar="Q", help=slots)
    offset = "leading class indices of SOURCE that no category uses (vistr, detr: 1; else 0)"
    add("--source-class-offset", type=NATURAL, metavar="N", help=offset)
    dataset = (
        "dataset whose classes SOURCE has, e.g. ytvis_2019_train (vistr's); rows of the class "
        "head go by name if the config's classes are others"
    )
    add("--source-dataset", choices=DATASET_CATEGORIES, metavar="NAME", help=dataset)
    colours = "frames that SOURCE expects: rgb (torchvision's) or caffe (BGR)"
    add("--source-colours", choices=COLOURS, default="auto", help=colours)
    to = "names to write; vistr takes weights of ours, or converts for the config first"
    add("--to", choices=("simplevtr", "vistr"), default="simplevtr", help=to)
    partial = "with --to vistr: leave out what VisTR has no place for, do without what it lacks"
    add("--partial", action="store_true", help=partial)
    add("--half", action="store_true", help="write float16, half of the size")
    add("--overwrite", action="store_true", help="replace TARGET if it exists")
    add("--verbose", action="store_true", help="report every tensor")


def _of_config(options: argparse.Namespace) -> list[str]:
    """The options given that only a conversion for a config uses."""
    names = ["layout", "source_class_offset", "source_dataset", "source_colours"]
    names += ["source_slots"] * (options.to != "vistr")
    given = [name for name in names if getattr(options, name) not in (None, COLOURS[0])]
    return [f"--{name.replace('_', '-')}" for name in given]


def _fitted(
    weights: dict[str, Tensor],
    classes: Classes | None,
    trained: dict[str, Any] | None,
    target: Target,
    options: argparse.Namespace,
) -> tuple[dict[str, Tensor], Classes | None]:
    """The weights that fit a config's model, and the classes that their rows are of, if known."""
    from simplevtr.conversion import convert
    from simplevtr.conversion.classes import BIAS, WEIGHT

    known, offset = DATASET_CATEGORIES.get(options.source_dataset), options.source_class_offset
    names: Sequence[str] | None = [name for _, name in known] if known else None
    if names is None and classes is not None and BIAS in weights:
        names = classes.names
        if offset is None:
            offset = max(0, len(weights[BIAS]) - len(names) - 1)
    weights, report = convert(
        weights,
        target,
        layout=options.layout,
        source_slots=options.source_slots,
        source_class_offset=offset,
        source_classes=names,
        colours=options.source_colours,
        trained=trained,
    )
    say(report.text(options.verbose))
    if options.to == "vistr" and report.left_out and not options.partial:
        left_out = ", ".join(entry.name for entry in report.left_out[:20])
        raise ValueError(
            f"{len(report.left_out)} tensors have no place in the model of the config "
            f"(--partial leaves them out): {left_out}"
        )
    kept = any(entry.name == WEIGHT for entry in report.taken)  # else other rows than SOURCE's
    return weights, classes if kept else None


@command(_add_options, intermixed=True)
def main(options: argparse.Namespace) -> None:
    """Convert ``options.source``, write ``options.target`` and print the report."""
    from simplevtr import weights_file
    from simplevtr.checkpoint import trained_config
    from simplevtr.conversion import target_of_config, to_vistr
    from simplevtr.run_config import setup_cfg

    if options.config_file is None and options.opts:
        raise ValueError(f"options need a --config-file: {' '.join(options.opts)}")
    if options.config_file is None and (idle := _of_config(options)):
        raise ValueError(f"{', '.join(idle)}: only a conversion for a --config-file uses this")
    if options.partial and options.to != "vistr":
        raise ValueError("--partial is about what VisTR has no place for: it needs --to vistr")
    weights_file.check_writable(
        options.target, overwrite=options.overwrite, inputs=[options.source]
    )
    checkpoint = weights_file.read_checkpoint(options.source)
    weights, which = weights_file.weights_of(checkpoint, options.source)
    classes = weights_file.classes_of(checkpoint, options.source)
    config = weights_file.config_of(checkpoint)
    say(f"{options.source}: {which}")
    is_ours = any(name.startswith("network.") for name in weights)
    trained = trained_config(checkpoint if is_ours else {}, f"the config inside {options.source}")
    known = trained or {}
    slots = options.source_slots or known.get("MODEL.SIMPLEVTR.NUM_QUERIES", 10)  # VisTR's
    query_frames = known.get("MODEL.SIMPLEVTR.QUERY_FRAMES")
    if options.config_file is not None:
        cfg = setup_cfg(options.config_file, options.opts)
        target, config = target_of_config(cfg), cfg.dump()
        weights, classes = _fitted(weights, classes, trained, target, options)
        slots, query_frames = target.slots, target.query_frames
    if options.to == "vistr":
        config = None  # VisTR's names are not those of its model
        weights, report = to_vistr(
            weights, slots=slots, query_frames=query_frames, partial=options.partial
        )
        say(report.text(options.verbose))
    if options.half:
        weights = weights_file.half_precision(weights, options.source)
    size = weights_file.write_weights(
        weights, options.target, overwrite=options.overwrite, classes=classes, config=config
    )
    if options.target.suffix.lower() == ".safetensors" and config is None:
        say("without a config inside: --config-file names one")
    say(f"wrote {options.target} ({size / 2**20:.1f} MiB)")
