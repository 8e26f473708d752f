"""Which number format the network computes in; float32 by default.

In half precision the network alone runs under autocast, whose matrix products and convolutions
take float16 or bfloat16. ``SimpleVTR.forward`` turns off any autocast around the model, such as
that of detectron2's trainer for float16, and within the network ``full_precision`` and
``without_autocast`` keep classes, boxes and the places that are sampled at in float32.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Self

import torch
from detectron2.config import CfgNode
from torch import Tensor, nn

HALF = {"float16": torch.float16, "bfloat16": torch.bfloat16}


def full_precision(x: Tensor) -> Tensor:
    """float16 and bfloat16 as float32, the rest as it is."""
    return x.float() if x.dtype in HALF.values() else x


def without_autocast(device: torch.device) -> AbstractContextManager[None]:
    """A region in which operations on ``device`` take the dtype of their arguments."""
    if not torch.amp.is_autocast_available(device.type):  # "meta", which only counts operations
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


@dataclass(frozen=True)
class Precision:
    """The dtype of the network in training and in inference; None for float32."""

    training: torch.dtype | None = None
    inference: torch.dtype | None = None

    @classmethod
    def from_config(cls, cfg: CfgNode) -> Self:
        """From ``SOLVER.AMP`` and ``TEST.AMP``."""
        dtype = HALF[cfg.SOLVER.AMP.DTYPE]
        return cls(
            training=dtype if cfg.SOLVER.AMP.ENABLED else None,
            inference=dtype if cfg.TEST.AMP else None,
        )

    def check(self, device: torch.device) -> None:
        """ValueError for float16 on a CPU, which is very slow, and bfloat16 on a GPU without it."""
        for key, dtype in (("SOLVER.AMP.ENABLED", self.training), ("TEST.AMP", self.inference)):
            _check(dtype, device, key)

    def applied(self, network: nn.Module, device: torch.device, *, training: bool) -> Any:
        """The network in training or in inference; see ``check`` for errors.

        In half precision what is asked of it runs under autocast, and the results are used outside.
        """
        dtype = self.training if training else self.inference
        if dtype is None or not torch.amp.is_autocast_available(device.type):
            return network
        _check(dtype, device, "SOLVER.AMP.ENABLED" if training else "TEST.AMP")
        autocast = torch.autocast(device.type, dtype)
        return SimpleNamespace(
            mask_head=network.mask_head,
            encode=autocast(network.encode),
            masks=autocast(network.masks),
        )


def _check(dtype: torch.dtype | None, device: torch.device, key: str) -> None:
    if device.type == "cpu" and dtype == torch.float16:
        raise ValueError(
            f"{key} needs a GPU where SOLVER.AMP.DTYPE is 'float16', but MODEL.DEVICE is cpu; "
            "a CPU takes 'bfloat16'"
        )
    if device.type == "cuda" and dtype == torch.bfloat16 and not torch.cuda.is_bf16_supported():
        raise ValueError(
            f"{key} is on and SOLVER.AMP.DTYPE is 'bfloat16', which this GPU does not support; "
            "allowed is 'float16'"
        )
