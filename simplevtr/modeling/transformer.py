"""The transformer over all cells of a clip: post-norm layers as in DETR (paper §3.5).

Positions are added to the keys and queries of attention and never to values. The encoder has no
final norm; the decoder's norm is applied to the output of every layer, so that auxiliary losses see
what the last layer's heads see.
"""

from functools import partial
from typing import Any

from simplevtr.modeling.attention import MultiheadAttention
from simplevtr.modeling.recompute import recomputed

import torch
from torch import Tensor, nn


class FeedForward(nn.Module):
    """Two linear layers with ReLU and a residual connection, followed by a norm."""

    def __init__(self, *, channels: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.linear1 = nn.Linear(channels, hidden)
        self.linear2 = nn.Linear(hidden, channels)
        self.norm = nn.LayerNorm(channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (B, N, C) to (B, N, C)."""
        hidden = self.dropout(self.linear1(tokens).relu())
        return self.norm(tokens + self.dropout(self.linear2(hidden)))


class Attention(nn.Module):
    """Multi-head attention with a residual connection, followed by a norm."""

    def __init__(self, *, channels: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = MultiheadAttention(channels=channels, heads=heads, dropout=dropout)
        self.norm = nn.LayerNorm(channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, *attended: Tensor | None) -> Tensor:
        """Add to ``tokens`` (B, N, C) what ``MultiheadAttention`` gives for its arguments."""
        return self.norm(tokens + self.dropout(self.attention(*attended)))


class EncoderLayer(nn.Module):
    """Self-attention over the cells of the clip, then feed-forward."""

    def __init__(self, *, channels: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.self_attention = Attention(channels=channels, heads=heads, dropout=dropout)
        self.feed_forward = FeedForward(channels=channels, hidden=hidden, dropout=dropout)

    def forward(self, cells: Tensor, position: Tensor, key_padding: Tensor | None) -> Tensor:
        """Map cells (B, S, C) with their position (B, S, C) to (B, S, C)."""
        located = cells + position
        return self.feed_forward(self.self_attention(cells, located, located, cells, key_padding))


class DecoderLayer(nn.Module):
    """Self-attention over the queries, attention to the memory, then feed-forward."""

    def __init__(self, *, channels: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.self_attention = Attention(channels=channels, heads=heads, dropout=dropout)
        self.cross_attention = Attention(channels=channels, heads=heads, dropout=dropout)
        self.feed_forward = FeedForward(channels=channels, hidden=hidden, dropout=dropout)

    def forward(self, slots: Tensor, query: Tensor, *memory: Tensor | None) -> Tensor:
        """Map slots (B, N, C), whose learned ``query`` is (B, N, C), to the same shape.

        ``memory`` are the keys (B, S, C), the encoder's output with the position added; the values
        (B, S, C), without; and the key padding.
        """
        located = slots + query
        slots = self.self_attention(slots, located, located, slots)
        return self.feed_forward(self.cross_attention(slots, slots + query, *memory))


class Transformer(nn.Module):
    """Encoder and decoder (paper §3.5: 4 + 4 layers; VisTR: 6 + 6)."""

    def __init__(
        self,
        *,
        channels: int,
        heads: int,
        hidden: int,
        dropout: float,
        encoder_layers: int,
        decoder_layers: int,
        decoder_input: str = "zeros",
        recompute_encoder: bool = False,
    ) -> None:
        """``decoder_input``: what the first decoder layer takes, "zeros" (DETR) or "query"."""
        super().__init__()
        self.decoder_input = decoder_input
        self.recompute_encoder = recompute_encoder
        sizes: Any = {"channels": channels, "heads": heads, "hidden": hidden, "dropout": dropout}
        self.encoder = nn.ModuleList(EncoderLayer(**sizes) for _ in range(encoder_layers))
        self.decoder = nn.ModuleList(DecoderLayer(**sizes) for _ in range(decoder_layers))
        self.decoder_norm = nn.LayerNorm(channels)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(
        self, cells: Tensor, position: Tensor, key_padding: Tensor | None, query: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Encode the cells of a clip and decode the queries.

        ``cells`` are (B, S, C), S = T * h * w projected features, frame-major; ``position``
        (B, S, C) is where they are, ``key_padding`` (B, S) bool, True where one is padding, or
        None. The learned ``query`` is (B, N, C).

        Returns:
            Slots after each decoder layer, normed, (L, B, N, C), and the memory (B, S, C).
        """
        for layer in self.encoder:
            run = partial(recomputed, layer) if self.recompute_encoder else layer
            cells = run(cells, position, key_padding)
        memory_key = cells + position
        slots = query if self.decoder_input == "query" else torch.zeros_like(query)
        after_layer = []
        for layer in self.decoder:
            slots = layer(slots, query, memory_key, cells, key_padding)
            after_layer.append(self.decoder_norm(slots))
        return torch.stack(after_layer), cells
