"""Which of our names stands for which of VisTR's: one table, read in both directions.

A row pairs two name prefixes; what follows the prefix is the same on both sides. ``{}`` stands for
a number that both sides share, such as that of a layer.
"""

import re
from collections.abc import Callable, Iterable

Row = tuple[str, str]


class NameTable:
    """Rows of (their prefix, our prefix); ``to_ours`` and ``to_theirs`` translate names.

    Each prefix ends at a dot and occurs once on its side; of several that match a name the longest
    counts. The translation is None if no row matches.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows = tuple(rows)
        self.to_ours = _translator(self.rows)
        self.to_theirs = _translator((ours, theirs) for theirs, ours in self.rows)


def _translator(rows: Iterable[Row]) -> Callable[[str], str | None]:
    longest_first = sorted(rows, key=lambda row: len(row[0]), reverse=True)
    patterns = [(re.compile(re.escape(a).replace(r"\{\}", r"(\d+)")), b) for a, b in longest_first]

    def translate(name: str) -> str | None:
        for pattern, template in patterns:
            if match := pattern.match(name):
                return template.format(*match.groups()) + name[match.end() :]
        return None

    return translate


def _joined(theirs: str, ours: str, rows: Iterable[Row]) -> tuple[Row, ...]:
    return tuple((theirs + a, ours + b) for a, b in rows)


def _resnet_rows() -> list[Row]:
    """torchvision's names and detectron2's."""
    rows = [("conv1.", "stem.conv1."), ("bn1.", "stem.conv1.norm.")]
    for stage in (1, 2, 3, 4):
        theirs, ours = f"layer{stage}.{{}}.", f"res{stage + 1}.{{}}."
        for conv in (1, 2, 3):
            rows.append((f"{theirs}conv{conv}.", f"{ours}conv{conv}."))
            rows.append((f"{theirs}bn{conv}.", f"{ours}conv{conv}.norm."))
        rows.append((f"{theirs}downsample.0.", f"{ours}shortcut."))
        rows.append((f"{theirs}downsample.1.", f"{ours}shortcut.norm."))
    return rows


_FEED_FORWARD = [("linear1.", "feed_forward.linear1."), ("linear2.", "feed_forward.linear2.")]
_ENCODER = [
    ("self_attn.", "self_attention.attention."),
    ("norm1.", "self_attention.norm."),
    ("norm2.", "feed_forward.norm."),
    *_FEED_FORWARD,
]
_DECODER = [
    ("self_attn.", "self_attention.attention."),
    ("norm1.", "self_attention.norm."),
    ("multihead_attn.", "cross_attention.attention."),
    ("norm2.", "cross_attention.norm."),
    ("norm3.", "feed_forward.norm."),
    *_FEED_FORWARD,
]
# What DETR and VisTR share, without the prefix that VisTR gives it.
_DETR = [
    *_joined("backbone.0.body.", "backbone.", _resnet_rows()),
    ("input_proj.", "input_projection."),
    ("query_embed.", "query_embedding."),
    ("class_embed.", "class_head."),
    ("bbox_embed.", "box_head."),
    *_joined("transformer.encoder.layers.{}.", "transformer.encoder.{}.", _ENCODER),
    *_joined("transformer.decoder.layers.{}.", "transformer.decoder.{}.", _DECODER),
    ("transformer.decoder.norm.", "transformer.decoder_norm."),
]
_MASK_HEAD = [
    ("bbox_attention.q_linear.", "slot_attention.query."),
    ("bbox_attention.k_linear.", "slot_attention.key."),
    *((f"mask_head.lay{i}.", f"mask_head.layer{i}.conv.") for i in (1, 2, 3, 4)),
    *((f"mask_head.gn{i}.", f"mask_head.layer{i}.norm.") for i in (1, 2, 3, 4)),
    *((f"mask_head.adapter{i}.", f"mask_head.adapters.{i - 1}.") for i in (1, 2, 3)),
    ("mask_head.gn5.", "mask_head.deform.0.norm."),
]
_DEFORMABLE = [
    ("mask_head.dcn.", "mask_head.deform.0.conv."),
    ("mask_head.conv_offset.", "mask_head.deform.0.conv.offset."),
]
_TEMPORAL = [
    *((f"insmask_head.{3 * i}.", f"mask_head.temporal.{i}.conv.") for i in (0, 1, 2)),
    *((f"insmask_head.{3 * i + 1}.", f"mask_head.temporal.{i}.norm.") for i in (0, 1, 2)),
    ("insmask_head.9.", "mask_head.temporal.3."),
]
# DETR's mask head ends in two plain convolutions. The second gives the logit, as the last of two
# deformable ones does.
_PLAIN_END = [
    ("mask_head.lay5.", "mask_head.deform.0.conv."),
    ("mask_head.out_lay.", "mask_head.deform.1."),
]

VISTR = NameTable(
    _joined("", "network.", [*_joined("vistr.", "", _DETR), *_MASK_HEAD, *_DEFORMABLE, *_TEMPORAL])
)
# Reads DETR's weights, under VisTR's prefix (``layouts`` puts it there), with either's mask head.
DETR = NameTable((*VISTR.rows, *_joined("", "network.", _PLAIN_END)))
TORCHVISION = NameTable(_joined("", "network.backbone.", _resnet_rows()))
