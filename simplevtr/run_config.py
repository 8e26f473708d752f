"""Config file and command-line options -> a complete, checked config."""

import os
from pathlib import Path

import simplevtr.modeling  # noqa: F401 - registers the model
from simplevtr.config import default_config
from simplevtr.config_checks import check_config, check_words
from simplevtr.config_file import find_shipped, merge_file, merge_text, merge_words
from simplevtr.data.builtin import register_from_cfg
from simplevtr.data.coco_stills import is_stills
from simplevtr.weights_file import config_of, read_checkpoint

import torch
from detectron2.config import CfgNode


def setup_cfg(config_file: str = "", opts: list[str] | tuple[str, ...] = ()) -> CfgNode:
    """Merge a config file and options into the defaults and register the config's datasets.

    Args:
        config_file: YAML file with deltas, see ``find_shipped``; "" for the config inside the file
            that MODEL.WEIGHTS among ``opts`` names, but for OUTPUT_DIR and TEST.OVERWRITE, or the
            defaults alone if it has none.
        opts: KEY VALUE pairs, e.g. ``["MODEL.DEVICE", "cpu"]``.

    Returns:
        A config that can still be changed. "~" in OUTPUT_DIR and MODEL.WEIGHTS is the home folder.

    Raises:
        FileNotFoundError: ``config_file``, or one that it builds on, does not exist.
        ValueError: a file cannot be read, a key does not exist, a value has the wrong type, or a
            key differs from its default that the chosen head ignores; the message names it.
        KeyError: a dataset of the config is not registered.
    """
    cfg = default_config()
    if config_file:
        merge_file(cfg, find_shipped(config_file))
    elif inside := _config_in_weights(opts):
        here = cfg.OUTPUT_DIR, cfg.TEST.OVERWRITE  # not where its training wrote, nor over what
        merge_text(cfg, *inside)
        cfg.OUTPUT_DIR, cfg.TEST.OVERWRITE = here
    merge_words(cfg, list(opts))
    check_config(cfg)
    cfg.OUTPUT_DIR = os.path.expanduser(cfg.OUTPUT_DIR)
    if cfg.MODEL.WEIGHTS and "://" not in cfg.MODEL.WEIGHTS:
        cfg.MODEL.WEIGHTS = str(find_shipped(os.path.expanduser(cfg.MODEL.WEIGHTS)))
    register_from_cfg(cfg)
    kinds = {"stills" if is_stills(name) else "videos" for name in cfg.DATASETS.TRAIN}
    check_words(cfg, opts[::2], kinds)
    return cfg


def model_cfg(config_file: str, weights: str, opts: list[str], least_score: float = 0) -> CfgNode:
    """The config of a command that runs a model: a file's, or the one inside the ``weights``.

    Tracks that score less than ``least_score`` are not drawn and need not be in the result.
    ValueError: there is neither, or see ``setup_cfg``.
    """
    words = [*opts, *(["MODEL.WEIGHTS", weights] if weights else [])]
    if not config_file and _config_in_weights(words) is None:
        held = f"{weights} holds no config" if weights else "no config is given"
        raise ValueError(
            f"{held}: name one with --config-file, or with --weights a .safetensors file that has "
            "one inside (simplevtr convert writes it)"
        )
    cfg = setup_cfg(config_file, words)
    cfg.TEST.SCORE_THRESHOLD = max(cfg.TEST.SCORE_THRESHOLD, least_score)
    return cfg


def _config_in_weights(opts: list[str] | tuple[str, ...]) -> tuple[str, str] | None:
    """The YAML inside the file that the last MODEL.WEIGHTS of words names, and its source."""
    pairs = dict(zip(opts[::2], opts[1::2], strict=False))
    path = os.path.expanduser(str(pairs.get("MODEL.WEIGHTS", "")))
    if "://" in path or Path(path).suffix.lower() != ".safetensors":
        return None
    text = config_of(read_checkpoint(path))
    return None if text is None else (text, f"the config inside {path}")


def check_device(cfg: CfgNode) -> None:
    """Raise ValueError if ``MODEL.DEVICE`` is not a device, or a GPU that is not there."""
    try:
        device = torch.device(cfg.MODEL.DEVICE)
    except RuntimeError as error:
        raise ValueError(
            f"MODEL.DEVICE is {cfg.MODEL.DEVICE!r}, which is not a device such as cuda, cuda:1 "
            "and cpu"
        ) from error
    if device.type != "cuda":
        try:
            torch.empty(0, device=device).tolist()  # "meta" has no values
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise ValueError(f"MODEL.DEVICE is {device}, which cannot be used: {error}") from error
    elif not torch.cuda.is_available():
        raise ValueError(
            f"MODEL.DEVICE is {device}, but PyTorch finds no GPU here; add MODEL.DEVICE cpu"
        )
    elif (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"MODEL.DEVICE is {device}, but this machine has {torch.cuda.device_count()} GPUs"
        )


def check_inference(cfg: CfgNode) -> None:
    """Raise ValueError if a config's model cannot find tracks here; see ``check_device``."""
    check_device(cfg)
    if not cfg.MODEL.MASK_ON:
        raise ValueError(
            "MODEL.MASK_ON is False: a model without masks finds no tracks; it can be trained, "
            "where DATASETS.TEST is (), but neither scored nor exported"
        )
