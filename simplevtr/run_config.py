"""Config file and command-line options -> a complete, checked config."""

import os

import simplevtr.modeling  # noqa: F401 - registers the model
from simplevtr.config import add_simplevtr_config
from simplevtr.config_file import find_config, merge_file, merge_words
from simplevtr.data.builtin import register_from_cfg
from simplevtr.head_keys import check_head

import torch
from detectron2.config import CfgNode, get_cfg


def setup_cfg(config_file: str = "", opts: list[str] | tuple[str, ...] = ()) -> CfgNode:
    """Merge a config file and options into the defaults and register the config's datasets.

    Args:
        config_file: YAML file with deltas, see ``find_config``; "" for the defaults alone.
        opts: KEY VALUE pairs, e.g. ``["MODEL.DEVICE", "cpu"]``.

    Returns:
        A config that can still be changed. "~" in OUTPUT_DIR and MODEL.WEIGHTS is the home folder.

    Raises:
        FileNotFoundError: ``config_file``, or one that it builds on, does not exist.
        ValueError: a file cannot be read, a key does not exist, a value has the wrong type, or a
            key differs from its default that the chosen head ignores; the message names it.
        KeyError: a dataset of the config is not registered.
    """
    cfg = get_cfg()
    add_simplevtr_config(cfg)
    if config_file:
        merge_file(cfg, find_config(config_file))
    merge_words(cfg, list(opts))
    check_head(cfg)
    cfg.OUTPUT_DIR = os.path.expanduser(cfg.OUTPUT_DIR)
    cfg.MODEL.WEIGHTS = os.path.expanduser(cfg.MODEL.WEIGHTS)
    register_from_cfg(cfg)
    return cfg


def check_device(cfg: CfgNode) -> None:
    """Raise ValueError if ``MODEL.DEVICE`` is a GPU that is not there."""
    if cfg.MODEL.DEVICE.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(
            f"MODEL.DEVICE is {cfg.MODEL.DEVICE}, but PyTorch finds no GPU here; "
            "add MODEL.DEVICE cpu"
        )
