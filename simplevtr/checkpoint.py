"""Loading checkpoints into a model, and telling what does not fit."""

import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import parse_qs

from simplevtr.backbone_weights import backbone_names, is_caffe
from simplevtr.config_file import flat, parse_config
from simplevtr.formats.checks import names_difference
from simplevtr.formats.files import write_bytes
from simplevtr.package_files import PackageFiles
from simplevtr.structures import Classes
from simplevtr.terminal import one_line
from simplevtr.weights_file import (
    classes_of,
    config_of,
    read_checkpoint,
    save_whole,
    weights_of,
    write_weights,
)

import torch
from detectron2.checkpoint import DetectionCheckpointer
from detectron2.config import CfgNode
from detectron2.utils.file_io import PathManager
from fvcore.common.checkpoint import _IncompatibleKeys
from torch import nn

logger = logging.getLogger(__name__)
PathManager.register_handler(PackageFiles(), allow_override=True)

_UNNAMED = "%s does not name its classes: their order could not be checked"
# The layers with a row for each class, and their rows after those ("no object").
_CLASS_LAYERS = {"network.class_head.": 1, "network.dense_head.": 0}
# Keys of MODEL and INPUT, but for those by which a trained model predicts the same in any case.
_OF_MODEL = re.compile(
    r"(?!(MODEL\.(WEIGHTS|IGNORE_WEIGHTS|DEVICE|BACKBONE\.FREEZE_AT|SIMPLEVTR\.(MATCHER\..*|"
    r"LOSS\.(?!NO_OBJECT).*|RECOMPUTE|DROPOUT|NO_OBJECT_BIAS))|INPUT\.(?!FORMAT).*)$)"
    r"(MODEL|INPUT)\..*"
)
# Keys that no tensor shows: with other values the same weights compute something else.
UNSEEN = re.compile(
    r"INPUT\.FORMAT|MODEL\.(PIXEL_MEAN|PIXEL_STD|TIMM\.NAME|TIMM\.SIZE|"
    r"RESNETS\.(RES5_DILATION|STAGE_STRIDES|STEM_STRIDE|STRIDE_IN_1X1)|"
    r"SIMPLEVTR\.(DECODER_INPUT|NUM_HEADS|MASK_HEAD\.ATTENTION_SCALE|PIXEL\.MASKED_ATTENTION))"
)


def local_file(path: str) -> str:
    """The file on this machine that ``MODEL.WEIGHTS`` names, fetched if it is an address.

    FileNotFoundError: there is none. OSError: it cannot be fetched.
    """
    try:
        local = PathManager.get_local_path(path)
    except RuntimeError as error:  # a name that detectron2's catalog does not have
        raise FileNotFoundError(f"MODEL.WEIGHTS {path}: {one_line(error)}") from error
    except URLError as error:
        raise OSError(
            f"MODEL.WEIGHTS {path} could not be fetched ({error.reason}): give a local file, or "
            'MODEL.WEIGHTS "" to start a training from random weights'
        ) from error
    if not Path(local).is_file():
        kind = "is a folder" if Path(local).is_dir() else "does not exist"
        raise FileNotFoundError(f"checkpoint {path} {kind}")
    return local


def saved_classes(path: str) -> Classes | None:
    """The classes that a checkpoint was trained with, None for "" or where it does not tell."""
    if not path:
        return None
    classes = classes_of(read_checkpoint(local_file(path)), path)
    if classes is None:
        logger.warning(_UNNAMED, path)
    return classes


def trained_config(checkpoint: Mapping[str, Any], source: str) -> dict[str, Any] | None:
    """A checkpoint's config by whole keys, None without; ValueError of ``source`` if it is none."""
    text = config_of(checkpoint)
    return None if text is None else flat(parse_config(text, source))


def config_changes(checkpoint: Mapping[str, Any], cfg: CfgNode) -> dict[str, tuple[Any, Any]]:
    """Keys in which ``cfg`` differs from ``trained_config``, and both values; {} if unknown."""
    source = "the config inside the checkpoint"
    if (old := trained_config(checkpoint, source)) is None:
        return {}
    new = flat(parse_config(cfg.dump(), source))
    return {
        key: (old.get(key), new.get(key))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    }


def load_trained(model: nn.Module, cfg: CfgNode) -> None:
    """Load all of ``MODEL.WEIGHTS`` as ``ClipCheckpointer`` does; warn of another model's keys."""
    rest = ClipCheckpointer(model, complete=True).load(cfg.MODEL.WEIGHTS)
    warn_of_changes(cfg.MODEL.WEIGHTS, config_changes(rest, cfg), _OF_MODEL)


