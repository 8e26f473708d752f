"""Which of our names stands for which of VisTR's: one table, read in both directions.

A row pairs a prefix of theirs with ours; what follows the prefix is the same on both sides. ``{}``
stands for a number that both sides share, such as that of a layer.
"""

import re
from collections.abc import Callable, Iterable

Row = tuple[str, str]


def translator(rows: Iterable[Row]) -> Callable[[str], str | None]:
    """What turns a name with the first prefix of a row into one with the second, or None.

    Each prefix ends at a dot and occurs once on its side; of several that match a name the longest
    counts.
    """
    longest_first = sorted(rows, key=lambda row: len(row[0]), reverse=True)
    patterns = [(re.compile(re.escape(a).replace(r"\{\}", r"(\d+)")), b) for a, b in longest_first]

    def translate(name: str) -> str | None:
        for pattern, template in patterns:
            if match := pattern.match(name):
                return template.format(*match.groups()) + name[match.end() :]
        return None

    return translate


def _prefixed(theirs: str, ours: str, rows: Iterable[Row]) -> list[Row]:
    return [(theirs + a, ours + b) for a, b in rows]


# torchvision's names and detectron2's.
_BLOCK = [
    ("conv{}.", "conv{}."),
    ("bn{}.", "conv{}.norm."),
    ("downsample.0.", "shortcut."),
    ("downsample.1.", "shortcut.norm."),
]
_BLOCKS = [(f"layer{stage}.{{}}.", f"res{stage + 1}.{{}}.") for stage in (1, 2, 3, 4)]
_RESNET = [("conv1.", "stem.conv1."), ("bn1.", "stem.conv1.norm.")]
for _theirs, _ours in _BLOCKS:
    _RESNET += _prefixed(_theirs, _ours, _BLOCK)

_LAYER = [
    ("self_attn.", "self_attention.attention."),
    ("norm1.", "self_attention.norm."),
    ("linear1.", "feed_forward.linear1."),
    ("linear2.", "feed_forward.linear2."),
]
_ENCODER = [*_LAYER, ("norm2.", "feed_forward.norm.")]
_DECODER = [
    *_LAYER,
    ("multihead_attn.", "cross_attention.attention."),
    ("norm2.", "cross_attention.norm."),
    ("norm3.", "feed_forward.norm."),
]
# What DETR and VisTR share, without the prefix that VisTR gives it.
_DETR = [
    *_prefixed("backbone.0.body.", "backbone.", _RESNET),
    ("input_proj.", "input_projection."),
    ("query_embed.", "query_embedding."),
    ("class_embed.", "class_head."),
    ("bbox_embed.", "box_head."),
    *_prefixed("transformer.encoder.layers.{}.", "transformer.encoder.{}.", _ENCODER),
    *_prefixed("transformer.decoder.layers.{}.", "transformer.decoder.{}.", _DECODER),
    ("transformer.decoder.norm.", "transformer.decoder_norm."),
]
_MASK_HEAD = [
    ("bbox_attention.q_linear.", "slot_attention.query."),
    ("bbox_attention.k_linear.", "slot_attention.key."),
    *((f"mask_head.lay{i}.", f"mask_head.layer{i}.conv.") for i in (1, 2, 3, 4)),
    *((f"mask_head.gn{i}.", f"mask_head.layer{i}.norm.") for i in (1, 2, 3, 4)),
    *((f"mask_head.adapter{i}.", f"mask_head.adapters.{i - 1}.") for i in (1, 2, 3)),
    ("mask_head.gn5.", "mask_head.deform.0.norm."),
    ("mask_head.dcn.", "mask_head.deform.0.conv."),
    ("mask_head.conv_offset.", "mask_head.deform.0.conv.offset."),
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

VISTR = _prefixed("", "network.", [*_prefixed("vistr.", "", _DETR), *_MASK_HEAD])
# Reads DETR's weights, under VisTR's prefix (``layouts`` puts it there), with either's mask head.
DETR = [*VISTR, *_prefixed("", "network.", _PLAIN_END)]
# What else is in a block (squeeze and excitation) is the backbone's too, though we have no place.
TORCHVISION = _prefixed("", "network.backbone.", [*_RESNET, *_BLOCKS])
