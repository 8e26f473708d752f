"""Config file and command-line options -> a complete, checked config."""

from __future__ import annotations

import difflib
from pathlib import Path

import simplevtr.modeling  # noqa: F401 - registers the model
from simplevtr.config import add_simplevtr_config
from simplevtr.data import register_from_cfg

import torch
from detectron2.config import CfgNode, get_cfg


def setup_cfg(config_file: str = "", opts: list[str] | tuple[str, ...] = ()) -> CfgNode:
    """Merge a config file and options into the defaults and register the config's datasets.

    Args:
        config_file: YAML file with deltas (``_BASE_`` names another file); "" for the defaults
            alone.
        opts: KEY VALUE pairs, e.g. ``["MODEL.DEVICE", "cpu"]``.

    Returns:
        A config that can still be changed.

    Raises:
        FileNotFoundError: if ``config_file`` does not exist.
        ValueError: if a key does not exist or a value has the wrong type; the message names it.
    """
    cfg = get_cfg()
    add_simplevtr_config(cfg)
    if config_file:
        if not Path(config_file).is_file():
            raise FileNotFoundError(f"config file {config_file} does not exist")
        try:
            cfg.merge_from_file(config_file)
        except (KeyError, ValueError, AssertionError) as error:
            raise ValueError(f"{config_file}: {_explain(error, cfg)}") from error
    if len(opts) % 2:
        raise ValueError(f"options come as KEY VALUE pairs, got {len(opts)} words: {list(opts)}")
    try:
        cfg.merge_from_list(list(opts))
    except (KeyError, ValueError, AssertionError) as error:
        raise ValueError(f"command line: {_explain(error, cfg)}") from error
    register_from_cfg(cfg)
    return cfg


def check_device(cfg: CfgNode) -> None:
    """Raise ValueError if ``MODEL.DEVICE`` is a GPU that is not there."""
    if cfg.MODEL.DEVICE.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(
            f"MODEL.DEVICE is {cfg.MODEL.DEVICE}, but PyTorch finds no GPU here; "
            "add MODEL.DEVICE cpu"
        )


def _explain(error: Exception, cfg: CfgNode) -> str:
    """The message of yacs, with the nearest existing keys if one does not exist."""
    message = str(error.args[0]) if error.args else str(error)
    marker = "Non-existent key: "
    if marker in message or message.startswith("Non-existent config key: "):
        key = message.rsplit(": ", 1)[1]
        nearest = difflib.get_close_matches(key, _keys(cfg), n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(nearest)}?" if nearest else ""
        return f"the config key {key} does not exist{hint}"
    return message


def _keys(node: CfgNode, prefix: str = "") -> list[str]:
    result = []
    for name, value in node.items():
        if isinstance(value, CfgNode):
            result += _keys(value, f"{prefix}{name}.")
        else:
            result.append(prefix + name)
    return result