def warn_of_changes(source: str, changes: Mapping[str, tuple], keys: re.Pattern[str]) -> None:
    """Warn of those of the ``keys`` in which the training of a ``source`` differs from a config."""
    for key, (old, new) in changes.items():
        if keys.fullmatch(key) and None not in (old, new):
            text = "%s was trained with %s %r, which is %r here: its weights mean something else"
            logger.warning(text, source, key, old, new)


def _is_idle(key: str) -> bool:
    """Whether a model may be without: of training alone, or offsets of what is plain now (§3.2)."""
    of_training = key.startswith("network.dense_head.") or key.endswith("num_batches_tracked")
    return of_training or ".offset." in key


def _not_finite(weights: Mapping[str, torch.Tensor]) -> list[str]:
    return [name for name, value in weights.items() if not value.isfinite().all()]


class ClipCheckpointer(DetectionCheckpointer):
    """detectron2's checkpointer with safe reading and errors that name the keys.

    Keys of the file that begin with one of ``ignore_prefixes`` (``MODEL.IGNORE_WEIGHTS``) are left
    out. Weights that start a training may lack parts of the model (a backbone, a model without
    masks); with ``complete``, as for an evaluation, they may not. ``classes``, what the model's
    labels stand for, are written into each checkpoint; the class head of weights that name the same
    in another order is brought into this one. With ``final_config``, a YAML text, the last
    checkpoint of a training is also written as one ``.safetensors`` file that has it inside.
    """

    def __init__(
        self,
        model: nn.Module,
        save_dir: str = "",
        *,
        ignore_prefixes: Iterable[str] = (),
        complete: bool = False,
        classes: Classes | None = None,
        final_config: str | None = None,
        **checkpointables: Any,
    ) -> None:
        saved = {} if classes is None else {"classes": classes}
        super().__init__(model, save_dir, **saved, **checkpointables)
        self.classes = classes
        self.ignore_prefixes = tuple(ignore_prefixes)
        self.complete = complete
        self._final_config = final_config
        self._source = ""
        self._continues = False

    def load(self, path: str, checkpointables: list[str] | None = None) -> dict[str, Any]:
        """Load a file, an address that detectron2 knows, or "" for nothing.

        Where states of a run are restored, too (``checkpointables``, None for all), the weights are
        those of its last iteration, all of them; else those that ``weights_of`` chooses, without
        ``ignore_prefixes``. ValueError: the file cannot be read safely or does not fit the model;
        see ``local_file`` for others.
        """
        if path:
            local_file(path)
        self._source = path
        restored = self.checkpointables if checkpointables is None else checkpointables
        self._continues = bool({*restored} - {"classes"})
        return super().load(path, checkpointables)

    def save(self, name: str, **extra: Any) -> None:
        """Save as detectron2 does, but with ``save_whole``."""
        if not (self.save_dir and self.save_to_disk):
            return
        state = {key: part.state_dict() for key, part in self.checkpointables.items()}
        path = Path(self.save_dir) / f"{name}.pth"
        weights = self.model.state_dict()
        if broken := _not_finite(weights):
            raise FloatingPointError(
                f"{path} is not saved: {len(broken)} weights became infinite or NaN, such as "
                f"{broken[0]}. Lower SOLVER.BASE_LR; --resume goes on from the checkpoint before"
            )
        self.logger.info("Saving checkpoint to %s", path)
        content = {"model": weights, **state, **extra}
        save_whole(content, path)
        if name == "model_final" and self._final_config is not None:
            single, chosen = path.with_suffix(".safetensors"), weights_of(content, path)[0]
            known: Any = {"classes": self.classes, "config": self._final_config}
            write_weights(chosen, single, overwrite=True, **known)
        self.tag_last_checkpoint(path.name)

    def tag_last_checkpoint(self, last_filename_basename: str) -> None:
        """Write which checkpoint is the last, in one step."""
        tag = Path(self.save_dir) / "last_checkpoint"
        write_bytes(tag, last_filename_basename.encode(), overwrite=True)

    def _load_file(self, filename: str) -> dict[str, Any]:
        checkpoint = read_checkpoint(filename)
        query = parse_qs(self._parsed_url_during_load.query)
        if query.get("matching_heuristics") == ["True"]:
            checkpoint["matching_heuristics"] = True
        return checkpoint

    def _load_model(self, checkpoint: dict[str, Any]) -> _IncompatibleKeys:
        if not self._continues:
            weights, which = weights_of(checkpoint, self._source)
            logger.info("%s: loading %s", self._source, which)
            left_out, names = self.ignore_prefixes, [*weights, *self.model.state_dict()]
            for prefix in left_out:
                if not prefix or not any(name.startswith(prefix) for name in names):
                    raise ValueError(
                        f"MODEL.IGNORE_WEIGHTS has {prefix!r}, with which no name begins in "
                        f"{self._source} or in the model, such as {names[0]}"
                    )
            checkpoint["model"] = {k: v for k, v in weights.items() if not k.startswith(left_out)}
            self._refuse_caffe(weights)
            self._name_backbone(checkpoint)
        self._match_classes(checkpoint)
        for key, own in self.model.state_dict().items():
            value = checkpoint["model"].get(key, own)
            if own.is_floating_point() and not torch.as_tensor(value).is_floating_point():
                raise ValueError(
                    f"{self._source}: {key} is of {value.dtype}, where {own.dtype} is needed; "
                    "quantised weights cannot be loaded"
                )
        incompatible = super()._load_model(checkpoint)
        problems = [
            f"{key}: {tuple(found)} in the file, {tuple(wanted)} in the model"
            for key, found, wanted in incompatible.incorrect_shapes
        ]
        strange, missing = incompatible.unexpected_keys, {*incompatible.missing_keys}
        # A norm's counter of batches is never missing.
        taken = [n for n in self.model.state_dict() if not n.endswith("num_batches_tracked")]
        if strange and not problems and missing.issuperset(taken):
            raise ValueError(
                f"{self._source}: no tensor has a name of this config's model, but such as "
                f"{', '.join(strange[:3])}; tools/convert_checkpoint.py fits weights of other code "
                "bases to a config"
            )
        if self.complete:
            problems += [f"{key}: not in the file" for key in incompatible.missing_keys]
            problems += [f"{key}: not in the model" for key in strange if not _is_idle(key)]
        if problems:
            shown = "\n  ".join(problems[:20])
            more = f"\n  and {len(problems) - 20} more" if len(problems) > 20 else ""
            advice = "Use the config that the checkpoint was trained with"
            if not self.complete:
                advice += ", or start parts anew with MODEL.IGNORE_WEIGHTS, a list of key prefixes"
            raise ValueError(
                f"{self._source} does not fit the model of this config:\n  {shown}{more}\n{advice}"
            )
        if broken := _not_finite(self.model.state_dict()):
            raise ValueError(
                f"{self._source} has infinite or NaN values in {len(broken)} tensors, such as "
                f"{broken[0]}: take an earlier checkpoint"
            )
        return incompatible

    def _refuse_caffe(self, weights: dict[str, torch.Tensor]) -> None:
        """Refuse a ResNet of Caffe's, unless the model divides frames by no deviation either."""
        scale = getattr(getattr(self.model, "batcher", None), "pixel_std", torch.ones(1))
        if (scale != 1).any() and is_caffe(weights):
            raise ValueError(
                f"{self._source} is a ResNet for BGR frames in [0, 255], as Caffe's are: "
                "tools/convert_checkpoint.py makes one of it that fits the config's frames"
            )

    def _name_backbone(self, checkpoint: dict[str, Any]) -> None:
        """Give weights of a timm backbone alone the model's names; leave others as they are."""
        weights = checkpoint["model"]
        try:
            names = backbone_names(weights, self.model.state_dict())
        except ValueError as error:
            raise ValueError(f"{self._source} {error}") from error
        if names:
            found, total = len(names), len(weights)
            logger.info("%s: %d of %d tensors are the backbone's", self._source, found, total)
            checkpoint["model"] = {ours: weights[given] for given, ours in names.items()}

    def _match_classes(self, checkpoint: dict[str, Any]) -> None:
        """Bring the class head's rows into the order of the model's labels, by name."""
        found, weights = classes_of(checkpoint, self._source), checkpoint["model"]
        checkpoint.pop("classes", None)
        layers = {k: last for k in weights for p, last in _CLASS_LAYERS.items() if k.startswith(p)}
        if self.classes is None or not layers:
            return
        if found is None:
            logger.warning(_UNNAMED, self._source)
            return
        own = self.classes.names
        difference = names_difference(found.names, own)
        if difference or (self._continues and found.names != own):
            prefixes = [prefix.rstrip(".") for prefix in _CLASS_LAYERS]
            raise ValueError(
                f"{self._source} has other classes than the datasets of this config: it "
                f"{difference or 'has another order'}. To start the class layers anew: "
                f"MODEL.IGNORE_WEIGHTS {prefixes}"
            )
        if found.names == own:
            return
        logger.info("%s has the classes in another order: matched by name", self._source)
        for name, last in layers.items():
            rows = list(range(len(weights[name])))
            first = len(rows) - last - len(own)
            rows[first : first + len(own)] = [first + found.names.index(n) for n in own]
            weights[name] = weights[name][rows]
