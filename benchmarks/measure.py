"""What a model costs: parameters, floating-point operations, memory and time."""

import copy
import gc
import math
import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.memory import peak_resident_bytes
from simplevtr.terminal import table_cell

import numpy as np
import torch
from fvcore.nn import parameter_count
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

MIB = 2**20
SPAWN = get_context("spawn")
LONGEST_ERROR = 300  # characters
WEEK = 7 * 24 * 3600.0  # seconds, longer than anything that is measured

Row = dict[str, Any]

# The parts that have costs of their own, each with its modules. Only the mask head reads the
# attention maps of the slots.
PARTS = {
    "backbone": ("network.backbone",),
    "encoder": ("network.transformer.encoder",),
    "decoder": tuple(
        f"network.{name}" for name in ("transformer.decoder", "transformer.decoder_norm", "decoder")
    ),
    "heads": ("network.class_head", "network.box_head", "network.dense_head"),
    "mask_head": ("network.slot_attention", "network.mask_head"),
}
REST = "rest"


def count_costs(model: nn.Module, frames: Tensor) -> dict[str, Any]:
    """Count parameters, and floating-point operations of a forward pass of every slot.

    Parameters count once each; buffers, as frozen batch norms have, do not. A multiply-add counts 2
    in evaluation mode: matrix products, convolutions, deformable ones included, and attention;
    norms, activations, softmax, bilinear sampling (``grid_sample``) and interpolation do not count.
    Only shapes are computed, by a copy of the model on the "meta" device.

    Args:
        model: has ``predict_clip``, as :class:`simplevtr.modeling.meta_arch.SimpleVTR`.
        frames: (B, T, 3, H, W); only shape and dtype are read.

    Returns:
        ``parameters``, ``trainable`` ones and ``flops``; ``parameters_by_part`` and
        ``flops_by_part``, with ``REST``, which add up to all.
    """
    parameters = parameter_count(model)
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    model = copy.deepcopy(model).to("meta").eval().requires_grad_(False)
    model.forward = model.predict_clip  # below a forward pass, modules have their full names
    counter = FlopCounterMode(
        display=False, custom_mapping={torch.ops.torchvision.deform_conv2d: _deform_conv_flops}
    )
    with torch.no_grad(), counter:
        model(torch.empty_like(frames, device="meta"))
    flops = {
        name.partition(".")[2]: sum(operations.values())
        for name, operations in counter.get_flop_counts().items()
    }
    lists: Counter[str] = Counter()  # of modules, which run by their items alone
    for name, count in flops.items():
        lists[name.rpartition(".")[0]] += count
    total = counter.get_total_flops()
    return {
        "parameters": parameters[""],
        "trainable": trainable,
        "parameters_by_part": _by_part(parameters, parameters[""]),
        "flops": total,
        "flops_by_part": _by_part({**lists, **flops}, total),
    }


def _by_part(counts: Mapping[str, int], total: int) -> dict[str, int]:
    """Counts by module -> counts by part; ``REST`` is what of ``total`` lies in none."""
    result = {part: sum(counts.get(name, 0) for name in modules) for part, modules in PARTS.items()}
    return result | {REST: total - sum(result.values())}


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
    step: Callable[[Any], Any],
    batches: Iterator[Any],
    *,
    steps: int,
    warmup: int,
    device: torch.device,
) -> tuple[list[float], list[float]]:
    """Time ``step(batch)`` and the wait for each batch; a GPU's peak memory counts from here on.

    Returns seconds of each of ``steps`` steps after ``warmup`` others, and of the wait for its
    batch.
    """
    gpu = device.type == "cuda"

    def now() -> float:
        if gpu:
            torch.cuda.synchronize(device)
        return time.perf_counter()

    if gpu:
        torch.cuda.reset_peak_memory_stats(device)
    step_seconds, data_seconds = [], []
    for _ in range(warmup + steps):
        start = now()
        batch = next(batches)
        loaded = time.perf_counter()
        step(batch)
        step_seconds.append(now() - loaded)
        data_seconds.append(loaded - start)
    return step_seconds[warmup:], data_seconds[warmup:]


def quartiles(values: list[float]) -> dict[str, float]:
    """``median``, ``low`` (first quartile) and ``high`` (third), interpolated linearly."""
    low, median, high = np.percentile(values, [25, 50, 75]).tolist()
    return {"median": median, "low": low, "high": high}


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
    end, missing = time.monotonic() + seconds, len(jobs)
    receive, send = SPAWN.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as folder:
        complaints = Path(folder) / "stderr"
        complaints.touch()
        process = SPAWN.Process(target=_measure, args=(function, jobs, send, complaints))
        process.start()
        send.close()  # the end of the process is then the end of the pipe
        try:
            while missing and receive.poll(max(0.0, end - time.monotonic())):
                yield receive.recv()
                missing -= 1
            error = "not done in time" if seconds > 0 else "not begun in time"
        except EOFError:
            process.join()
            error = _death(process.exitcode, complaints)
        finally:
            process.kill()
            process.join()
    yield from [{"error": error}] * missing


def _measure(
    function: Callable[..., Row], jobs: Sequence[tuple], send: Connection, complaints: Path
) -> None:
    with complaints.open("w") as file:
        os.dup2(file.fileno(), 2)
    for job in jobs:
        try:
            row = function(*job)
        except Exception as error:  # noqa: BLE001 - any failure belongs in the table
            row = {"error": table_cell(f"{type(error).__name__}: {error}")[:LONGEST_ERROR]}
        send.send(row)
        gc.collect()  # the next row's peak begins with what is left of this one
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _death(status: int, complaints: Path) -> str:
    """How a process ended, and the last line that it wrote to stderr."""
    how = f"exit {status}" if status >= 0 else signal.strsignal(-status) or f"signal {-status}"
    lines = complaints.read_text(errors="replace").strip().splitlines() or ["no message"]
    return f"{table_cell(lines[-1])[:LONGEST_ERROR]} ({how})"


def _deform_conv_flops(
    _x: torch.Size, weight: torch.Size, *_: Any, out_shape: torch.Size, **__: Any
) -> int:
    """As many as a convolution has; reading between pixels is not counted."""
    return 2 * out_shape[0] * math.prod(out_shape[2:]) * math.prod(weight)


def _storage_key(tensor: Tensor) -> tuple[str, int]:
    return str(tensor.device), tensor.untyped_storage().data_ptr()
