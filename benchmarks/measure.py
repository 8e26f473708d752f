"""What a model costs: parameters, floating-point operations, memory and time."""

import copy
import gc
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from typing import Any

from benchmarks.memory import peak_resident_bytes
from simplevtr.terminal import table_cell

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

MIB = 2**20
SPAWN = get_context("spawn")
LONGEST_ERROR = 300  # characters
WEEK = 7 * 24 * 3600.0  # seconds, longer than anything that is measured

Row = dict[str, Any]


def count_costs(model: nn.Module, frames: Tensor) -> dict[str, int]:
    """``parameters``, ``trainable`` ones, and ``flops`` of a forward pass of every slot.

    Buffers, as frozen batch norms have, are not parameters. A multiply-add counts 2: matrix
    products, convolutions, deformable ones included, and attention count; norms, activations,
    softmax, bilinear sampling (``grid_sample``) and interpolation do not. Only shapes are computed,
    by ``predict_clip`` of a copy of the model in evaluation mode on the "meta" device: of
    ``frames``, (B, T, 3, H, W), only shape and dtype are read.
    """
    shapes = copy.deepcopy(model).to("meta").eval().requires_grad_(False)
    operations = {torch.ops.torchvision.deform_conv2d: _deform_conv_flops}
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=operations) as counter:
        shapes.predict_clip(torch.empty_like(frames, device="meta"))
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "trainable": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "flops": counter.get_total_flops(),
    }


def saved_tensor_bytes(fn: Callable[[], Any], parameters: Iterable[Tensor] = ()) -> int:
    """Bytes of the tensors that autograd saves for the backward pass while ``fn`` runs.

    Each storage counts once and as a whole, those of ``parameters`` do not. Storages are kept until
    ``fn`` has returned, so that no address stands for two of them.
    """
    existing = {_storage_key(tensor) for tensor in parameters}
    storages = {}

    def pack(tensor: Tensor) -> Tensor:
        storages.setdefault(_storage_key(tensor), tensor.untyped_storage())
        return tensor.detach()  # the tensor itself could hold its own graph, a cycle

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        fn()
    return sum(storage.nbytes() for key, storage in storages.items() if key not in existing)


def peak_memory(device: torch.device) -> dict[str, Any]:
    """``peak_bytes``; ``peak_kind``: "gpu", since ``time_steps`` began, or "resident" on a CPU."""
    if device.type == "cuda":
        return {"peak_bytes": torch.cuda.max_memory_allocated(device), "peak_kind": "gpu"}
    return {"peak_bytes": peak_resident_bytes(), "peak_kind": "resident"}


def time_steps(
    step: Callable[[], Any], *, steps: int, warmup: int, device: torch.device
) -> list[float]:
    """Seconds of each of ``steps`` calls, after ``warmup`` others.

    A GPU's peak memory counts from here on.
    """
    gpu = device.type == "cuda"

    def now() -> float:
        if gpu:
            torch.cuda.synchronize(device)
        return time.perf_counter()

    if gpu:
        torch.cuda.reset_peak_memory_stats(device)
    seconds = []
    for _ in range(warmup + steps):
        start = now()
        step()
        seconds.append(now() - start)
    return seconds[warmup:]


def in_fresh_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a module's function in its own process, so that peaks of memory do not mix."""
    with ProcessPoolExecutor(1, mp_context=SPAWN) as pool:
        return pool.submit(function, *arguments).result()


def measured_rows(
    function: Callable[..., Row], jobs: Sequence[tuple], *, seconds: float = WEEK
) -> Iterator[Row]:
    """Yield ``function(*job)`` for each job as soon as it is ready, all from one fresh process.

    A row that fails is ``{"error": one line}`` and the others go on. Where the process dies, or
    ``seconds`` (for all rows together) are over, the remaining rows hold that as their error.
    """
    end, others = time.monotonic() + seconds, set(active_children())
    with ProcessPoolExecutor(1, mp_context=SPAWN) as pool:
        try:
            for future in [pool.submit(_row, function, job) for job in jobs]:
                try:
                    yield future.result(max(0.0, end - time.monotonic()))
                except TimeoutError:
                    yield {"error": "not done in time"}
                except BrokenProcessPool:
                    yield {"error": "its process died, as where memory runs out"}
        finally:
            for process in set(active_children()) - others:
                process.kill()


def _row(function: Callable[..., Row], job: tuple) -> Row:
    try:
        return function(*job)
    except Exception as error:  # noqa: BLE001 - any failure belongs in the table
        return {"error": table_cell(f"{type(error).__name__}: {error}")[:LONGEST_ERROR]}
    finally:
        gc.collect()  # the next row's peak begins with what is left of this one
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _deform_conv_flops(
    _x: torch.Size, weight: torch.Size, *_: Any, out_shape: torch.Size, **__: Any
) -> int:
    """As many as a convolution has; reading between pixels is not counted."""
    return 2 * out_shape[0] * math.prod(out_shape[2:]) * math.prod(weight)


def _storage_key(tensor: Tensor) -> tuple[str, int]:
    return str(tensor.device), tensor.untyped_storage().data_ptr()
