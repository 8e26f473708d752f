from types import SimpleNamespace

from benchmarks import measure, memory
from benchmarks.measure import count_costs, saved_tensor_bytes, time_steps
from benchmarks.memory import peak_resident_bytes

import pytest
import torch
from conftest import build
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


class OneConvOneAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def predict_clip(self, frames):
        assert not self.training
        cells = self.conv(frames.flatten(0, 1)).flatten(2).mT
        cells, _ = self.attention(cells, cells, cells, need_weights=False)
        return cells @ cells.mT


def test_flops_of_a_convolution_and_of_attention_by_hand():
    costs = count_costs(OneConvOneAttention().train(), torch.rand(1, 2, 3, 8, 12))
    maps, cells, c = 2, 4 * 6, 8
    conv = 2 * maps * cells * c * 3 * 9
    projections = 2 * maps * cells * c * (3 * c + c)
    attention = 2 * maps * cells * cells * c * 2  # queries by keys, weights by values
    product = 2 * maps * cells * cells * c
    assert costs["flops"] == conv + projections + attention + product


@pytest.mark.parametrize("conv", ["dcnv2", "dcnv1", "plain"])
def test_flops_of_shapes_are_those_of_a_run(tiny_cfg, conv):
    tiny_cfg.MODEL.SIMPLEVTR.MASK_HEAD.CONV = conv
    model = build(tiny_cfg).requires_grad_(False)
    frames = torch.rand(1, 3, 3, 32, 48)
    with FlopCounterMode(display=False) as counter:
        model.predict_clip(frames)
    assert count_costs(model, frames)["flops"] == counter.get_total_flops() > 0


def test_counting_leaves_the_model_as_it_was(tiny_cfg):
    model = build(tiny_cfg).train()
    model.network.backbone.eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    count_costs(model, torch.rand(1, 2, 3, 32, 48))
    assert [module.training for module in model.modules()] == modes
    after = model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert all(p.requires_grad for p in model.parameters())


def test_parameters_count_once(tiny_model):
    network = tiny_model.network
    network.backbone.stem.requires_grad_(False)

    def size(module):
        return sum(p.numel() for p in module.parameters())

    counted = count_costs(tiny_model, torch.rand(1, 2, 3, 32, 48))
    assert counted["parameters"] == size(tiny_model)
    assert counted["trainable"] == size(tiny_model) - size(network.backbone.stem)


def test_saved_tensors_count_once_and_whole():
    x = torch.rand(10, 4, requires_grad=True)
    assert saved_tensor_bytes(lambda: x.detach() * 2) == 0
    assert saved_tensor_bytes(lambda: (x * x).sum()) == 160  # twice the same
    assert saved_tensor_bytes(lambda: (x[:2] * x[2:4]).sum()) == 160  # two views of it
    assert saved_tensor_bytes(lambda: x.exp().exp()) == 320  # two results
    assert saved_tensor_bytes(lambda: x.exp().exp().sum().backward()) == 320

    large = torch.rand(2**18, requires_grad=True)

    def drop_results():
        for _ in range(5):
            large.exp()  # freed, so that the next could lie at the same address

    assert saved_tensor_bytes(drop_results) == 5 * 2**20


def test_saved_tensors_leave_parameters_out():
    linear = nn.Linear(4, 6)
    x = torch.rand(10, 4, requires_grad=True)
    weight = linear.weight.numel() * 4
    assert saved_tensor_bytes(lambda: linear(x)) == 160 + weight
    assert saved_tensor_bytes(lambda: linear(x), linear.parameters()) == 160


def test_resident_memory_by_both_ways(monkeypatch, tmp_path):
    torch.ones(2**24)  # 64 MiB, all written
    peak = peak_resident_bytes()
    assert peak > 2**26
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "none")
    assert 2**26 < peak_resident_bytes() < 100 * peak  # bytes, not KiB


def test_steps_are_timed_without_warm_up(monkeypatch):
    now, waits = [0.0], iter([1000, 100, 30, 40, 50])
    monkeypatch.setattr(measure, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def step():
        now[0] += next(waits)

    assert time_steps(step, steps=3, warmup=2, device=torch.device("cpu")) == [30, 40, 50]
