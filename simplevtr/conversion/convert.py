"""Weights of any known layout -> weights for one of our models."""

from collections.abc import Mapping, Sequence

from simplevtr.conversion.classes import refit_classes
from simplevtr.conversion.convolutions import has_folded_statistics, refit_deform, refit_stem
from simplevtr.conversion.draft import Draft, Piece, Target
from simplevtr.conversion.layouts import Layout, layout_of
from simplevtr.conversion.report import ConversionReport, Entry, finished
from simplevtr.conversion.transformer import refit_layers, refit_queries

from torch import Tensor

COLOURS = ("auto", "rgb", "caffe")


def convert(
    weights: Mapping[str, Tensor],
    target: Target,
    *,
    layout: str | None = None,
    source_slots: int | None = None,
    source_class_offset: int | None = None,
    source_classes: Sequence[str] | None = None,
    colours: str = "auto",
) -> tuple[dict[str, Tensor], ConversionReport]:
    """Turn weights into weights for a model.

    What has the model's shape is taken as it is. Layers, queries, classes and deformable
    convolutions of another make are reinterpreted by the rules in the modules of that name.

    Args:
        weights: name -> tensor, in one of the known layouts.
        target: the model.
        layout: key of ``layouts.LAYOUTS``, or None to recognise it by the names.
        source_slots: queries a frame of the source; None for the layout's (VisTR: 10; DETR: all).
        source_class_offset: unused leading class indices of the source; None for the layout's
            (VisTR and DETR: 1; ours: 0).
        source_classes: names of the source's classes behind those; None for the layout's (VisTR:
            YTVIS-2019's; DETR: COCO's; ours: unknown).
        colours: "rgb" for frames normalised by ImageNet's RGB statistics, as torchvision's weights
            expect; "caffe" for BGR in [0, 255] less the mean; "auto": "caffe" for weights with
            detectron2's names whose first norm has its statistics folded in, else "rgb".

    Returns:
        Our names -> tensors, which share no memory with ``weights``, and what was done. Names of
        the model that are missing keep their initial weights.

    Raises:
        ValueError: if the layout is unknown, nothing fits, or an argument does not fit the source.
    """
    name, found = layout_of(weights, layout)
    if colours not in COLOURS:
        raise ValueError(f"colours is {colours!r}; allowed are {', '.join(COLOURS)}")
    draft = _rename(weights, found)
    folded = colours == "auto" and name == "detectron2" and has_folded_statistics(draft)
    if colours == "caffe" or folded:
        refit_stem(draft, target)
    refit_layers(draft, target)
    refit_queries(draft, target, found, source_slots)
    refit_classes(draft, target, found, source_class_offset, source_classes)
    refit_deform(draft, target)
    _drop_biases_of_misfits(draft, target)
    result, report = _collect(draft, weights, target, name)
    if not result:
        raise ValueError(
            f"no tensor of the source (layout {name}) fits the model:\n{report.text()}"
        )
    return result, report


def _rename(weights: Mapping[str, Tensor], layout: Layout) -> Draft:
    draft = Draft({})
    for name, tensor in weights.items():
        ours = layout.to_ours(name)
        if ours in draft.pieces:
            raise ValueError(f"{draft.pieces[ours].sources[0]} and {name} are both {ours}")
        if ours is not None:
            draft.pieces[ours] = Piece(tensor, (name,))
    return draft


def _drop_biases_of_misfits(draft: Draft, target: Target) -> None:
    """Leave out biases whose weight does not fit: with initial weights they mean nothing."""
    both = draft.pieces.keys() & target.weights.keys()
    fits = {n for n in both if draft.pieces[n].tensor.shape == target.weights[n].shape}
    for weight in both - fits:
        bias = weight.removesuffix(".weight") + ".bias"
        if bias in fits:
            draft.drop([bias], "the weight that this bias belongs to has another shape")


def _collect(
    draft: Draft, weights: Mapping[str, Tensor], target: Target, layout: str
) -> tuple[dict[str, Tensor], ConversionReport]:
    """Take what fits and account for every tensor of both sides."""
    pieces: dict[str, Piece] = {}
    misfits: dict[str, tuple[int, ...]] = {}
    for name, wanted in target.weights.items():
        piece = draft.pieces.get(name)
        if piece is not None and piece.tensor.shape == wanted.shape:
            pieces[name] = piece
        elif piece is not None:
            misfits.update(dict.fromkeys(piece.sources, tuple(wanted.shape)))
    used = {source for piece in pieces.values() for source in piece.sources}
    left_out = []
    for name, tensor in weights.items():
        if name not in used:
            why = "another shape" if name in misfits else "no place for it"
            if name.endswith("num_batches_tracked"):
                why = "frozen norms count no batches"
            why = draft.reasons.get(name, why)
            left_out.append(Entry(name, tuple(tensor.shape), why, misfits.get(name)))
    missing = (name for name in target.weights if name not in pieces)
    initial = [Entry(name, tuple(target.weights[name].shape)) for name in missing]
    return finished(layout, pieces, left_out, initial)
