"""Multi-head attention that never holds the weights of all queries and keys at once.

PyTorch's fused kernels do so too, but on a CPU they do not support dropout: there PyTorch falls
back to whole matrices, several of which are kept for the backward pass. In that case the weights of
a few queries at a time are computed here, and again in the backward pass (Rabe and Staats 2021,
with the queries divided but not the keys). The result is exact, dropout included.
"""

from simplevtr.modeling.recompute import recomputed

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

# Bytes of the attention weights that are computed together where no fused kernel runs; a few arrays
# of this size exist at once. Training takes as long as with whole matrices: arrays that fit into a
# CPU's cache make up for what is computed twice.
ATTENTION_CHUNK_BYTES = 16 * 2**20


class MultiheadAttention(nn.MultiheadAttention):
    """The parameters and results of ``nn.MultiheadAttention``, without weights to give back."""

    def __init__(self, *, channels: int, heads: int, dropout: float) -> None:
        super().__init__(channels, heads, dropout, batch_first=True)

    # Nothing calls it as its base class, whose parameters it has.
    def forward(  # type: ignore[override]
        self, query: Tensor, key: Tensor, value: Tensor, key_padding: Tensor | None = None
    ) -> Tensor:
        """Attend from (B, N, C) queries to (B, S, C) keys and values: (B, N, C).

        ``key_padding`` is (B, S) bool, True where a key is padding; None if nothing is padded,
        which lets PyTorch choose its fastest kernel.
        """
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        projected = (
            F.linear(x, weight, bias)
            for x, weight, bias in zip((query, key, value), weights, biases, strict=True)
        )
        allowed = None if key_padding is None else rearrange(~key_padding, "b s -> b 1 1 s")
        dropout = self.dropout if self.training else 0.0
        heads = self.num_heads
        return self.out_proj(attend(*projected, heads=heads, allowed=allowed, dropout=dropout))


def attend(*projected: Tensor, heads: int, allowed: Tensor | None, dropout: float = 0.0) -> Tensor:
    """Scaled dot-product attention, a few queries at a time where no fused kernel runs.

    Random numbers are drawn chunk after chunk, so which weights are dropped depends on
    ``ATTENTION_CHUNK_BYTES``; their distribution does not.

    Args:
        projected: queries (B, N, C), as the result, keys and values (B, S, C).
        heads: parts of C that attend on their own.
        allowed: (B, 1, 1 or N, S) bool, True where a key may be attended to; None if all may
            be. One row for all queries if there is dropout.
        dropout: rate at which weights are dropped.
    """
    parts = (rearrange(x, "b n (heads c) -> b heads n c", heads=heads) for x in projected)
    query, key, value = parts

    def attended(rows: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(
            rows, key, value, attn_mask=allowed, dropout_p=dropout
        )

    count = query.shape[2]
    # torch.nn.attention.sdpa_kernel, which CPUs heed as well, may ask for whole matrices.
    if query.device.type == "cpu" and dropout > 0 and torch.backends.cuda.flash_sdp_enabled():
        row_bytes = query.shape[0] * heads * key.shape[2] * query.element_size()
        count = max(1, ATTENTION_CHUNK_BYTES // row_bytes)
    if count >= query.shape[2]:
        result = attended(query)
    else:
        result = torch.cat([recomputed(attended, q) for q in query.split(count, dim=2)], dim=2)
    return rearrange(result, "b heads n c -> b n (heads c)")
