"""How much memory a training step or an inference takes, found without taking it; what fits.

The real network runs on fake tensors, which have shapes and no content, while every storage that
PyTorch would allocate is added up and taken off again when it is freed. That needs no GPU. What a
GPU needs in addition: its context, and workspaces of cuDNN. Deformable convolutions are taken to be
torchvision's; those of a compiled detectron2 need less.

While one part of the model works, memory grows evenly with the frames and with the instances; only
which part needs the most changes with them. So lines are drawn part by part from three short clips,
and the largest counts. For fewer frames than the shortest measured clip has, where parts are not
worked through in chunks of full size, lengths are tried one by one.
"""

import copy
import weakref
from bisect import bisect_right
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, NamedTuple

from simplevtr.modeling.deform_conv import TAPS, DeformConv
from simplevtr.modeling.mask_losses import LOSS_CHUNK_BYTES, TENSORS_A_CHUNK
from simplevtr.modeling.matcher import Match
from simplevtr.modeling.meta_arch import head_of
from simplevtr.structures import ClipBatch, ClipTargets

import torch
from detectron2.config import CfgNode
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ALLOCATION = 512  # what PyTorch's allocator rounds each tensor up to on a GPU
# Running means that AdamW and AdaBelief keep of each trained value, in float32.
OPTIMIZER_STATES = 2
# torchvision's deformable convolution unfolds so many maps at once on a GPU, or the largest number
# below that divides the number of maps.
UNFOLDED_MAPS = 32
# Parts that work in the forward pass, and again in the backward pass.
BACKBONE, TRANSFORMER, MASK_HEAD, LOSSES = "backbone", "transformer", "mask head", "losses"
PIXEL_DECODER, SLOTS = "pixel decoder", "slots"

# Frames of the clips that are measured. From nine on, the mask head works on one slot at a time
# (SLOT_FRAMES_AT_A_TIME, 16) where it does not keep its activations. Both make three chunks of the
# backbone (IMAGES_AT_A_TIME, 4), which is quick; longer clips take longer and give the same.
SHORTER, LONGER = 9, 12
# The mask head adds up the gradients of two or more slots; one alone is measured by itself.
FEW, MORE = 2, 2
ROUNDING = 1e-3  # of a frame; less does not keep a clip from fitting


