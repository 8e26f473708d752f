"""A GPU that is not there: tensors with real values that say they lie on "cuda:0".

An operation that mixes them with tensors of the CPU raises what CUDA raises; ``numpy`` does, too.
What depends on the data (matching, linking, run lengths) runs as it does for real, since every
tensor has its values. Kernels are the CPU's, so numbers are not a GPU's and races are not seen.

    with pretend_cuda():
        model = build_model(cfg)  # with MODEL.DEVICE "cuda:0"
"""

import contextlib
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode

GPU, CPU = torch.device("cuda", 0), torch.device("cpu")
# What C++ sees as the device of a pretended tensor. Its autocast and autograd take it for the CPU;
# in options that C++ copies from such a tensor it is told from "cpu" by its index.
INSIDE = torch.device("cpu", 0)

aten = torch.ops.aten
# Take tensors of both devices.
COPIES = {aten._to_copy, aten.copy_, aten._copy_from, aten.copy}
# Take a CPU tensor without dimensions though they are not element by element.
TAKE_SCALARS = {aten.masked_fill, aten.masked_fill_, aten.fill, aten.fill_}
# Take indices on the CPU.
TAKE_INDICES = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_}


class PretendTensor(torch.Tensor):
    """A tensor on the pretended GPU; ``on_cpu`` is on the CPU and has its values."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, real):
        tensor = torch.Tensor._make_wrapper_subclass(
            cls,
            real.shape,
            strides=real.stride(),
            storage_offset=real.storage_offset(),
            dtype=real.dtype,
            device=INSIDE,
        )
        tensor.on_cpu = real
        return tensor

    device = property(lambda self: GPU)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)

    def numpy(self, **_):
        raise TypeError(
            "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor "
            "to host memory first."
        )

    def __array__(self, *_, **__):
        return self.numpy()

    def tolist(self):
        return self.on_cpu.tolist()

    def new_tensor(self, data, *, device=GPU, **options):
        return self.on_cpu.new_tensor(data, **options).to(device)

    def __deepcopy__(self, memo):
        copied = PretendTensor(self.on_cpu.detach().clone()).requires_grad_(self.requires_grad)
        if isinstance(self, torch.nn.Parameter):
            copied = torch.nn.Parameter(copied.detach(), requires_grad=self.requires_grad)
        return memo.setdefault(id(self), copied)

    def __reduce_ex__(self, protocol):
        """As a checkpoint is read again: on the CPU."""
        return self.on_cpu.detach().clone().__reduce_ex__(protocol)

    def __repr__(self):
        return f"{self.on_cpu!r} (pretended on {GPU})"

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


class _Mode(TorchDispatchMode):
    """Sees operations without a pretended tensor as well, such as ``zeros(device="cuda")``."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


def _run(func, args, kwargs):
    tensors = []
    _mapped(tensors.append, (args, kwargs))
    pretended = any(isinstance(tensor, PretendTensor) for tensor in tensors)
    if pretended:
        _refuse_mixture(func, args, tensors)
    if (device := kwargs.get("device")) is not None:
        pretended = device.type == "cuda" or device == INSIDE
        kwargs = kwargs | {"device": device if device.type == "meta" else CPU}
    given = {}  # what an operation changes in place it returns itself

    def unwrapped(tensor):
        real = tensor.on_cpu if isinstance(tensor, PretendTensor) else tensor
        given[id(real)] = tensor
        return real

    def wrapped(tensor):
        if id(tensor) in given:
            return given[id(tensor)]
        return PretendTensor(tensor) if pretended else tensor

    args, kwargs = _mapped(unwrapped, (args, kwargs))
    return _mapped(wrapped, func(*args, **kwargs))


def _mapped(function, tree):
    """``tree`` with ``function`` of each of its tensors; quicker than PyTorch's, for few types."""
    if isinstance(tree, torch.Tensor):
        return function(tree)
    if isinstance(tree, (tuple, list)):
        return type(tree)([_mapped(function, item) for item in tree])
    if isinstance(tree, dict):
        return {key: _mapped(function, item) for key, item in tree.items()}
    return tree


def _refuse_mixture(func, args, tensors):
    """Raise RuntimeError if CUDA's kernel of ``func`` would."""
    operation = func.overloadpacket
    if operation in COPIES:
        return
    if operation in TAKE_INDICES:
        indices = {id(index) for index in args[1]}
        tensors = [tensor for tensor in tensors if id(tensor) not in indices]
    scalars = torch.Tag.pointwise in func.tags or operation in TAKE_SCALARS | TAKE_INDICES
    for position, tensor in enumerate(tensors):
        if isinstance(tensor, PretendTensor):
            continue
        changed = position == 0 and func._schema.is_mutable
        if tensor.dim() or changed or not scalars:
            shapes = ", ".join(f"{tuple(t.shape)} on {t.device}" for t in tensors)
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices, "
                f"cuda:0 and cpu! ({func}: {shapes})"
            )


@contextlib.contextmanager
def pretend_cuda():
    """Within it PyTorch has a GPU, "cuda:0", whose autocast is the CPU's."""
    begin_autocast = torch.autocast.__init__

    def begin(self, device_type, *args, **kwargs):
        begin_autocast(self, "cpu" if device_type == "cuda" else device_type, *args, **kwargs)

    answers = {
        "is_available": True,
        "_lazy_init": None,
        "device_count": 1,
        "current_device": 0,
        "is_bf16_supported": True,
        "synchronize": None,
        "max_memory_allocated": 2**20,
        "reset_peak_memory_stats": None,
        "get_device_name": "a pretended GPU",
    }
    with contextlib.ExitStack() as stack:
        for name, answer in answers.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, lambda *_, _a=answer, **__: _a))
        stack.enter_context(mock.patch.object(torch.autocast, "__init__", begin))
        # Optimizers ask it for the stream that they are captured from.
        stack.enter_context(
            mock.patch.object(
                torch.accelerator, "current_accelerator", mock.Mock(return_value=None)
            )
        )
        # torch.tensor and torch.as_tensor make a tensor on the CPU and move it as an operation.
        before = torch._C._only_lift_cpu_tensors()
        torch._C._set_only_lift_cpu_tensors(True)
        stack.callback(torch._C._set_only_lift_cpu_tensors, before)
        # Module.to makes new parameters instead of giving the old ones other contents.
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        stack.callback(torch.__future__.set_overwrite_module_params_on_conversion, False)
        stack.enter_context(_Mode())
        yield
