"""What --resume continues: the last checkpoint of a run, if it is whole and fits the config."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simplevtr.checkpoint import config_changes
from simplevtr.engine.optimizer import STATE_OF, build_optimizer
from simplevtr.weights_file import inside, read_checkpoint

import torch
from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from detectron2.modeling import build_model
from detectron2.utils import comm

Saved = dict[str, Any]

# Keys that may change silently when a run is resumed.
_FREE = ("OUTPUT_DIR", "MODEL.WEIGHTS", "TEST.OVERWRITE", "DATALOADER.NUM_WORKERS")


def last_checkpoint(output_dir: str) -> str | None:
    """The path of the checkpoint that a run in ``output_dir`` wrote last, None if there is none.

    FileNotFoundError: ``last_checkpoint`` does not exist, but checkpoints do. ValueError: it does
    not name a whole checkpoint.
    """
    folder = Path(output_dir)
    tag = folder / "last_checkpoint"
    others = sorted(folder.glob("model_*.pth"))
    if not tag.is_file():
        if others:
            raise FileNotFoundError(f"{tag} does not exist. {_way_out(tag, others)}")
        return None
    name = tag.read_text(encoding="utf-8", errors="replace").strip()
    last = folder / name
    if name and _read(last) is not None:
        return str(last)
    kind = "is not a whole checkpoint" if last.is_file() else "does not exist"
    problem = f"names {name}, which {kind}" if name else "is empty"
    raise ValueError(f"{tag} {problem}. {_way_out(tag, [p for p in others if p != last])}")


def check_schedule(path: str, cfg: CfgNode) -> None:
    """Raise ValueError if ``SOLVER.MAX_ITER`` leaves the run of a checkpoint nothing to do.

    A complete run may be resumed as it was: it is evaluated again.
    """
    saved = _training_in(path)
    done, end = saved["trainer"]["iteration"] + 1, cfg.SOLVER.MAX_ITER
    before = config_changes(saved, cfg).get("SOLVER.MAX_ITER", (None,))[0]
    if end < done or (end == done and before is not None):
        was = "" if before is None else f" (it was {before})"
        raise ValueError(
            f"{path} has trained for {done} iterations, but SOLVER.MAX_ITER is now {end}{was}, so "
            f"that nothing is left to do: set SOLVER.MAX_ITER, or SOLVER.MAX_EPOCHS, to more than "
            f"{done} iterations, or score the checkpoint with --eval-only --resume"
        )


def surroundings(cfg: CfgNode) -> dict[str, str | int]:
    """What a training depends on beside its config: processes, and the content of its data."""
    result: dict[str, str | int] = {"processes": comm.get_world_size()}
    for name in cfg.DATASETS.TRAIN:
        with Path(MetadataCatalog.get(name).json_file).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        result[f"SHA-256 of the annotations of {name}"] = digest
    return result


def check_fit(path: str, cfg: CfgNode, now: Mapping[str, str | int] | None = None) -> list[str]:
    """Raise ValueError if a checkpoint's optimizer or parameters are not those of a config.

    Returns what else has changed since it was written, in the config and, where these are given
    as ``now``, in the ``surroundings``: "KEY from -> to" each.
    """
    saved = _training_in(path)
    changed = config_changes(saved, cfg).items()
    changes = [f"{key} {old!r} -> {new!r}" for key, (old, new) in changed if key not in _FREE]
    if problem := _misfit(saved["model"], saved["trainer"]["_trainer"]["optimizer"], changes, cfg):
        raise ValueError(
            f"{path} {problem}. Use the run's own values, or start another run: "
            f"MODEL.WEIGHTS {path} OUTPUT_DIR other"
        )
    for key, value in (now or {}).items():
        if (before := inside(saved, "trainer", "surroundings", key)) not in (None, value):
            changes.append(f"{key} {before} -> {value}")
    return changes


def _training_in(path: str) -> Saved:
    """A checkpoint with the state of a training; ValueError if it has none."""
    saved = read_checkpoint(path, mapped=True)
    optimizer = inside(saved, "trainer", "_trainer", "optimizer")
    parts = inside(optimizer, "state"), inside(optimizer, "param_groups")
    if None in parts or inside(saved, "trainer", "iteration") is None:
        raise ValueError(
            f"{path} holds weights alone, with which no training can go on; start one from them "
            f"with MODEL.WEIGHTS {path} and another OUTPUT_DIR"
        )
    return saved


def _misfit(weights: Saved, optimizer: Saved, changes: list[str], cfg: CfgNode) -> str | None:
    """In which way weights and an optimizer's state are not those of a config."""
    entries: Saved = next(iter(optimizer["state"].values()), {})
    kind = next((name for name, entry in STATE_OF.items() if entry in entries), None)
    if kind not in (None, cfg.SOLVER.OPTIMIZER):
        change = f"SOLVER.OPTIMIZER {kind!r} -> {cfg.SOLVER.OPTIMIZER!r}"
        return f"has the state of another optimizer: {change}"
    # Built without memory or values.
    meta = cfg.clone()
    meta.defrost()
    meta.MODEL.DEVICE = "meta"
    with torch.device("meta"):
        model = build_model(meta)
    groups = [len(group["params"]) for group in build_optimizer(meta, model).param_groups]
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in weights.items()}
    differ = sorted(k for k in wanted.keys() | found.keys() if wanted.get(k) != found.get(k))
    if not differ and groups == [len(group["params"]) for group in optimizer["param_groups"]]:
        return None
    causes = [c for c in changes if c.startswith(("MODEL.", *([] if differ else ["SOLVER."])))]
    since = f", in which {', '.join(causes)}" if causes else ""
    shown = "; ".join(
        f"{key} {found.get(key, 'missing')} -> {wanted.get(key, 'missing')}" for key in differ[:3]
    )
    what = "its optimizer groups the parameters in another way"
    what = f"{len(differ)} parameters differ ({shown})" if differ else what
    return f"does not fit this config{since}: {what}"


def _read(path: Path) -> Saved | None:
    """A checkpoint, None if it does not exist or cannot be read."""
    try:
        return read_checkpoint(path, mapped=True)
    except (FileNotFoundError, ValueError):
        return None


def _way_out(tag: Path, others: list[Path]) -> str:
    """Which of the ``others`` a run can go on from, and how."""
    whole = [(saved.get("iteration", -1), p.name) for p in others if (saved := _read(p))]
    if not whole:
        return "No whole checkpoint is in this folder: start anew with another OUTPUT_DIR"
    iteration, name = max(whole)
    return (
        f"The last whole checkpoint in this folder is {name} (iteration {iteration}): to go on "
        f"from it, write its name with: echo {name} > {tag}; then use --resume again"
    )
