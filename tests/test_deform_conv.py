import math

from simplevtr.modeling import deform_conv
from simplevtr.modeling.deform_conv import DeformConv, deformable_conv

import pytest
import torch

BACKENDS_ON_CPU = ["torchvision", "grid_sample"]


def naive(x, offset, modulation, weight, bias):
    """The definition, one output value at a time (Zhu et al. 2019, eq. 1)."""
    batch, channels, height, width = x.shape

    def pixel(n, c, row, column):
        inside = 0 <= row < height and 0 <= column < width
        return x[n, c, row, column].item() if inside else 0.0

    def bilinear(n, c, y, x_):
        top, left = math.floor(y), math.floor(x_)
        dy, dx = y - top, x_ - left
        return (
            (1 - dy) * (1 - dx) * pixel(n, c, top, left)
            + (1 - dy) * dx * pixel(n, c, top, left + 1)
            + dy * (1 - dx) * pixel(n, c, top + 1, left)
            + dy * dx * pixel(n, c, top + 1, left + 1)
        )

    out = torch.zeros(batch, weight.shape[0], height, width, dtype=x.dtype)
    for n in range(batch):
        for row in range(height):
            for column in range(width):
                for tap in range(9):
                    y = row + tap // 3 - 1 + offset[n, 2 * tap, row, column].item()
                    x_ = column + tap % 3 - 1 + offset[n, 2 * tap + 1, row, column].item()
                    factor = 1.0 if modulation is None else modulation[n, tap, row, column]
                    for c in range(channels):
                        value = bilinear(n, c, y, x_) * factor
                        out[n, :, row, column] += weight[:, c, tap // 3, tap % 3] * value
    return out if bias is None else out + bias[:, None, None]


def inputs(channels, out_channels, *, height=5, width=6, dtype=torch.float64, spread=2.0):
    generator = torch.Generator().manual_seed(channels * 100 + out_channels)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=dtype)

    return (
        normal(2, channels, height, width),
        normal(2, 18, height, width) * spread,
        torch.rand(2, 9, height, width, generator=generator, dtype=dtype),
        normal(out_channels, channels, 3, 3),
        normal(out_channels),
    )


# 8 -> 2 projects before it samples, 3 -> 4 samples first.
@pytest.mark.parametrize("channels", [(8, 2), (3, 4)])
@pytest.mark.parametrize("modulated", [True, False])
@pytest.mark.parametrize("backend", BACKENDS_ON_CPU)
def test_equals_the_definition(channels, modulated, backend):
    x, offset, modulation, weight, bias = inputs(*channels)
    modulation = modulation if modulated else None
    out = deformable_conv(x, offset, modulation, weight, bias, backend=backend)
    torch.testing.assert_close(out, naive(x, offset, modulation, weight, bias))


@pytest.mark.parametrize("size", [(1, 6), (5, 1), (1, 1)])
def test_frames_of_one_row_or_column(size):
    x, offset, modulation, weight, bias = inputs(8, 2, height=size[0], width=size[1])
    out = deformable_conv(x, offset, modulation, weight, bias, backend="grid_sample")
    torch.testing.assert_close(out, naive(x, offset, modulation, weight, bias))


@pytest.mark.parametrize("channels", [(4, 1), (2, 3)])
def test_gradients(channels):
    tensors = [t.requires_grad_() for t in inputs(*channels, height=3, width=4, spread=0.3)]
    assert torch.autograd.gradcheck(
        lambda *args: deformable_conv(*args, backend="grid_sample"), tensors
    )


@pytest.mark.parametrize("channels", [(24, 1), (48, 24), (16, 16)])
def test_kernels_agree_in_float32(channels):
    results = []
    for backend in BACKENDS_ON_CPU:
        tensors = inputs(*channels, height=9, width=11, dtype=torch.float32)
        tensors = [t.requires_grad_() for t in tensors]
        out = deformable_conv(*tensors, backend=backend)
        out.square().sum().backward()
        results.append((out.detach(), [t.grad for t in tensors]))
    (one, one_grads), (two, two_grads) = results
    assert (one - two).abs().max() < 1e-4 * one.abs().max()
    for a, b in zip(one_grads, two_grads, strict=True):
        assert (a - b).norm() < 1e-5 * b.norm()


