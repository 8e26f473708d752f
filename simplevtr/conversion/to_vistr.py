"""Our weights -> VisTR's published layout, by the same table of names."""

from collections.abc import Mapping

from simplevtr.conversion.conversion_report import ConversionReport, Entry
from simplevtr.conversion.convolutions import OUTPUTS, refit_layer
from simplevtr.conversion.draft import Draft, Piece
from simplevtr.conversion.layouts import LAYOUTS, layout_of
from simplevtr.conversion.names import VISTR, translator
from simplevtr.conversion.transformer import QUERIES

from torch import Tensor

SHOWN = 20  # names in an error
_DEFORM = "network.mask_head.deform.0.conv."
_LOGIT = "network.mask_head.temporal.3."
_to_theirs = translator((ours, theirs) for theirs, ours in VISTR)


def to_vistr(
    weights: Mapping[str, Tensor],
    *,
    slots: int = 10,
    query_frames: int | None = None,
    partial: bool = False,
) -> tuple[dict[str, Tensor], ConversionReport]:
    """Name our weights as VisTR's published checkpoints do.

    Tensors are taken as they are. A plain convolution gets offsets of zeros, the same function.

    Args:
        weights: our name -> tensor.
        slots: instance slots Q.
        query_frames: T of queries with a frame axis, 0 without; None if the rows tell: more than
            ``slots`` have one.
        partial: whether to leave out what VisTR has no place for, to cut v2 deformable layers with
            larger offset kernels down to VisTR's, and to do without what only VisTR has.

    Returns:
        VisTR's names -> tensors, which share no memory with ``weights``, and what was done.

    Raises:
        ValueError: if the names are not ours; without ``partial`` if VisTR has no place for a part
            or the source lacks one, with the names.
    """
    layout = layout_of(weights)
    if layout != "simplevtr":
        raise ValueError(
            f"the source has the layout {layout}; only our own is written in VisTR's (convert it "
            "to a model of ours first)"
        )
    to_ours = LAYOUTS[layout].to_ours
    draft = Draft(weights, to_ours)
    strange = {name: "not a name of ours" for name in weights if to_ours(name) is None}
    homeless, missing = _homeless(draft, slots, query_frames), _missing(draft)
    unfit = strange | homeless | _foreign_offsets(draft) | missing
    if not partial and unfit:
        lines = [f"{name}: {why}" for name, why in unfit.items()]
        more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        raise ValueError(
            "the weights do not make a VisTR (--partial writes what does):\n  "
            + "\n  ".join(lines[:SHOWN] + more)
        )
    for ours, why in homeless.items():
        draft.drop(ours, why)
    _give_vistrs_offsets(draft)
    named = ((_to_theirs(ours), piece) for ours, piece in draft.pieces.items())
    draft.pieces = {theirs: piece for theirs, piece in named if theirs}
    return draft.finished(layout, (Entry(name, None, why) for name, why in missing.items()))


def _homeless(draft: Draft, slots: int, query_frames: int | None) -> dict[str, str]:
    """Our names that VisTR has no place for, with the reason."""
    unknown = (name for name in draft.pieces if _to_theirs(name) is None)
    result = dict.fromkeys(unknown, "VisTR has no such part")
    if QUERIES in draft.pieces:
        rows = len(draft.pieces[QUERIES].tensor)
        frames = rows / slots if query_frames is None else query_frames
        if frames <= 1 and query_frames != 1:
            result[QUERIES] = f"its {rows} queries have no frame axis, and VisTR's have one"
        elif rows != frames * slots or frames != int(frames):
            raise ValueError(f"{rows} queries are not a multiple of {slots} slots (--source-slots)")
    for name, piece in draft.pieces.items():
        if name.startswith(_LOGIT) and len(piece.tensor) != 1:
            result[name] = f"VisTR has one mask logit a pixel, not {len(piece.tensor)}"
    return result


def _foreign_offsets(draft: Draft) -> dict[str, str]:
    """The offset layer, if it is not VisTR's 1x1 layer of 18 outputs, with the reasons."""
    offset = draft.pieces.get(f"{_DEFORM}offset.weight")
    reasons = []
    if offset is not None and len(offset.tensor) != OUTPUTS["dcnv1"]:
        reasons.append("VisTR's deformable convolution has no modulation (v2)")
    if offset is not None and offset.tensor.shape[-1] != 1:
        reasons.append("VisTR's offset kernel is 1")
    return {f"{_DEFORM}offset.weight": "; ".join(reasons)} if reasons else {}


def _missing(draft: Draft) -> dict[str, str]:
    """VisTR's parts, but for repeated ones, that no piece becomes."""
    has = [*draft.pieces]
    if f"{_DEFORM}weight" in has:  # a plain convolution gets offsets
        has.append(f"{_DEFORM}offset.")
    return {
        theirs.rstrip("."): "VisTR's, and not in the source"
        for theirs, ours in VISTR
        if "{}" not in ours and not any(name.startswith(ours) for name in has)
    }


def _give_vistrs_offsets(draft: Draft) -> None:
    """Make the deformable layer v1 with a 1x1 offset layer."""
    weight, offset, bias = (_DEFORM + k for k in ("weight", "offset.weight", "offset.bias"))
    if weight not in draft.pieces:
        return
    if offset in draft.pieces:
        refit_layer(draft, _DEFORM, "dcnv1", 1)
    else:
        tensor, outputs = draft.pieces[weight].tensor, OUTPUTS["dcnv1"]
        zeros = ("plain -> dcnv1: offsets of zeros, the same function",)
        draft.pieces[offset] = Piece(tensor.new_zeros(outputs, tensor.shape[1], 1, 1), (), zeros)
        draft.pieces[bias] = Piece(tensor.new_zeros(outputs), (), zeros)
