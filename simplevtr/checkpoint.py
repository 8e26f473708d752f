"""Loading checkpoints without running code from them, and saying what does not fit.

``.pth`` files are read by ``torch.load`` with ``weights_only``; the model zoo's ``.pkl`` files by
an unpickler that knows NumPy arrays and plain containers and nothing else.
"""

from __future__ import annotations

import io
import pickle
import re
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from detectron2.checkpoint import DetectionCheckpointer
from fvcore.common.checkpoint import _IncompatibleKeys
from torch import nn

# What a pickled dict of arrays is made of. Everything else could run code.
SAFE_GLOBALS = {
    ("collections", "OrderedDict"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("_codecs", "encode"),
}

# What unpicklers and zip readers raise at damaged or foreign content.
UNREADABLE = (
    pickle.UnpicklingError,
    EOFError,
    struct.error,
    RuntimeError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ValueError,
    OverflowError,
    ImportError,
)


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles NumPy arrays in plain containers and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in SAFE_GLOBALS:
            raise pickle.UnpicklingError(f"it refers to {module}.{name}, which could run code")
        return super().find_class(module, name)


@contextmanager
def safe_reading(filename: str) -> Iterator[None]:
    """Turn what an unreadable or unsafe file raises into a ValueError that names the file."""
    try:
        yield
    except UNREADABLE as error:
        raise ValueError(
            f"{filename} is no checkpoint that can be read safely: {_reason(error)}. Allowed are "
            ".pth files of tensors and plain containers and .pkl files of NumPy arrays"
        ) from error


def _reason(error: Exception) -> str:
    message = str(error)
    # torch.load names the culprit behind paragraphs of advice to trust the file.
    if culprit := re.search(r"Unsupported global: GLOBAL (\S+)", message):
        return f"it refers to {culprit[1]}, which could run code"
    return message.splitlines()[0] if message else type(error).__name__


def read_zoo_checkpoint(content: bytes) -> dict[str, Any]:
    """Unpickle a ``.pkl`` file of arrays from detectron2's model zoo.

    Returns:
        A dict with the arrays in "model" and detectron2's hints for reading them.

    Raises:
        pickle.UnpicklingError: if it holds anything but arrays in plain containers.
    """
    checkpoint = _ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()
    if "model" in checkpoint:
        return {"matching_heuristics": True, **checkpoint}
    checkpoint = checkpoint.get("blobs", checkpoint)
    weights = {k: v for k, v in checkpoint.items() if not k.endswith("_momentum")}
    return {"model": weights, "__author__": "Caffe2", "matching_heuristics": True}


class ClipCheckpointer(DetectionCheckpointer):
    """detectron2's checkpointer with safe reading and errors that name the keys.

    Weights that start a training may lack parts of the model (a backbone, a model without masks);
    weights that are evaluated may not.
    """

    def __init__(
        self,
        model: nn.Module,
        save_dir: str = "",
        *,
        ignore_prefixes: Iterable[str] = (),
        complete: bool = False,
        averaged: bool = False,
        **checkpointables: Any,
    ) -> None:
        """Create a checkpointer.

        Args:
            model: what weights are loaded into.
            save_dir: folder of the run.
            ignore_prefixes: keys of the file with such a prefix are left out, so that those parts
                of the model keep their initial weights (``MODEL.IGNORE_WEIGHTS``).
            complete: whether every parameter of the model must be in the file.
            averaged: whether to load the weight average that the run kept (``SOLVER.EMA_DECAY``),
                if the file has one.
            checkpointables: further objects with ``state_dict``, saved and loaded beside the model.
        """
        super().__init__(model, save_dir, **checkpointables)
        self.ignore_prefixes = tuple(ignore_prefixes)
        self.complete = complete
        self.averaged = averaged

    def load(self, path: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Load ``path`` ("" for nothing) as detectron2 does.

        Raises:
            FileNotFoundError: if it is no file.
            ValueError: if it cannot be read safely or does not fit the model.
        """
        if path and "://" not in path and not Path(path).is_file():
            raise FileNotFoundError(f"checkpoint {path} does not exist")
        try:
            return super().load(path, *args, **kwargs)
        except URLError as error:
            raise OSError(
                f"MODEL.WEIGHTS {path} could not be fetched ({error.reason}): give a local file, "
                'or MODEL.WEIGHTS "" to start from random weights'
            ) from error

    def _load_file(self, filename: str) -> dict[str, Any]:
        with safe_reading(filename):
            if filename.endswith(".pkl"):
                with self.path_manager.open(filename, "rb") as file:
                    return read_zoo_checkpoint(file.read())
            return super()._load_file(filename)

    def _torch_load(self, filename: str) -> dict[str, Any]:
        return torch.load(filename, map_location="cpu", weights_only=True)

    def _load_model(self, checkpoint: dict[str, Any]) -> _IncompatibleKeys:
        weights = _average_in(checkpoint) if self.averaged else None
        weights = checkpoint["model"] if weights is None else weights
        if self.ignore_prefixes:
            weights = {k: v for k, v in weights.items() if not k.startswith(self.ignore_prefixes)}
        checkpoint["model"] = weights
        incompatible = super()._load_model(checkpoint)
        problems = [
            f"{key}: {tuple(found)} in the file, {tuple(wanted)} in the model"
            for key, found, wanted in incompatible.incorrect_shapes
        ]
        if self.complete:
            problems += [f"{key}: not in the file" for key in incompatible.missing_keys]
        if problems:
            shown = "\n  ".join(problems[:20])
            more = f"\n  and {len(problems) - 20} more" if len(problems) > 20 else ""
            raise ValueError(
                f"the checkpoint does not fit the model of this config:\n  {shown}{more}\n"
                "Use the config that the checkpoint was trained with, or start some parts anew "
                "with MODEL.IGNORE_WEIGHTS, a list of key prefixes"
            )
        return incompatible


def _average_in(checkpoint: dict[str, Any]) -> dict[str, Any] | None:
    """The weights that ``engine.hooks.WeightAverage`` saved, or None."""
    average = checkpoint.get("trainer", {}).get("hooks", {}).get("WeightAverage")
    if average is None:
        return None
    prefix = "module."
    return {k.removeprefix(prefix): v for k, v in average.items() if k.startswith(prefix)}