def test_starts_as_half_a_convolution():
    # Zero offsets and modulation sigmoid(0) = 0.5.
    layer = DeformConv(in_channels=4, out_channels=3, modulated=True, bias=True)
    x = torch.randn(1, 4, 5, 6)
    plain = torch.nn.functional.conv2d(x, layer.weight, padding=1)
    torch.testing.assert_close(layer(x), plain / 2)


def test_parameter_names_do_not_depend_on_the_kernel(monkeypatch):
    names = set(DeformConv(in_channels=4, out_channels=3, modulated=True, bias=True).state_dict())
    monkeypatch.setattr(deform_conv, "detectron2_is_compiled", lambda: True)
    again = DeformConv(in_channels=4, out_channels=3, modulated=True, bias=True).state_dict()
    assert names == set(again) == {"weight", "bias", "offset.weight", "offset.bias"}


def test_kernel_of_each_device(monkeypatch):
    monkeypatch.setattr(deform_conv, "detectron2_is_compiled", lambda: False)
    assert deform_conv.backend_name(torch.device("cpu")) == "grid_sample"
    assert deform_conv.backend_name(torch.device("cuda")) == "torchvision"
    monkeypatch.setattr(deform_conv, "detectron2_is_compiled", lambda: True)
    assert deform_conv.backend_name(torch.device("cpu")) == "grid_sample"
    assert deform_conv.backend_name(torch.device("cuda")) == "detectron2"


@pytest.mark.parametrize("modulated", [True, False])
def test_arguments_given_to_detectron2(monkeypatch, modulated):
    """detectron2's compiled functions get their arguments in the order they expect."""
    x, offset, modulation, weight, bias = inputs(4, 3)

    def v1(x, offset, weight, stride, padding):
        assert (stride, padding) == (1, 1)
        return deformable_conv(x, offset, None, weight, None, backend="torchvision")

    def v2(x, offset, mask, weight, bias, stride, padding):
        assert (stride, padding) == (1, 1)
        return deformable_conv(x, offset, mask, weight, bias, backend="torchvision")

    monkeypatch.setattr(deform_conv.detectron2_ops, "deform_conv", v1)
    monkeypatch.setattr(deform_conv.detectron2_ops, "modulated_deform_conv", v2)
    modulation = modulation if modulated else None
    args = (x, offset, modulation, weight, bias)
    torch.testing.assert_close(
        deformable_conv(*args, backend="detectron2"), deformable_conv(*args, backend="grid_sample")
    )


@pytest.mark.gpu
@pytest.mark.parametrize("channels", [(24, 1), (48, 24)])
def test_gpu_equals_cpu(channels):
    tensors = inputs(*channels, height=9, width=11, dtype=torch.float32)
    on_cpu = deformable_conv(*tensors)
    on_gpu = deformable_conv(*[t.cuda() for t in tensors])
    torch.testing.assert_close(on_gpu.cpu(), on_cpu, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("channels", [(8, 2), (3, 4)])
@pytest.mark.parametrize("backend", BACKENDS_ON_CPU)
def test_places_in_a_large_map_are_not_rounded(backend, channels, dtype):
    """In half precision the offsets are rounded, but not the rows and columns they are added to."""
    x, offset, modulation, weight, bias = inputs(
        *channels, height=3, width=300, dtype=torch.float32, spread=0.3
    )
    x = torch.linspace(0, 9, 300).sin().expand_as(x)
    expected = deformable_conv(x, offset, modulation, weight, bias)
    half = (x.to(dtype), offset.to(dtype), modulation.to(dtype))
    weight.requires_grad_()
    with torch.autocast("cpu", dtype):
        found = deformable_conv(*half, weight, bias, backend=backend)
    assert found.dtype == torch.float32
    assert (found - expected).norm() < 0.01 * expected.norm()
    found.sum().backward()
    assert torch.isfinite(weight.grad).all()
