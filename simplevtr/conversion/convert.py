"""Weights of any known layout -> weights for one of our models."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from simplevtr.backbone_weights import backbone_names, is_caffe
from simplevtr.checkpoint import UNSEEN, warn_of_changes
from simplevtr.config import default_config
from simplevtr.config_file import flat
from simplevtr.conversion.classes import refit_classes
from simplevtr.conversion.conversion_report import ConversionReport, Entry
from simplevtr.conversion.convolutions import is_grouped, refit_deform, refit_stem
from simplevtr.conversion.draft import Draft, Target
from simplevtr.conversion.layouts import LAYOUTS, Layout, layout_of
from simplevtr.conversion.transformer import refit_layers, refit_queries

from torch import Tensor

logger = logging.getLogger(__name__)

# Convolutions of a ResNet; offsets of deformable ones are zero at first.
_LAYER = re.compile(r"network\.backbone\.(stem\.|res\d\.\d+\.)(conv\d|shortcut)\.weight")


def convert(
    weights: Mapping[str, Tensor],
    target: Target,
    *,
    layout: str | None = None,
    source_slots: int | None = None,
    source_class_offset: int | None = None,
    source_classes: Sequence[str] | None = None,
    colours: str = "auto",
    trained: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Tensor], ConversionReport]:
    """Turn weights into weights for a model.

    What has the model's shape is taken as it is; the rest is reinterpreted: layers and queries by
    the rules in transformer.py, classes by those in classes.py, convolutions in convolutions.py.

    Args:
        weights: name -> tensor, in one of the known layouts.
        target: the model.
        layout: key of ``LAYOUTS``, or None to recognise it by the names.
        source_slots: queries per frame of the source; None for the layout's (VisTR: 10; DETR: all).
        source_class_offset: unused leading class indices of the source; None for the layout's
            (VisTR and DETR: 1; ours: 0).
        source_classes: names of the source's classes after those; None for the layout's (VisTR:
            YTVIS-2019's; DETR: COCO's; ours: unknown here).
        colours: "rgb" for frames normalised by ImageNet's RGB statistics, as torchvision's weights
            expect; "caffe" for BGR in [0, 255] less the mean; "auto": "caffe" for weights of other
            code whose norms have their statistics folded in, else "rgb".
        trained: the config of a source of ours by whole keys, if known.

    Returns:
        Our names -> tensors, which share no memory with ``weights``, and what was done. Names of
        the model that are missing keep their initial weights.

    Raises:
        ValueError: if the layout is unknown, nothing fits, or an argument does not fit the source.
    """
    backbone = backbone_names(weights, target.weights) if layout is None else {}
    name = "timm" if backbone else layout or layout_of(weights)
    found = Layout(backbone.get) if backbone else LAYOUTS[name]
    if (frames := target.settings["INPUT.FORMAT"]) != "RGB" and name != "simplevtr":
        raise ValueError(f"INPUT.FORMAT is {frames}; weights of other code are converted for RGB")
    if name == "simplevtr" and trained:
        found = replace(found, slots=trained.get("MODEL.SIMPLEVTR.NUM_QUERIES"))
        if source_class_offset is None:
            source_class_offset = trained.get("MODEL.SIMPLEVTR.CLASS_OFFSET")
    draft = Draft(weights, found.to_ours)
    for ours, wanted in target.weights.items():  # what the rules below cannot mean
        piece = draft.pieces.get(ours)
        if piece and (piece.tensor.dim() != wanted.dim() or not piece.tensor.numel()):
            draft.drop(ours, "another shape", wanted)
    caffe = colours == "caffe" or (colours == "auto" and is_caffe(weights))
    if caffe:
        refit_stem(draft, target)
    refit_layers(draft, target)
    refit_queries(draft, target, found, source_slots)
    refit_classes(draft, target, found, source_class_offset, source_classes)
    refit_deform(draft, target)
    _drop_misfits(draft, target)
    initial = (Entry(n, tuple(v.shape)) for n, v in target.weights.items() if n not in draft.pieces)
    result, report = draft.finished(name, initial)
    what = f"the source (layout {name})"
    if all(name.endswith("num_batches_tracked") for name in result):
        raise ValueError(f"no tensor of {what} fits the model:\n{report.text()}")
    if name not in ("timm", "simplevtr"):  # trained as our defaults say, unless it is a variant
        what, trained = f"{what} is taken for one that", flat(default_config())
        if caffe:  # whose stem was rewritten for any deviation
            trained["MODEL.PIXEL_STD"] = target.settings["MODEL.PIXEL_STD"]
            trained["MODEL.RESNETS.STRIDE_IN_1X1"] = not is_grouped(draft)
    backbone_alone = all(key.startswith("network.backbone.") for key in result)
    changes = {
        key: (trained[key], value)
        for key, value in target.settings.items()
        if trained and trained.get(key, value) != value
        if not (backbone_alone and key.startswith("MODEL.SIMPLEVTR."))
    }
    warn_of_changes(what, changes, UNSEEN)
    return result, report


def _drop_misfits(draft: Draft, target: Target) -> None:
    backbone = {name for name in draft.pieces if name.startswith("network.backbone.")}
    misfits = []
    for name, piece in list(draft.pieces.items()):
        wanted = target.weights.get(name)
        if wanted is None:
            counter = name.endswith("num_batches_tracked")
            draft.drop(name, "frozen norms count no batches" if counter else "no place for it")
        elif piece.tensor.shape != wanted.shape:
            draft.drop(name, "another shape", wanted)
            misfits.append(name)
    for name in misfits:  # with initial weights a bias means nothing
        if (bias := name.removesuffix(".weight") + ".bias") in draft.pieces:
            draft.drop(bias, "the weight that this bias belongs to has another shape")
    lost = [n for n in backbone - draft.pieces.keys() if not n.endswith("num_batches_tracked")]
    new = [n for n in target.weights.keys() - draft.pieces.keys() if backbone and _LAYER.match(n)]
    if lost or new:
        text = "the backbone is not the source's: %d of its tensors do not fit, %d layers are new"
        logger.warning(text, len(lost), len(new))