class AllocatedBytes(TorchDispatchMode):
    """Follows the storages that operations under it allocate and free.

    Attributes:
        now: bytes that are allocated.
        peaks: the most that were allocated at once while each part worked; see ``enter``.
    """

    def __init__(self, *, exact: bool = True) -> None:
        """``exact``: whether to count the maps that just this number unfolds, not the most ever."""
        super().__init__()
        self.now = 0
        self.peaks: dict[str, int] = {}
        self._exact = exact
        self._part = ""
        self._known: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def enter(self, part: str, *, backward: bool = False) -> None:
        """From now on ``part`` works."""
        self._part = f"{part}, backward" if backward else part
        self.reserve(0)

    def add(self, tensor: Tensor) -> None:
        """Count a tensor's storage, once, until it is freed."""
        storage = tensor.untyped_storage()
        if storage not in self._known:
            self._known.add(storage)
            size = -(-storage.nbytes() // ALLOCATION) * ALLOCATION
            self.reserve(size)
            weakref.finalize(storage, self.reserve, -size)

    def reserve(self, size: int) -> None:
        """Count ``size`` bytes that no tensor stands for; a negative size gives them back."""
        self.now += size
        self.peaks[self._part] = max(self.peaks.get(self._part, 0), self.now)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count what it returns."""
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self.add(leaf)
        if func.namespace == "torchvision":
            self._add_deform_workspace(func, args)
        return out

    def _add_deform_workspace(self, func: Any, args: Any) -> None:
        """Count what torchvision's kernel takes in addition to its output, as a part of its own."""
        forward = func is torch.ops.torchvision.deform_conv2d.default
        x, weight = args[:2] if forward else args[1:3]
        maps, channels, pixels = x.shape[0], x.shape[1], x.shape[2] * x.shape[3]
        possible = range(1, UNFOLDED_MAPS + 1)
        unfolded = max(n for n in possible if maps % n == 0 or not self._exact) * TAPS * channels
        # Two copies of what comes out, or one of its gradient.
        copies = (2 if forward else 1) * maps * weight.shape[0]
        part = f"{self._part}, {channels} channels unfolded"
        need = self.now + (unfolded + copies) * pixels * x.element_size()
        self.peaks[part] = max(self.peaks.get(part, 0), need)


class MemoryModel:
    """The memory that one config's model needs for clips of any size."""

    def __init__(self, cfg: CfgNode, *, exact: bool = False) -> None:
        """Build the network of ``cfg``; its content is dropped.

        Its device does not matter; ``SOLVER.AMP.ENABLED``, ``TEST.AMP`` and
        ``MODEL.SIMPLEVTR.RECOMPUTE`` do. What is computed otherwise on a GPU is counted as there:
        deformable convolutions are torchvision's, attention keeps no matrices for its dropout.

        Args:
            cfg: the config.
            exact: whether workspaces of the mask losses and the deformable convolutions are those
                of just the measured clip, which jump with T and G; else the largest of any.

        Raises:
            ValueError: if the config is not of SimpleVTR with masks.
        """
        if cfg.MODEL.META_ARCHITECTURE != "SIMPLEVTR" or not cfg.MODEL.MASK_ON:
            raise ValueError(
                f"MODEL.META_ARCHITECTURE is {cfg.MODEL.META_ARCHITECTURE!r} and MODEL.MASK_ON "
                f"{cfg.MODEL.MASK_ON}; memory is known for 'SIMPLEVTR' and True"
            )
        cfg = cfg.clone()
        cfg.defrost()
        cfg.MODEL.DEVICE = "cpu"
        self._exact = exact
        self._averages = cfg.SOLVER.EMA_DECAY > 0
        self._half = {True: cfg.SOLVER.AMP.ENABLED, False: cfg.TEST.AMP}  # by network.training
        self._fake = FakeTensorMode()
        network, criterion = head_of(cfg)
        built = network(cfg), criterion(cfg)  # with content, by which some backbones of timm go
        with FakeCopyMode(self._fake):
            self._network, self._criterion = copy.deepcopy(built)
        self._criterion.assign = _any_assignment
        for module in self._network.modules():
            if isinstance(module, DeformConv):
                module.backend = "torchvision"
            elif isinstance(module, nn.Dropout):
                # A type checker takes the method of this module alone for that of all.
                module.forward = partial(_gpu_dropout, module)  # type: ignore[method-assign]
            elif isinstance(module, nn.MultiheadAttention):
                module.dropout = 0.0
        # Modules with which a part begins to work, and the part that made their first input.
        self._pixel = cfg.MODEL.SIMPLEVTR.HEAD == "pixel"
        if self._pixel:
            decoder = self._network.mask_head
            first = decoder.lateral[decoder.levels[0]]
            self._begins = [(first, PIXEL_DECODER, BACKBONE)]
            self._begins.append((self._network.decoder, SLOTS, PIXEL_DECODER))
        else:
            self._begins = [(self._network.input_projection, TRANSFORMER, BACKBONE)]

    def training(
        self, *, frames: int, size: tuple[int, int], instances: int, clips: int = 1
    ) -> dict[str, int]:
        """Peak bytes of a training step while each part works; the step needs the largest.

        Args:
            frames: T.
            size: (H, W) of the padded frames.
            instances: G, matched tracks of each clip.
            clips: B.
        """
        counter = self._counter()
        if self._averages:
            counter.reserve(counter.now)  # a copy of what it counts so far
        trained = [p for p in self._network.parameters() if p.requires_grad]
        counter.reserve(OPTIMIZER_STATES * sum(p.numel() * 4 for p in trained))
        self._network.train()
        with self._fake, counter:
            targets = [_targets(frames, size, instances) for _ in range(clips)]
            batch = ClipBatch(torch.zeros(clips, frames, 3, *size))
            state = self._encode(batch, counter)
            if self._pixel:  # the real losses; what is assigned to what does not matter
                state.layers.slots.register_hook(lambda _: counter.enter(SLOTS, backward=True))
                counter.enter(LOSSES)
                loss = sum(self._criterion(self._network, state, targets, batch).values())
            else:
                loss = self._paper_loss(state, targets, counter)
            del batch, state
            counter.enter(LOSSES if self._pixel else MASK_HEAD, backward=True)
            loss.backward()
        self._network.zero_grad()
        return counter.peaks

    def inference(self, *, frames: int, size: tuple[int, int], instances: int) -> dict[str, int]:
        """As ``training``, of the network's part of inference with the masks of so many slots."""
        counter = self._counter()
        self._network.eval()
        with self._fake, torch.no_grad(), counter:
            batch = ClipBatch(torch.zeros(1, frames, 3, *size))
            self._masks(self._encode(batch, counter), instances, counter)
        return counter.peaks

    def _counter(self) -> AllocatedBytes:
        counter = AllocatedBytes(exact=self._exact)
        counter.enter(BACKBONE)
        for tensor in (*self._network.parameters(), *self._network.buffers()):
            counter.add(tensor)
        return counter

    def _encode(self, batch: ClipBatch, counter: AllocatedBytes) -> Any:
        """The network's state; the counter learns which part works, in the backward pass too."""

        def begin(part: str, before: str, _: nn.Module, inputs: tuple[Any, ...]) -> None:
            counter.enter(part)
            first = inputs[0][0] if isinstance(inputs[0], list) else inputs[0]
            if first.requires_grad:
                first.register_hook(lambda _: counter.enter(before, backward=True))

        hooks = [m.register_forward_pre_hook(partial(begin, to, by)) for m, to, by in self._begins]
        with self._autocast():
            state = self._network.encode(batch)
        for hook in hooks:
            hook.remove()
        return state

    def _masks(self, state: Any, slots: int, counter: AllocatedBytes) -> Tensor:
        counter.enter(MASK_HEAD)
        clips = len(state.slots)
        clip, slot = torch.arange(clips).repeat_interleave(slots), torch.arange(slots).repeat(clips)
        with self._autocast():
            return self._network.masks(state, clip, slot)

    def _autocast(self) -> torch.autocast:
        return torch.autocast("cpu", torch.float16, enabled=self._half[self._network.training])

    def _paper_loss(
        self, state: Any, targets: list[ClipTargets], counter: AllocatedBytes
    ) -> Tensor:
        """A loss that keeps what the real ones keep, which look at values; theirs need a chunk."""
        maps, pixels = targets[0].visible.numel(), targets[0].masks[0, 0].numel()
        a_map = TENSORS_A_CHUNK * 4 * pixels
        chunk = max(1, LOSS_CHUNK_BYTES // a_map)
        chunk = (min(maps, chunk) if self._exact else chunk) * a_map
        masks = self._masks(state, len(targets[0]), counter)
        state.memory.register_hook(lambda _: counter.enter(TRANSFORMER, backward=True))
        counter.enter(LOSSES)
        counter.reserve(chunk)
        predictions = state.predictions
        loss = masks.float().sum() + predictions.logits.sum() + predictions.boxes.sum()
        counter.reserve(-chunk)
        return loss


def _targets(frames: int, size: tuple[int, int], instances: int) -> ClipTargets:
    return ClipTargets(
        labels=torch.zeros(instances, dtype=torch.int64),
        boxes=torch.zeros(instances, frames, 4),
        masks=torch.zeros(instances, frames, *size, dtype=torch.bool),
        visible=torch.ones(instances, frames, dtype=torch.bool),
    )


def _any_assignment(cost: Tensor, device: torch.device) -> Match:
    """In place of ``assign``, which reads the cost: the first slots."""
    return (torch.arange(cost.shape[-1], device=device),) * 2


def _gpu_dropout(module: nn.Dropout, x: Tensor) -> Tensor:
    """Dropout that keeps a bool per value, as on a GPU; a CPU's keeps a number."""
    if not module.training or module.p == 0:
        return x
    return torch.native_dropout(x, module.p, True)[0]


class PartMemory(NamedTuple):
    """Bytes that are allocated at the worst moment while one part of the model works."""

    fixed: float  # whatever the clip
    frame: float  # more with each frame
    instance: float  # more with each frame for each of its instances


class MemoryPlan:
    """What clips of one size of frame need, whatever their length."""

    def __init__(self, peaks: Callable[..., Mapping[str, int]]) -> None:
        """``peaks(frames=, instances=)``: the peak bytes of each part; it is called rarely."""
        self._peaks = cache(peaks)

    def parts(self, instances: int) -> dict[str, PartMemory]:
        """What each part needs, for clips of at least ``SHORTER`` frames."""
        few, parts = min(instances, FEW), {}
        clips = ((SHORTER, few), (LONGER, few), (SHORTER, few + MORE))
        shorter, longer, more = (self._peaks(frames=t, instances=g) for t, g in clips)
        for part, need in shorter.items():
            frame = (longer[part] - need) / (LONGER - SHORTER)
            instance = (more[part] - need) / (SHORTER * MORE)
            parts[part] = PartMemory(need - SHORTER * frame, frame - few * instance, instance)
        return parts

    def most_frames(self, budget: float, instances: int, *, at_most: int) -> int:
        """The largest T in [0, ``at_most``] that needs no more than ``budget`` bytes."""
        frames = min(
            (budget - part.fixed) / (part.frame + part.instance * instances)
            for part in self.parts(instances).values()
        )
        frames = int(frames + ROUNDING)
        if frames < SHORTER:

            def need(frames: int) -> int:
                return max(self._peaks(frames=frames, instances=instances).values())

            frames = bisect_right(range(1, SHORTER), budget, key=need)
        return min(frames, at_most)
