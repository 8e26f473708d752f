"""Files of weights: reading them without running code from them, writing them whole or not at all.

``.pth`` and ``.pt`` files are read by ``torch.load`` with ``weights_only``, the ``.pkl`` files of
detectron2's model zoo by an unpickler that allows as little (``safe_pickle``).
"""

import contextlib
import errno
import io
import json
import logging
import pickle
import re
import struct
import threading
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from simplevtr import __version__
from simplevtr.formats.files import refuse_existing, replaced_file
from simplevtr.safe_pickle import TORCH_GLOBALS, SafeUnpickler
from simplevtr.structures import Classes

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

logger = logging.getLogger(__name__)

WRITABLE = (".pth", ".safetensors")
READABLE = (".pth", ".pt", ".pkl", ".safetensors", ".tar", ".bin", ".ckpt", ".pyth")
# Training checkpoints keep their weights under one of these, along with other states.
_MODEL_KEYS = ("model", "state_dict")
# Keys of a .safetensors file's metadata, which is text.
_CONFIG, _CLASSES = "simplevtr.config", "simplevtr.classes"
_TURN = threading.Lock()  # of threads that read: what torch may load and warn of is the process's
# What unpicklers and zip readers raise on damaged or foreign content.
_UNREADABLE = (
    pickle.UnpicklingError, struct.error, SafetensorError, EOFError, RuntimeError, LookupError,
    TypeError, AttributeError, AssertionError, ValueError, OverflowError, ImportError, MemoryError,
)  # fmt: skip


