"""How much memory a training step or an inference takes, found without taking it.

The real network runs on fake tensors, which have shapes and no content, while every storage that
PyTorch would allocate is added up and taken off again when it is freed. That needs no GPU and
seconds of time. What a GPU needs beside: its context, and workspaces of its libraries.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from simplevtr.modeling.deform_conv import DeformConv
from simplevtr.modeling.mask_losses import CHUNK_BYTES, TENSORS_A_CHUNK
from simplevtr.modeling.meta_arch import build_network

import torch
from detectron2.config import CfgNode
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# What PyTorch's allocator rounds each tensor up to on a GPU.
ALLOCATION = 512
# Running means that AdamW and AdaBelief keep of each trained value, in float32.
OPTIMIZER_STATES = 2


class AllocatedBytes(TorchDispatchMode):
    """Follows the storages that operations under it allocate and free.

    Attributes:
        now: bytes that are allocated.
        peak: the most that were allocated at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    def add(self, tensor: Tensor) -> None:
        """Count a tensor's storage, once, until it is freed."""
        storage = tensor.untyped_storage()
        if storage in self._known:
            return
        size = -(-storage.nbytes() // ALLOCATION) * ALLOCATION
        self._known[storage] = size
        self.reserve(size)
        weakref.finalize(storage, self.reserve, -size)

    def reserve(self, size: int) -> None:
        """Count ``size`` bytes that no tensor stands for; a negative size gives them back."""
        self.now += size
        self.peak = max(self.peak, self.now)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count what it gives."""
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self.add(leaf)
        return out


class MemoryModel:
    """The memory that one config's model needs for clips of any size."""

    def __init__(self, cfg: CfgNode) -> None:
        """Build the network of ``cfg`` without its memory.

        Its device does not matter; ``SOLVER.AMP.ENABLED`` and ``MODEL.SIMPLEVTR.RECOMPUTE`` do.
        Deformable convolutions are torchvision's, as on a GPU, and dropout is left out: with it a
        CPU's attention keeps its matrices, which a GPU's fused kernels do not.
        """
        cfg = cfg.clone()
        cfg.defrost()
        cfg.MODEL.DEVICE = "cpu"
        cfg.MODEL.SIMPLEVTR.DROPOUT = 0.0
        self._half = cfg.SOLVER.AMP.ENABLED
        self._fake = FakeTensorMode()
        with self._fake:
            self._network = build_network(cfg)
        for module in self._network.modules():
            if isinstance(module, DeformConv):
                module.kernel = "torchvision"

    def training(
        self, *, frames: int, size: tuple[int, int], instances: int, clips: int = 1
    ) -> int:
        """Peak bytes of a training step.

        Args:
            frames: T.
            size: (H, W) of the padded frames.
            instances: G, matched tracks of each clip.
            clips: B.
        """
        counter = self._counter()
        trained = [p for p in self._network.parameters() if p.requires_grad]
        counter.reserve(OPTIMIZER_STATES * sum(p.numel() * 4 for p in trained))
        target_pixels = clips * instances * frames * size[0] * size[1]
        counter.reserve(target_pixels)  # a byte each
        self._network.train()
        with self._fake, counter:
            state, masks = self._forward(frames, size, instances, clips)
            # The mask losses work in chunks of at most this size.
            counter.reserve(min(CHUNK_BYTES, TENSORS_A_CHUNK * 4 * target_pixels))
            loss = masks.float().sum() + state.predictions.logits.sum()
            loss = loss + state.predictions.boxes.sum()
            del state, masks
            loss.backward()
        self._network.zero_grad()
        return counter.peak

    def inference(self, *, frames: int, size: tuple[int, int], slots: int) -> int:
        """Peak bytes of the network's part of inference for the masks of ``slots`` slots."""
        counter = self._counter()
        self._network.eval()
        with self._fake, torch.no_grad(), counter:
            self._forward(frames, size, slots, 1)
        return counter.peak

    def _counter(self) -> AllocatedBytes:
        counter = AllocatedBytes()
        for tensor in (*self._network.parameters(), *self._network.buffers()):
            counter.add(tensor)
        return counter

    def _forward(self, frames: int, size: tuple[int, int], slots: int, clips: int) -> Any:
        with torch.autocast("cpu", torch.float16, enabled=self._half):
            state = self._network.encode(torch.zeros(clips, frames, 3, *size), None)
            clip = torch.arange(clips).repeat_interleave(slots)
            slot = torch.arange(slots).repeat(clips)
            return state, self._network.masks(state, clip, slot)


def most_frames(
    needed: Callable[[int], int],
    budget: float,
    *,
    at_most: int = 1024,
    first: tuple[int, int] = (4, 8),
) -> int:
    """The largest T in [0, ``at_most``] with ``needed(T) <= budget`` bytes.

    Memory grows nearly linearly with T, so two values give a guess, from which the answer is a step
    or two away.

    Args:
        needed: T -> bytes, increasing.
        budget: bytes.
        at_most: the largest T to consider.
        first: two values of T to start from.
    """
    low, high = (needed(t) for t in first)
    slope = max(1.0, (high - low) / (first[1] - first[0]))
    fits, fails = 0, at_most + 1
    probe = int(min(at_most, max(1, first[0] + (budget - low) / slope)))
    step = 1
    while fails - fits > 1:
        if needed(probe) <= budget:
            fits = probe
        else:
            fails = probe
        # Away from the guess in growing steps until it is bracketed, then by halves.
        if fails == at_most + 1:
            probe, step = min(at_most, fits + step), 2 * step
        elif fits == 0:
            probe, step = max(1, fails - step), 2 * step
        else:
            probe = (fits + fails) // 2
    return fits
