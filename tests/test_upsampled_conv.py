"""The short way to convolve an upsampled map gives what the long one does."""

from benchmarks.measure import saved_tensor_bytes
from simplevtr.modeling.upsampled_conv import conv_of_upsampled

import pytest
import torch
import torch.nn.functional as F


def long_way(x, weight, size):
    return F.conv2d(F.interpolate(x, size=size, mode="nearest"), weight, padding=1)


def inputs(height=5, width=7):
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, height, width, generator=draw, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 3, 3, 3, generator=draw, dtype=torch.float64, requires_grad=True)
    return x, weight


# Both sizes even, either odd, both odd, and two that the short way cannot do.
@pytest.mark.parametrize("size", [(10, 14), (9, 14), (10, 13), (9, 13), (5, 7), (15, 14)])
def test_values_and_gradients(size):
    x, weight = inputs()
    expected, actual = long_way(x, weight, size), conv_of_upsampled(x, weight, size)
    torch.testing.assert_close(actual, expected)
    upstream = torch.randn_like(expected)
    wanted = torch.autograd.grad(expected, (x, weight), upstream)
    torch.testing.assert_close(torch.autograd.grad(actual, (x, weight), upstream), wanted)


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_a_single_cell(size):
    x, weight = inputs(1, 1)
    torch.testing.assert_close(conv_of_upsampled(x, weight, size), long_way(x, weight, size))


def test_the_backward_pass_keeps_no_large_map():
    def kept(way):
        x, weight = inputs(20, 30)
        return saved_tensor_bytes(lambda: way(x, weight, (40, 60)), [weight])

    assert kept(long_way) >= 8 * 2 * 3 * 40 * 60
    assert kept(conv_of_upsampled) < 2 * 8 * 2 * 3 * 20 * 30
