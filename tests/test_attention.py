"""Attention gives what PyTorch's gives, and with dropout no whole matrix exists on a CPU either."""

import math

from benchmarks.measure import saved_tensor_bytes
from simplevtr.modeling import attention
from simplevtr.modeling.attention import MultiheadAttention, attend
from simplevtr.modeling.transformer import Transformer

import pytest
import torch
import torch.nn.functional as F
from conftest import LargestTensor
from einops import rearrange
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

CLIPS, HEADS, QUERIES, KEYS, WIDTH = 2, 3, 11, 7, 4
RATE = 0.4
# Of the weights of four queries, so that eleven make three chunks.
FOUR_ROWS = 4 * CLIPS * HEADS * KEYS * 8


def tensors(*shapes):
    generator = torch.Generator().manual_seed(5)
    return [
        torch.randn(shape, dtype=torch.float64, generator=generator).requires_grad_()
        for shape in shapes
    ]


def padding():
    mask = torch.zeros(CLIPS, KEYS, dtype=torch.bool)
    mask[1, 4:] = True
    return mask


@pytest.fixture(params=[False, True], ids=["whole", "padded"])
def key_padding(request):
    return padding() if request.param else None


@pytest.mark.parametrize(("rate", "training"), [(0.0, True), (RATE, False)])
def test_results_and_gradients_are_those_of_pytorch(key_padding, rate, training, monkeypatch):
    monkeypatch.setattr(attention, "ATTENTION_CHUNK_BYTES", FOUR_ROWS)
    channels = HEADS * WIDTH
    ours = MultiheadAttention(channels=channels, heads=HEADS, dropout=rate).double()
    theirs = nn.MultiheadAttention(channels, HEADS, rate, batch_first=True).double()
    nn.init.normal_(ours.in_proj_bias)
    nn.init.normal_(ours.out_proj.bias)
    theirs.load_state_dict(ours.state_dict())
    inputs = tensors(*[(CLIPS, n, channels) for n in (QUERIES, KEYS, KEYS)])
    for module in (ours, theirs):
        module.train(training)
    out = ours(*inputs, key_padding)
    expected, _ = theirs(*inputs, key_padding_mask=key_padding, need_weights=False)
    torch.testing.assert_close(out, expected)
    for one, two in zip(
        torch.autograd.grad(out.square().sum(), [*inputs, *ours.parameters()]),
        torch.autograd.grad(expected.square().sum(), [*inputs, *theirs.parameters()]),
        strict=True,
    ):
        torch.testing.assert_close(one, two)


def materialised(query, key, value, key_padding, chunks):
    """The formula with whole matrices; what is dropped is drawn chunk after chunk."""
    query, key, value = (
        rearrange(x, "b n (heads c) -> b heads n c", heads=HEADS) for x in (query, key, value)
    )
    scores = query @ key.mT / math.sqrt(WIDTH)
    if key_padding is not None:
        scores = scores.masked_fill(key_padding[:, None, None], -math.inf)
    kept = [
        F.dropout(torch.ones(CLIPS, HEADS, rows, KEYS, dtype=query.dtype), RATE) for rows in chunks
    ]
    out = (scores.softmax(-1) * torch.cat(kept, dim=2)) @ value
    return rearrange(out, "b heads n c -> b n (heads c)")


@pytest.mark.parametrize(
    ("chunk_bytes", "chunks"),
    [(2**20, [11]), (FOUR_ROWS, [4, 4, 3]), (FOUR_ROWS - 1, [3, 3, 3, 2]), (1, [1] * 11)],
)
def test_dropout_of_weights_and_its_gradients(key_padding, chunk_bytes, chunks, monkeypatch):
    monkeypatch.setattr(attention, "ATTENTION_CHUNK_BYTES", chunk_bytes)
    inputs = tensors(*[(CLIPS, n, HEADS * WIDTH) for n in (QUERIES, KEYS, KEYS)])
    allowed = None if key_padding is None else ~key_padding[:, None, None]
    torch.manual_seed(3)
    out = attend(*inputs, heads=HEADS, allowed=allowed, dropout=RATE)
    after = torch.rand(1)
    gradients = torch.autograd.grad(out.square().sum(), inputs)
    torch.manual_seed(3)
    expected = materialised(*inputs, key_padding, chunks)
    torch.testing.assert_close(out, expected)
    assert after == torch.rand(1)  # what comes next draws what it would have drawn
    for one, two in zip(
        gradients, torch.autograd.grad(expected.square().sum(), inputs), strict=True
    ):
        torch.testing.assert_close(one, two)
    if key_padding is not None:
        assert (gradients[1][1, 4:] == 0).all()
        assert (gradients[2][1, 4:] == 0).all()
        assert (gradients[2][1, :4] != 0).any()


