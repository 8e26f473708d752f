"""The paper's optimizer, AdaBelief (§4.2), or AdamW, as detectron2 optimizers."""

import contextlib
import io
from typing import Any

import torch
from adabelief_pytorch import AdaBelief
from detectron2.config import CfgNode
from detectron2.solver.build import get_default_optimizer_params, maybe_add_gradient_clipping
from torch import nn

# What each optimizer keeps of a parameter that the other does not.
STATE_OF = {"ADABELIEF": "exp_avg_var", "ADAMW": "exp_avg_sq"}


def build_optimizer(cfg: CfgNode, model: nn.Module) -> torch.optim.Optimizer:
    """Build ``SOLVER.OPTIMIZER`` over the trainable parameters of ``model``.

    The backbone's learning rate is multiplied by ``SOLVER.BACKBONE_MULTIPLIER``; gradients are
    clipped as ``SOLVER.CLIP_GRADIENTS`` says, with ``full_model`` over the global norm.
    """
    solver = cfg.SOLVER

    def rate_factor(name: str) -> float:
        factor = solver.BACKBONE_MULTIPLIER if "backbone" in name else 1.0
        return factor * solver.BIAS_LR_FACTOR if name.endswith("bias") else factor

    # detectron2's own keys for biases replace the backbone's rate, and miss those of attention.
    decay = {} if solver.WEIGHT_DECAY_BIAS is None else {"weight_decay": solver.WEIGHT_DECAY_BIAS}
    params = get_default_optimizer_params(
        model,
        base_lr=solver.BASE_LR,
        weight_decay=solver.WEIGHT_DECAY,
        weight_decay_norm=solver.WEIGHT_DECAY_NORM,
        lr_factor_func=rate_factor,
        overrides=dict.fromkeys(("bias", "in_proj_bias"), decay),
    )
    if solver.OPTIMIZER == "ADAMW":
        # The fast one on a CPU; with float16 on a GPU its gradients are not unscaled before they
        # are clipped.
        fused = cfg.MODEL.DEVICE == "cpu"
        optimizer = torch.optim.AdamW(params, lr=solver.BASE_LR, fused=fused, foreach=not fused)
    else:
        # The package prints its settings, also with print_change_log=False.
        with contextlib.redirect_stdout(io.StringIO()):
            optimizer = AdaBelief(
                params,
                lr=solver.BASE_LR,
                eps=solver.ADABELIEF.EPS,
                weight_decouple=solver.ADABELIEF.DECOUPLE,
                rectify=solver.ADABELIEF.RECTIFY,
                print_change_log=False,
            )
    clipping = solver.CLIP_GRADIENTS
    if clipping.ENABLED and clipping.CLIP_TYPE == "full_model":

        def clip(*_: Any) -> None:  # before each step; gradients are unscaled by then
            nn.utils.clip_grad_norm_(model.parameters(), clipping.CLIP_VALUE, clipping.NORM_TYPE)

        optimizer.register_step_pre_hook(clip)
        return optimizer
    return maybe_add_gradient_clipping(cfg, optimizer)
