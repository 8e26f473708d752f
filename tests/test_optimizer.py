from simplevtr.engine.optimizer import build_optimizer

import pytest
import torch
from adabelief_pytorch import AdaBelief
from conftest import build


def test_the_papers_optimizer(tiny_cfg, capfd):
    tiny_cfg.SOLVER.OPTIMIZER = "ADABELIEF"
    tiny_cfg.SOLVER.BASE_LR = 1e-4
    tiny_cfg.SOLVER.BACKBONE_MULTIPLIER = 0.1
    model = build(tiny_cfg)
    optimizer = build_optimizer(tiny_cfg, model)
    assert isinstance(optimizer, AdaBelief)
    assert optimizer.weight_decouple
    assert optimizer.rectify
    assert capfd.readouterr().out == ""  # the package prints its settings otherwise
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        assert rates[id(parameter)] == pytest.approx(1e-5 if "backbone" in name else 1e-4)
    assert all(group["weight_decay"] == 1e-4 for group in optimizer.param_groups)


def test_biases_have_their_own_decay_and_the_rate_of_their_part(tiny_cfg):
    tiny_cfg.SOLVER.WEIGHT_DECAY_BIAS, tiny_cfg.SOLVER.BIAS_LR_FACTOR = 0.0, 2.0
    tiny_cfg.SOLVER.BACKBONE_MULTIPLIER, tiny_cfg.SOLVER.BASE_LR = 0.1, 1.0
    attention = torch.nn.MultiheadAttention(4, 2)
    model = torch.nn.ModuleDict({"backbone": torch.nn.Linear(3, 2), "attention": attention})
    groups = {}
    for group in build_optimizer(tiny_cfg, model).param_groups:
        groups |= {id(p): (group["lr"], group["weight_decay"]) for p in group["params"]}
    for name, parameter in model.named_parameters():
        is_bias = name.endswith("bias")
        rate = (2.0 if is_bias else 1.0) * (0.1 if "backbone" in name else 1.0)
        assert groups[id(parameter)] == (pytest.approx(rate), 0.0 if is_bias else 1e-4), name


@pytest.mark.parametrize("name", ["ADABELIEF", "ADAMW"])
def test_one_step_changes_every_parameter_within_the_clipped_norm(tiny_cfg, name):
    tiny_cfg.SOLVER.OPTIMIZER = name
    tiny_cfg.SOLVER.CLIP_GRADIENTS.CLIP_VALUE = 0.1
    model = torch.nn.ModuleDict({"backbone": torch.nn.Linear(3, 2), "head": torch.nn.Linear(2, 1)})
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = build_optimizer(tiny_cfg, model)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 7.0)
    optimizer.step()
    norm = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
    assert norm.item() == pytest.approx(0.1, rel=1e-3)  # over all parameters together
    for key, parameter in model.named_parameters():
        assert not torch.equal(parameter, before[key])