def test_each_chunk_drops_other_weights(monkeypatch):
    monkeypatch.setattr(attention, "ATTENTION_CHUNK_BYTES", 64 * 500 * 4)
    query, key = torch.zeros(1, 640, 1), torch.zeros(1, 500, 1)
    value = torch.eye(500)[None]  # so that the output is the weights
    weights = attend(query, key, value, heads=1, allowed=None, dropout=0.1)[0] * 500
    kept = weights > 0
    torch.testing.assert_close(weights[kept], torch.full_like(weights[kept], 1 / 0.9))
    assert kept.float().mean().item() == pytest.approx(0.9, abs=0.005)
    first, second = kept[:64], kept[64:128]
    assert (first == second).float().mean().item() == pytest.approx(0.82, abs=0.02)


def memory(frames, queries, *, padded=False, recompute=False):
    """Bytes that a transformer keeps for its backward pass, and of the largest array in a step."""
    model = Transformer(
        channels=8, heads=2, hidden=8, dropout=0.1, encoder_layers=2, decoder_layers=2,
        recompute_encoder=recompute,
    )  # fmt: skip
    cells = torch.randn(1, 24 * frames, 8)
    mask = torch.zeros(1, 24 * frames, dtype=torch.bool) if padded else None
    if padded:
        mask[:, -5:] = True

    def step():
        slots, _ = model(cells, torch.zeros_like(cells), mask, torch.randn(1, queries, 8))
        slots.sum().backward()

    with LargestTensor() as largest:
        kept = saved_tensor_bytes(step, model.parameters())
    return kept, largest.bytes


@pytest.mark.parametrize("slots_a_frame", [0, 4], ids=["SimpleVTR", "VisTR"])
@pytest.mark.parametrize("options", [{}, {"padded": True}, {"recompute": True}], ids=str)
def test_memory_grows_with_the_frames_not_with_their_square(
    slots_a_frame, options, monkeypatch, one_thread
):
    monkeypatch.setattr(attention, "ATTENTION_CHUNK_BYTES", 2**15)
    short, long = (memory(n, max(4, slots_a_frame * n), **options) for n in (5, 20))
    assert long[0] < 4.5 * short[0]
    assert long[1] <= 2**15
    # The way to compare with has its matrices in memory: two heads, 480 cells, 4 bytes.
    with sdpa_kernel(SDPBackend.MATH):
        plain = memory(20, max(4, slots_a_frame * 20), **options)
    assert plain[1] == 2 * 480**2 * 4


@pytest.mark.parametrize("padded", [False, True])
def test_without_dropout_nothing_is_computed_twice(padded, monkeypatch):
    monkeypatch.setattr(attention, "ATTENTION_CHUNK_BYTES", 1)
    monkeypatch.setattr(attention, "recomputed", lambda *_: pytest.fail("recomputed"))
    layer = MultiheadAttention(channels=8, heads=2, dropout=0.0)
    cells = torch.randn(1, 500, 8)
    mask = torch.arange(500).view(1, 500) > 400 if padded else None
    kept = saved_tensor_bytes(lambda: layer(cells, cells, cells, mask), layer.parameters())
    assert kept < 500 * 500
    layer.dropout = 0.1
    layer.eval()(cells, cells, cells, mask)


@pytest.mark.gpu
@pytest.mark.parametrize("padded", [False, True])
def test_dropout_on_a_gpu_needs_no_chunks(padded, monkeypatch):
    monkeypatch.setattr(attention, "ATTENTION_CHUNK_BYTES", 1)
    monkeypatch.setattr(attention, "recomputed", lambda *_: pytest.fail("recomputed"))
    layer = MultiheadAttention(channels=64, heads=2, dropout=0.1).cuda()
    cells = torch.randn(1, 4000, 64, device="cuda")
    mask = torch.arange(4000, device="cuda").view(1, 4000) > 3000 if padded else None
    kept = saved_tensor_bytes(lambda: layer(cells, cells, cells, mask), layer.parameters())
    assert kept < 4000 * 4000
