"""What pickles of arrays may refer to: plain containers, and NumPy's arrays, scalars and dtypes.

NumPy's own functions would also make arrays of objects, whose bytes are addresses in memory; the
ones here make arrays of numbers and text alone.
"""

import argparse
import pickle
from collections import OrderedDict
from typing import Any

import numpy as np


class SafeUnpickler(pickle.Unpickler):
    """Unpickles NumPy arrays in plain containers and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        """What a pickle means by a name."""
        try:
            return _GLOBALS[f"{module}.{name}"]
        except KeyError:
            raise pickle.UnpicklingError(f"GLOBAL {module}.{name}") from None


def _checked(dtype: np.dtype) -> np.dtype:
    if not isinstance(dtype, np.dtype) or dtype.kind not in "biufcSUmM":
        raise pickle.UnpicklingError(f"GLOBAL {dtype}")
    return dtype


class _Array(np.ndarray):
    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _checked(state[2])
        super().__setstate__(state)


def _new_array(subtype: object, shape: object, dtype: object) -> _Array:
    return np.ndarray.__new__(_Array, (0,), "b")  # __setstate__ fills it


def _subtype() -> None:
    """Stands for numpy.ndarray, which ``_new_array`` is handed."""


def _scalar(dtype: np.dtype, data: bytes | str = b"") -> Any:
    data = data.encode("latin1") if isinstance(data, str) else data
    return np.frombuffer(data, _checked(dtype), 1)[0]


def _from_buffer(data: bytes, dtype: np.dtype, shape: tuple[int, ...], order: Any) -> np.ndarray:
    return np.frombuffer(data, _checked(dtype)).reshape(shape, order=order)


def _latin1(text: str, encoding: str) -> bytes:
    """Bytes, as Python 3 pickles them for Python 2."""
    return text.encode("latin1")


_GLOBALS: dict[str, Any] = {
    "collections.OrderedDict": OrderedDict,
    "argparse.Namespace": argparse.Namespace,  # VisTR and DETR store their command line
    "_codecs.encode": _latin1,
    "numpy.ndarray": _subtype,
    "numpy.dtype": np.dtype,
}
for _core in ("numpy.core", "numpy._core"):
    _GLOBALS[f"{_core}.multiarray._reconstruct"] = _new_array
    _GLOBALS[f"{_core}.multiarray.scalar"] = _scalar
    _GLOBALS[f"{_core}.numeric._frombuffer"] = _from_buffer
for _dtype in map(np.dtype, "?bhilqBHILQefdgFDGSUmM"):
    for _kind in (_dtype.type, type(_dtype)):
        _GLOBALS[f"{_kind.__module__}.{_kind.__name__}"] = _kind
# torch.load restores the state of these classes alone.
TORCH_GLOBALS: list[Any] = [(value, name) for name, value in _GLOBALS.items()] + [_Array]