def read_checkpoint(path: str | Path, *, mapped: bool = False) -> dict[str, Any]:
    """Read all that a checkpoint holds: a dict with the weights under "model".

    Args:
        path: ``.pth`` or ``.pt`` of PyTorch, the weights alone or under "model" or "state_dict";
            ``.safetensors``, with "config" and "classes" if it has them; ``.pkl`` of NumPy arrays
            (detectron2's zoo), which keeps the hints that detectron2 reads it by.
        mapped: whether the tensors of a ``.pth`` stay in the file until they are looked at.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it has another suffix, cannot be read safely or holds no dict; the message names
            what it is.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder; a file of weights is needed")
    if path.suffix.lower() not in READABLE:
        raise ValueError(f"{path} must end in one of {', '.join(READABLE)}")
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        content = _content(path, mapped)
    except (*_UNREADABLE, OSError) as error:
        # torch looks before the beginning of an archive that was cut off early.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        raise ValueError(
            f"{path} is not a checkpoint that can be read safely: {_reason(path, error)}. Allowed "
            "are .pth files of tensors and plain containers, .pkl files of NumPy arrays, and "
            ".safetensors files"
        ) from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no weights, a dict of names and tensors")
    for key in _MODEL_KEYS:
        if isinstance(content.get(key), Mapping):
            return {**content, "model": content[key]}
    return {"model": content}


def inside(content: Any, *keys: str) -> Any:
    """What nested dicts have under these keys, None if one is missing or not in a dict."""
    for key in keys:
        content = content.get(key) if isinstance(content, Mapping) else None
    return content


def weights_of(checkpoint: Mapping[str, Any], source: str | Path) -> tuple[dict[str, Tensor], str]:
    """The weights of a checkpoint that evaluation uses.

    Returns:
        Name -> tensor: the average that ``SOLVER.EMA_DECAY`` kept if there is one, else the weights
        of the last iteration; and which of them it is, in words.

    Raises:
        ValueError: there are none, or something else is among them; the message begins with
            ``source``.
    """
    # As ``engine.hooks.WeightAverage`` saved it, timm and torchvision
    own = inside(checkpoint, "trainer", "hooks", "WeightAverage")
    found = {**checkpoint, "SOLVER.EMA_DECAY": own}
    keys = ("SOLVER.EMA_DECAY", "state_dict_ema", "model_ema")
    average = next((key for key in keys if isinstance(found.get(key), Mapping)), None)
    content = found[average or "model"]
    # DataParallel and averages wrap weights; an average may have numbers of its own around them.
    names = {key: key.removeprefix("module.") for key in content if isinstance(key, str)}
    wrapped = {name: content[key] for key, name in names.items() if name != key}
    if wrapped and (average or len(wrapped) == len(content)):
        content = wrapped
    if not content:
        raise ValueError(f"{source} holds no weights, a dict of names and tensors")
    weights = {}
    for name, value in content.items():
        tensor = value
        if isinstance(value, np.ndarray):
            # Text, or numbers that torch does not support, stay what they are.
            with contextlib.suppress(TypeError):
                tensor = torch.from_numpy(value.astype(value.dtype.newbyteorder("="), order="C"))
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            kind = "ndarray" if isinstance(value, np.ndarray) else type(value).__name__
            raise ValueError(f"{source}: {name!r} is of type {kind}, where a tensor is expected")
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            raise ValueError(f"{source}: {name!r} is sparse, quantised or without values")
        weights[name] = tensor
    if average is None:
        return weights, "the weights as they are (no average was kept)"
    return weights, f"the average of the weights ({average})"


def classes_of(checkpoint: Mapping[str, Any], source: str | Path) -> Classes | None:
    """The classes that a checkpoint was trained with, None where it does not tell.

    ValueError if they are not names and ids, one each.
    """
    saved = checkpoint.get("classes")
    if saved is None:
        return None
    try:
        return Classes(tuple(saved["names"]), tuple(saved["ids"]))
    except (LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{source}: 'classes' is {saved!r:.80}, not names and ids") from error


def config_of(checkpoint: Mapping[str, Any]) -> str | None:
    """The YAML of the config that a checkpoint was trained with, None where it does not tell."""
    texts = inside(checkpoint, "config"), inside(checkpoint, "trainer", "config")
    return next((text for text in texts if isinstance(text, str)), None)


def write_weights(
    weights: Mapping[str, Tensor],
    path: str | Path,
    *,
    overwrite: bool = False,
    classes: Classes | None = None,
    config: str | None = None,
) -> int:
    """Write weights, whole or not at all; returns the size in bytes.

    A ``.pth`` file holds ``{"model": ...}``. ``classes``, what the rows of the class head stand
    for, are written if known; the YAML of a ``config`` only into ``.safetensors``, next to the
    versions that wrote it. See ``check_writable`` for errors.
    """
    check_writable(path, overwrite=overwrite)
    path = Path(path)
    if path.suffix.lower() == ".safetensors":
        versions = {"simplevtr": __version__, "torch": torch.__version__}
        texts = {"format": "pt", "versions": json.dumps(versions), _CONFIG: config}
        texts[_CLASSES] = None if classes is None else json.dumps(classes.state_dict())
        known = {key: text for key, text in texts.items() if text is not None}
        # Tensors may share memory or have gaps in theirs, which the format does not allow.
        copies = {name: value.clone(memory_format=torch.contiguous_format)
                  for name, value in weights.items()}  # fmt: skip
        with replaced_file(path) as partial:
            partial.write_bytes(save(copies, metadata=known))  # with the rights of any new file
    else:
        named = {} if classes is None else {"classes": classes.state_dict()}
        save_whole({"model": dict(weights), **named}, path)
    return path.stat().st_size


def save_whole(content: dict[str, Any], path: Path) -> None:
    """``torch.save`` in one step: the file is whole or as it was before. OSError: a full disk."""
    with replaced_file(path) as partial:
        try:
            torch.save(content, partial)
        except RuntimeError as error:
            raise OSError(f"{path} cannot be written; is the disk full? ({error})") from error


def check_writable(path: str | Path, *, overwrite: bool, inputs: Iterable[str | Path] = ()) -> None:
    """Refuse a target of ``write_weights`` before any work is done.

    ValueError: the suffix is not one of ``WRITABLE``, or it is one of the ``inputs``.
    FileExistsError: there is such a file and it is not to be replaced.
    """
    if Path(path).suffix.lower() not in WRITABLE:
        raise ValueError(f"{path} must end in {' or '.join(WRITABLE)}")
    refuse_existing(path, overwrite=overwrite, inputs=inputs)


def half_precision(weights: Mapping[str, Tensor], source: str | Path) -> dict[str, Tensor]:
    """Round floating-point weights to float16.

    ValueError, with ``source``: one is too large; those that are too small and become 0 are told.
    """
    result, lost = {}, 0
    for name, value in weights.items():
        result[name] = value.half() if value.is_floating_point() else value
        if not torch.isfinite(result[name]).all():
            raise ValueError(f"{source}: {name} has values that do not fit into float16")
        lost += int(((result[name] == 0) & (value != 0)).sum())
    if lost:
        logger.warning("%s: %d weights below 6e-8 are 0 in float16", source, lost)
    return result


def _content(path: Path, mapped: bool) -> Any:
    if path.suffix.lower() == ".pkl":
        content = SafeUnpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
        if "model" in content:
            return {"matching_heuristics": True, **content}
        content = content.get("blobs", content)  # Caffe2's
        weights = {k: v for k, v in content.items() if not k.endswith("_momentum")}
        return {"model": weights, "__author__": "Caffe2", "matching_heuristics": True}
    if path.suffix.lower() == ".safetensors":
        with safe_open(path, "pt") as file:
            texts = file.metadata() or {}
        found = {"config": texts.get(_CONFIG), "classes": json.loads(texts.get(_CLASSES, "null"))}
        known = {key: value for key, value in found.items() if value is not None}
        return {"model": load_file(path), **known}
    with _TURN, torch.serialization.safe_globals(TORCH_GLOBALS), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about what it then refuses
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)


def _reason(path: Path, error: Exception) -> str:
    """What a file is instead. torch's own messages are advice to trust the file: never shown."""
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        return "it is empty"
    if head.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer that stands for the file; fetch it with: git lfs pull"
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
        return "it is a web page (HTML), not the file that was to be downloaded"
    if culprit := re.search(r"GLOBAL (\S+)", str(error)):
        return f"it refers to {culprit[1]}, which could run code"
    if head.startswith(b"PK"):
        return "it is an archive that is damaged or incomplete; copy or download it again"
    if re.fullmatch(rb"[\t\n\r -~]+", head):
        return f"it is text that begins with {head[:20].decode()!r}"
    return "it is damaged, or of another kind"
