"""What a model costs: parameters, floating-point operations, memory and time. Pure functions.

``from benchmarks.measure import count_flops`` with the repository's root on ``sys.path``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from benchmarks.resident_memory import peak_resident_bytes

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

# The parts that costs are told apart by, each with the modules that belong to it. The attention
# maps of the slots have no other reader than the mask head.
PARTS = {
    "backbone": ("network.backbone",),
    "encoder": ("network.transformer.encoder",),
    "decoder": ("network.transformer.decoder", "network.transformer.decoder_norm"),
    "heads": ("network.class_head", "network.box_head", "network.dense_head"),
    "mask_head": ("network.slot_attention", "network.mask_head"),
}
REST = "rest"


def count_parameters(model: nn.Module) -> dict[str, Any]:
    """Count parameters; one that several modules share counts once, buffers do not count.

    Frozen batch norms of detectron2 hold buffers only.

    Returns:
        ``parameters`` and ``trainable`` (numbers of values), and ``parameters_by_part``, for each
        of ``PARTS`` and ``REST``, which add up to ``parameters``.
    """
    by_part = dict.fromkeys([*PARTS, REST], 0)
    trainable = 0
    for name, parameter in model.named_parameters():
        by_part[part_of(name)] += parameter.numel()
        trainable += parameter.numel() * parameter.requires_grad
    return {
        "parameters": sum(by_part.values()),
        "trainable": trainable,
        "parameters_by_part": by_part,
    }


def count_flops(model: nn.Module, frames: Tensor) -> dict[str, Any]:
    """Count the floating-point operations of one forward pass of every slot in evaluation mode.

    A multiply-add counts 2. Matrix products, convolutions, deformable ones included, and attention
    count; norms, activations, softmax, bilinear sampling (``grid_sample``) and interpolation do
    not. Only shapes are computed (on the "meta" device), which takes neither memory nor a GPU and
    gives the same number for every device. The model and its modes are left as they were.

    Args:
        model: has ``predict_clip``, as :class:`simplevtr.modeling.meta_arch.SimpleVTR`.
        frames: (B, T, 3, H, W); only shape and dtype are read.

    Returns:
        ``flops``, and ``flops_by_part``, for each of ``PARTS`` and ``REST``, which add up to it.
    """
    modes = [(module, module.training) for module in model.modules()]
    wrapper = _PredictClip(model)
    state = [*wrapper.named_parameters(), *wrapper.named_buffers()]
    shapes = {name: torch.empty_like(tensor, device="meta") for name, tensor in state}
    counter = FlopCounterMode(
        display=False, custom_mapping={torch.ops.torchvision.deform_conv2d: _deform_conv_flops}
    )
    try:
        model.eval()
        with torch.no_grad(), counter:
            functional_call(wrapper, shapes, (torch.empty_like(frames, device="meta"),))
    finally:
        for module, training in modes:
            module.training = training
    root = f"{type(wrapper).__name__}.model."
    by_module = {
        name.removeprefix(root): sum(counts.values())
        for name, counts in counter.get_flop_counts().items()
        if name.startswith(root)
    }
    by_part = _outermost_by_part(by_module)
    total = counter.get_total_flops()
    by_part[REST] = total - sum(by_part.values())
    return {"flops": total, "flops_by_part": by_part}


def part_of(name: str) -> str:
    """The part of ``PARTS`` that a module or parameter belongs to by its name, or ``REST``."""
    for part, prefixes in PARTS.items():
        if any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes):
            return part
    return REST


def saved_tensor_bytes(fn: Callable[[], Any], parameters: Iterable[Tensor] = ()) -> int:
    """Bytes of the tensors that autograd saves for the backward pass while ``fn`` runs.

    Each storage counts once and as a whole, however many tensors share it. Storages are kept until
    ``fn`` has returned, so that no address stands for two of them.

    Args:
        fn: runs the forward pass; what it returns is ignored.
        parameters: tensors whose storages do not count, as they exist anyway.
    """
    existing = {_storage_key(tensor) for tensor in parameters}
    storages = {}

    def pack(tensor: Tensor) -> Tensor:
        storages.setdefault(_storage_key(tensor), tensor.untyped_storage())
        return tensor.detach()  # the tensor itself could hold its own graph, a cycle

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        fn()
    return sum(storage.nbytes() for key, storage in storages.items() if key not in existing)


class PeakMemory:
    """The most memory in use from here on; on a CPU since the process started."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def report(self) -> dict[str, Any]:
        """``peak_bytes``, and ``peak_kind``: of the "gpu", or "resident" of the whole process."""
        if self._device.type == "cuda":
            return {
                "peak_bytes": torch.cuda.max_memory_allocated(self._device),
                "peak_kind": "gpu",
            }
        return {"peak_bytes": peak_resident_bytes(), "peak_kind": "resident"}


def time_steps(
    step: Callable[[Any], Any],
    batches: Iterator[Any],
    *,
    steps: int,
    warmup: int,
    device: torch.device,
) -> tuple[list[float], list[float]]:
    """Time ``step(batch)`` and the wait for each batch.

    Args:
        step: is given one batch; what it returns is dropped.
        batches: gives at least ``warmup + steps`` batches.
        steps: number of timed steps.
        warmup: steps before them that are not timed.
        device: is waited for around each step.

    Returns:
        Seconds of each timed step, and of the wait for its batch.

    Raises:
        ValueError: if ``steps`` is below 1 or ``warmup`` below 0.
    """
    if steps < 1 or warmup < 0:
        raise ValueError(
            f"{steps} steps after {warmup} of warm-up; at least 1 and 0 steps are needed"
        )
    step_seconds, data_seconds = [], []
    for _ in range(warmup + steps):
        synchronise(device)
        start = time.perf_counter()
        batch = next(batches)
        loaded = time.perf_counter()
        step(batch)
        synchronise(device)
        data_seconds.append(loaded - start)
        step_seconds.append(time.perf_counter() - loaded)
    return step_seconds[warmup:], data_seconds[warmup:]


def synchronise(device: torch.device) -> None:
    """Wait for what a GPU was asked to do; a CPU is never behind."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def quartiles(values: list[float]) -> dict[str, float]:
    """``median``, ``low`` (first quartile) and ``high`` (third), interpolated linearly."""
    low, median, high = np.percentile(values, [25, 50, 75]).tolist()
    return {"median": median, "low": low, "high": high}


class _PredictClip(nn.Module):
    """Makes ``predict_clip`` a forward pass, below which modules have their full names."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, frames: Tensor) -> Any:
        return self.model.predict_clip(frames)


def _outermost_by_part(by_module: dict[str, int]) -> dict[str, int]:
    """Add up the modules of each part that lie in no other counted module of it."""
    result = dict.fromkeys([*PARTS, REST], 0)
    for name, flops in by_module.items():
        part = part_of(name)
        words = name.split(".")
        outer = (".".join(words[:n]) for n in range(1, len(words)))
        if part != REST and not any(o in by_module and part_of(o) == part for o in outer):
            result[part] += flops
    return result


def _deform_conv_flops(
    _x: torch.Size, weight: torch.Size, *_: Any, out_shape: torch.Size, **__: Any
) -> int:
    """As many as a convolution has; reading between pixels is not counted."""
    return 2 * out_shape[0] * math.prod(out_shape[2:]) * math.prod(weight)


def _storage_key(tensor: Tensor) -> tuple[str, int]:
    return str(tensor.device), tensor.untyped_storage().data_ptr()
