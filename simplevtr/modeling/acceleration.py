"""How the network is computed: number format, memory layout, compilation. All are off by default.

In half precision PyTorch's autocast lets the matrix products and convolutions of the network take
float16 or bfloat16. What is sensitive to rounding asks for float32 by ``full_precision`` and
``without_autocast``: classes and boxes, matching, losses, places that are sampled at.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

HALF = {"float16": torch.float16, "bfloat16": torch.bfloat16}

# Parts of the network that torch.compile may translate. The transformer gained nothing on a CPU,
# where one with dropout took it more than nine minutes.
COMPILABLE = ("backbone",)


def full_precision(x: Tensor) -> Tensor:
    """float16 and bfloat16 as float32, the rest as it is."""
    return x.float() if x.dtype in HALF.values() else x


def without_autocast(device: torch.device) -> AbstractContextManager[None]:
    """A region in which operations on ``device`` take the dtype of their arguments."""
    return _autocast(device, enabled=False)


def _autocast(device: torch.device, **settings: Any) -> AbstractContextManager[None]:
    if not torch.amp.is_autocast_available(device.type):  # "meta", which only counts operations
        return nullcontext()
    return torch.autocast(device.type, **settings)


def half_dtype(name: str) -> torch.dtype:
    """The dtype of a value of ``SOLVER.AMP.DTYPE``.

    Raises:
        ValueError: if it is unknown.
    """
    if name not in HALF:
        raise ValueError(f"SOLVER.AMP.DTYPE is {name!r}; allowed are {', '.join(HALF)}")
    return HALF[name]


def check_half_precision(dtype: torch.dtype, device: torch.device, *, key: str) -> None:
    """Refuse a number format in which a device is very slow or cannot compute.

    Args:
        dtype: float16 or bfloat16.
        device: where the network is.
        key: the config key that asks for it.

    Raises:
        ValueError: for float16 on a CPU and for bfloat16 on a GPU without it.
    """
    if device.type == "cpu" and dtype == torch.float16:
        raise ValueError(
            f"{key} needs a GPU where SOLVER.AMP.DTYPE is 'float16', but MODEL.DEVICE is cpu; "
            "a CPU takes 'bfloat16'"
        )
    if device.type == "cuda" and dtype == torch.bfloat16 and not torch.cuda.is_bf16_supported():
        raise ValueError(
            f"{key} is on and SOLVER.AMP.DTYPE is 'bfloat16', which this GPU does not know; "
            "allowed is 'float16'"
        )


@dataclass(frozen=True)
class Acceleration:
    """What is done for speed.

    Attributes:
        training: dtype that autocast takes in training, or None to leave it alone.
        inference: the same in inference.
        channels_last: whether convolutions hold the channels of a cell side by side.
        compiled: parts of ``COMPILABLE`` that torch.compile translates.
    """

    training: torch.dtype | None = None
    inference: torch.dtype | None = None
    channels_last: bool = False
    compiled: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        *,
        dtype: str,
        training: bool,
        inference: bool,
        channels_last: bool,
        compiled: Iterable[str],
        device: str,
    ) -> Acceleration:
        """From the values of the config's keys.

        Args:
            dtype: ``SOLVER.AMP.DTYPE``.
            training: ``SOLVER.AMP.ENABLED``.
            inference: ``TEST.AMP``.
            channels_last: ``MODEL.CHANNELS_LAST``.
            compiled: ``MODEL.COMPILE``.
            device: ``MODEL.DEVICE``.

        Raises:
            ValueError: if a value is not allowed, or what torch.compile needs is not there.
        """
        half = half_dtype(dtype)
        compiled = tuple(compiled)
        check_compilable(compiled, torch.device(device))
        return cls(
            training=half if training else None,
            inference=half if inference else None,
            channels_last=channels_last,
            compiled=compiled,
        )

    def applied(
        self, network: nn.Module, device: torch.device, *, training: bool
    ) -> nn.Module | InHalfPrecision:
        """The network as it computes in training or in inference.

        Raises:
            ValueError: see ``check_half_precision``.
        """
        dtype = self.training if training else self.inference
        if dtype is None:
            return network
        check_half_precision(dtype, device, key="SOLVER.AMP.ENABLED" if training else "TEST.AMP")
        return InHalfPrecision(network, dtype)

    def prepare(self, network: nn.Module, *, backend: str = "inductor") -> None:
        """Set the memory layout of a network and mark its parts for compilation, in place.

        Parameters keep their names and values. A part is compiled when it is first called.

        Args:
            network: with an attribute for each name in ``COMPILABLE``, ``mask_head`` (or None).
            backend: of torch.compile.
        """
        if self.channels_last:
            for part in (network.backbone, network.mask_head):
                if part is not None:
                    part.to(memory_format=torch.channels_last)
        for name in self.compiled:
            # Clips differ in length and size, so shapes are variables from the start.
            getattr(network, name).compile(dynamic=True, backend=backend)


class InHalfPrecision:
    """A ``ClipNetwork`` that computes under autocast, and nothing else does.

    What is done with its results, such as counting the cells that two masks share, is not to be
    rounded.
    """

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        self._network = network
        self._dtype = dtype
        self.mask_head = network.mask_head

    def _region(self, tensor: Tensor) -> AbstractContextManager[None]:
        return _autocast(tensor.device, dtype=self._dtype)

    def encode(self, frames: Tensor, padding_mask: Tensor | None) -> Any:
        """See ``ClipNetwork.encode``."""
        with self._region(frames):
            return self._network.encode(frames, padding_mask)

    def masks(self, state: Any, clip: Tensor, slot: Tensor) -> Tensor:
        """See ``ClipNetwork.masks``."""
        with self._region(clip):
            return self._network.masks(state, clip, slot)

    def dense_logits(self, state: Any) -> Tensor:
        """See ``ClipNetwork.dense_logits``."""
        with self._region(state.memory):
            return self._network.dense_logits(state)


def check_compilable(parts: Iterable[str], device: torch.device) -> None:
    """Refuse what torch.compile could not translate, before a training has begun.

    Raises:
        ValueError: if a part is unknown or a compiler is missing.
    """
    parts = list(parts)
    unknown = [part for part in parts if part not in COMPILABLE]
    if unknown:
        raise ValueError(f"MODEL.COMPILE has {unknown[0]!r}; allowed are {', '.join(COMPILABLE)}")
    if parts and (missing := _missing_for_compilation(device)):
        raise ValueError(
            f"MODEL.COMPILE is {parts}, but torch.compile would not find {missing}; install it, or "
            "leave MODEL.COMPILE empty"
        )


def _missing_for_compilation(device: torch.device) -> str | None:
    """What torch.compile needs for ``device`` and is not there, or None."""
    if device.type == "cuda":
        if find_spec("triton") is None:
            return "the package triton"
        # Triton's own rule.
        compiler, known = os.environ.get("CC"), ("gcc", "clang")
    else:
        compiler = os.environ.get("CXX")
        known = ("cl",) if sys.platform == "win32" else ("g++", "clang++")
    candidates = known if compiler is None else (compiler,)
    if not any(map(shutil.which, candidates)):
        return f"a compiler ({' or '.join(candidates)})"
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    return None if headers.is_file() else f"Python's header files ({headers})"
