"""Weights for the official VisTR layout, made from the names alone, and the clips they were run on.

The expected numbers in ``tests/data/vistr_*.npz`` are those of the official code (commit 445c9e4)
with weights filled by this rule: a generator seeded with the name draws every entry; rows of
matrices are centred and scaled by their fan-in; factors keep the queries apart.
"""

import gzip
import hashlib
import json
import re
from pathlib import Path

import torch

DATA = Path(__file__).parent / "data"

# Pattern of the whole name -> factor.
FACTORS = {
    r"vistr\.backbone\..*(conv\d|downsample\.0)\.weight": 2**0.5,
    r"vistr\.query_embed\.weight": 384**0.5,
    r"vistr\.input_proj\.weight": 0.5,
    r"vistr\.transformer\.encoder\.layers\.\d\.self_attn\.out_proj\.weight": 0.5,
    r"vistr\.transformer\.decoder\.layers\.\d\.multihead_attn\.in_proj_weight": 1.5,
    r"vistr\.class_embed\.weight": 2,
    r"vistr\.bbox_embed\.layers\.2\.weight": 2.5,
    r"bbox_attention\.[qk]_linear\.weight": 1.5,
    r"mask_head\.adapter\d\.weight": 0.3,
    r"insmask_head\.9\.weight": 4,
}
MEMORY_CHANNELS = 384
ATTENTION_FACTOR = 400


def official_layout() -> dict[str, tuple[int, ...]]:
    """Names and shapes of an official R-50 checkpoint with 40 queries (4 frames)."""
    with gzip.open(DATA / "vistr_layout.json.gz", "rt") as file:
        return {name: tuple(shape) for name, shape in json.load(file)}


def official_weights() -> dict[str, torch.Tensor]:
    """The official layout, filled."""
    return {name: filled(name, shape) for name, shape in official_layout().items()}


def filled(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """One entry, float32, by the rule of the module's docstring."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")
    value = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    if len(shape) > 1:
        value -= value.mean(dim=tuple(range(1, len(shape))), keepdim=True)
        value *= (value[0].numel()) ** -0.5
    elif name.endswith("running_var"):
        value = 1 + 0.1 * value.abs()
    elif name.endswith("weight"):
        value = 1 + 0.1 * value
    else:
        value = 0.1 * value
    for pattern, factor in FACTORS.items():
        if re.fullmatch(pattern, name):
            value *= factor
    if name == "mask_head.lay1.weight":
        value[:, MEMORY_CHANNELS:] *= ATTENTION_FACTOR
    return value


def clip(*, padded: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The normalised frames (1, 4, 3, 96, 128) and the padding mask (1, 4, 96, 128) or None."""
    frames = torch.randn(1, 4, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    if not padded:
        return frames, None
    mask = torch.ones(1, 4, 96, 128, dtype=torch.bool)
    mask[..., :60, :90] = False
    return frames.masked_fill(mask[:, :, None], 0), mask
