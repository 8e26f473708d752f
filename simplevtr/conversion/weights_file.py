"""Files of weights: reading several formats without running code from them, writing one."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simplevtr.checkpoint import read_zoo_checkpoint, safe_reading

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

READABLE = (".pth", ".pt", ".pkl", ".safetensors")
# Training checkpoints keep their weights under one of these beside other states.
_MODEL_KEYS = ("model", "state_dict")


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read the weights of a checkpoint.

    Args:
        path: ``.pth`` or ``.pt`` of PyTorch, the weights alone or under "model" or "state_dict";
            ``.safetensors``; ``.pkl`` of NumPy arrays (detectron2's zoo).

    Returns:
        name -> tensor on the CPU.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it has another suffix, cannot be read safely or holds no weights.
    """
    path = Path(path)
    if path.suffix not in READABLE:
        raise ValueError(f"{path} must end in one of {', '.join(READABLE)}")
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    content = _content(path)
    if isinstance(content, Mapping):
        for key in _MODEL_KEYS:
            if isinstance(content.get(key), Mapping):
                content = content[key]
                break
    if not isinstance(content, Mapping) or not content:
        raise ValueError(f"{path} holds no weights, a dict of names and tensors")
    weights = {}
    for name, value in content.items():
        if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
            value = torch.from_numpy(value.copy())
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise ValueError(
                f"{path}: {name!r} is of type {type(value).__name__}, where a tensor is expected"
            )
        weights[name] = value
    return weights


def _content(path: Path) -> Any:
    with safe_reading(str(path)):
        if path.suffix == ".pkl":
            return read_zoo_checkpoint(path.read_bytes())
        if path.suffix == ".safetensors":
            try:
                return load_file(path)
            except SafetensorError as error:
                raise ValueError(f"damaged ({error})") from error
        # VisTR and DETR store their command line, an attribute bag whose making runs nothing.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)


def write_weights(weights: Mapping[str, Tensor], path: str | Path, *, overwrite: bool) -> int:
    """Write weights as ``{"model": ...}``, whole or not at all.

    Args:
        weights: name -> tensor.
        path: ends in ``.pth``; its folder exists.
        overwrite: whether a file of that name is replaced.

    Returns:
        The size in bytes.

    Raises:
        ValueError: if the suffix is another.
        FileNotFoundError: if there is no such folder.
        FileExistsError: if there is such a file and it is not to be replaced.
    """
    path = Path(path)
    check_writable(path, overwrite=overwrite)
    # In the same folder, so that the file appears under its name in one step.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            torch.save({"model": dict(weights)}, file)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return path.stat().st_size


def check_writable(path: str | Path, *, overwrite: bool) -> None:
    """Raise what ``write_weights`` would, before any work is done."""
    path = Path(path)
    if path.suffix != ".pth":
        raise ValueError(f"{path} must end in .pth")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"the folder {path.parent} does not exist")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; choose another name or add --overwrite")


def _umask() -> int:
    """The mask that new files get (mkstemp makes private ones)."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
