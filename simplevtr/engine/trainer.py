"""detectron2's ``DefaultTrainer`` with this project's loaders, optimizer, evaluator and checks."""

import logging
import weakref
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from simplevtr.checkpoint import UNSEEN, ClipCheckpointer, config_changes, warn_of_changes
from simplevtr.data.build import build_test_loader, build_train_loader
from simplevtr.data.class_names import settled_classes
from simplevtr.engine.hooks import ClipPictures, Evaluation, WeightAverage
from simplevtr.engine.optimizer import build_optimizer
from simplevtr.engine.resume import check_fit, last_checkpoint, surroundings
from simplevtr.engine.run_folder import results_folder
from simplevtr.engine.writers import WRITERS, RunWriter
from simplevtr.evaluation.ytvis_evaluator import YTVISEvaluator
from simplevtr.formats.metrics import end_last_line
from simplevtr.modeling.precision import Precision

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from detectron2.engine import AMPTrainer, DefaultTrainer, SimpleTrainer, hooks
from detectron2.engine.defaults import create_ddp_model
from detectron2.engine.train_loop import TrainerBase
from detectron2.modeling import META_ARCH_REGISTRY
from detectron2.utils import comm
from detectron2.utils.env import seed_all_rng
from detectron2.utils.events import EventWriter
from torch import nn

logger = logging.getLogger(__name__)

_UNFROZEN = "MODEL.BACKBONE.FREEZE_AT 0, MODEL.RESNETS.NORM BN or MODEL.TIMM.FROZEN_NORM False"


class ClipTrainer(DefaultTrainer):
    """Trains and evaluates a video instance segmentation model."""

    build_optimizer = staticmethod(build_optimizer)
    build_train_loader = staticmethod(build_train_loader)
    build_test_loader = staticmethod(build_test_loader)

    def __init__(self, cfg: CfgNode) -> None:
        # What DefaultTrainer does, whose own would give a CPU process a GPU's number.
        TrainerBase.__init__(self)
        cfg = DefaultTrainer.auto_scale_workers(cfg, comm.get_world_size())
        self.cfg = cfg
        model = self.build_model(cfg)
        decay = cfg.SOLVER.EMA_DECAY
        self._average = WeightAverage(model, decay) if decay else None
        optimizer = self.build_optimizer(cfg, model)
        self.clips = self.build_train_loader(cfg)
        self._surroundings = surroundings(cfg)
        ddp_options = {"device_ids": None} if cfg.MODEL.DEVICE == "cpu" else {}
        model = create_ddp_model(model, broadcast_buffers=False, **ddp_options)
        model.register_forward_hook(refuse_infinite_losses)
        self._trainer = build_step_trainer(cfg, model, self.clips, optimizer)
        self.scheduler = self.build_lr_scheduler(cfg, optimizer)
        self.checkpointer = ClipCheckpointer(
            model,
            cfg.OUTPUT_DIR,
            ignore_prefixes=cfg.MODEL.IGNORE_WEIGHTS,
            classes=settled_classes(cfg.DATASETS.TRAIN),
            final_config=cfg.dump() if cfg.SOLVER.FINAL_SAFETENSORS else None,
            trainer=weakref.proxy(self),
        )
        self.start_iter = 0
        self.max_iter = cfg.SOLVER.MAX_ITER
        self._run_writers: list[RunWriter] = []
        self.register_hooks(self.build_hooks())

    def resume_or_load(self, resume: bool = True) -> None:
        """Go on from the last checkpoint in OUTPUT_DIR, or start from ``MODEL.WEIGHTS``.

        A resumed run sees what an uninterrupted one would have seen. Where the config has changed
        since, its values count. FileNotFoundError, ValueError: the checkpoint or the weights do not
        exist, cannot be read or do not fit the config.
        """
        path = last_checkpoint(self.cfg.OUTPUT_DIR) if resume else None
        if path is None:
            rest = self.checkpointer.load(self.cfg.MODEL.WEIGHTS, checkpointables=[])
            warn_of_changes(self.cfg.MODEL.WEIGHTS, config_changes(rest, self.cfg), UNSEEN)
            if not self.cfg.MODEL.WEIGHTS:
                warn_of_frozen(self.model)
            return
        for change in check_fit(path, self.cfg, self._surroundings):
            logger.warning("Changed since %s: %s", path, change)
        self.checkpointer.load(path)
        self.start_iter = self.clips.start = self.iter + 1

    def train(self) -> OrderedDict | None:
        """Train, and evaluate; ValueError if a run of one of ``WRITERS`` cannot be started."""
        for writer in self._run_writers:
            writer.start(resumed=self.start_iter > 0)
        return super().train()

    def build_writers(self) -> list[EventWriter]:
        """Those of ``WRITERS``, then detectron2's; called in the main process alone."""
        end_last_line(Path(self.cfg.OUTPUT_DIR) / "metrics.json")
        self._run_writers = [WRITERS[name](self.cfg) for name in self.cfg.WRITERS]
        return [*self._run_writers, *super().build_writers()]

    def run_step(self) -> None:
        """Run one iteration, with random numbers that depend on seed, process and iteration alone.

        Raises FloatingPointError if a loss of this process is infinite or NaN.
        """
        key = (self.clips.seed, comm.get_rank(), self.iter)
        seed_all_rng(int(np.random.SeedSequence(key).generate_state(1)[0]))
        super().run_step()

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps in addition to the weights."""
        more = {"seed": self.clips.seed, "surroundings": self._surroundings}
        return {**super().state_dict(), **more, "config": self.cfg.dump()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a checkpoint's state, but for the settings, which are those of the config.

        The weights have been restored before; a run without an average starts one at them.
        """
        if self._average is not None:
            self._average.average.module.load_state_dict(self.checkpointer.model.state_dict())
        optimizer = self._trainer.optimizer
        settings = [{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups]
        rates = self.scheduler.base_lrs
        super().load_state_dict(state_dict)
        self.scheduler.base_lrs = rates
        rows = zip(optimizer.param_groups, settings, self.scheduler.get_lr(), strict=True)
        for group, setting, rate in rows:
            group.update(setting, lr=rate)
        if self.cfg.SEED < 0:
            self.clips.seed = state_dict.get("seed", self.clips.seed)

    def build_hooks(self) -> list[hooks.HookBase | None]:
        """detectron2's hooks, with the weight average before and the pictures among them."""
        evaluation = Evaluation(self.cfg.TEST.EVAL_PERIOD, self.evaluate)
        found = super().build_hooks()
        result = [evaluation if isinstance(hook, hooks.EvalHook) else hook for hook in found]
        if self.cfg.VIS_PERIOD > 0:
            names = MetadataCatalog.get(self.cfg.DATASETS.TRAIN[0]).thing_classes
            rgb = self.cfg.INPUT.FORMAT == "RGB"
            pictures = ClipPictures(self.cfg.VIS_PERIOD, class_names=names, rgb=rgb)
            # Ahead of the writers, which come last, so that a picture is written at its iteration.
            result.insert(len(result) - 1, pictures)
        return [self._average, *result]

    def evaluate(self) -> OrderedDict:
        """Evaluate the weight average if there is one, else the model, on every test set."""
        model = self.model if self._average is None else self._average.average.module
        if comm.get_world_size() > 1:  # a checkpoint has the main process's batch statistics
            for buffer in model.buffers():
                torch.distributed.broadcast(buffer, 0)
        self._last_eval_results = self.test(self.cfg, model)
        self.cfg = self.cfg.clone()
        self.cfg.defrost()
        self.cfg.TEST.OVERWRITE = True  # a later evaluation replaces this one
        return self._last_eval_results

    @classmethod
    def build_model(cls, cfg: CfgNode) -> nn.Module:
        """Build the model; ValueError if it takes no clips, or its device lacks what it needs."""
        name = cfg.MODEL.META_ARCHITECTURE
        if name not in META_ARCH_REGISTRY:
            raise ValueError(f"MODEL.META_ARCHITECTURE is {name!r}, which is not registered")
        if META_ARCH_REGISTRY.get(name).__module__.startswith("detectron2."):
            raise ValueError(
                f"MODEL.META_ARCHITECTURE is {name}, which takes images; SIMPLEVTR takes clips"
            )
        Precision.from_config(cfg).check(torch.device(cfg.MODEL.DEVICE))
        return super().build_model(cfg)

    @classmethod
    def build_lr_scheduler(cls, cfg: CfgNode, optimizer: torch.optim.Optimizer) -> Any:
        """Build the schedule; ValueError if its keys do not make one."""
        try:
            return super().build_lr_scheduler(cfg, optimizer)
        except (AssertionError, ValueError) as error:
            keys = ("LR_SCHEDULER_NAME", "MAX_ITER", "STEPS", "BASE_LR", "BASE_LR_END")
            found = ", ".join(f"{key} {cfg.SOLVER[key]}" for key in keys)
            raise ValueError(f"keys of SOLVER do not go together ({found}): {error}") from error

    @classmethod
    def build_evaluator(cls, cfg: CfgNode, dataset_name: str) -> YTVISEvaluator:
        """Build the evaluator of one test set, which writes under ``OUTPUT_DIR/inference``."""
        return YTVISEvaluator(
            dataset_name=dataset_name,
            output_dir=str(results_folder(cfg, dataset_name)),
            overwrite=cfg.TEST.OVERWRITE,
            area_limits=cfg.TEST.AREA_LIMITS,
        )


def build_step_trainer(
    cfg: CfgNode, model: nn.Module, clips: Iterable[Any], optimizer: torch.optim.Optimizer
) -> SimpleTrainer:
    """Build what runs an iteration: forward, backward, optimizer.

    The model itself chooses the number format (``SOLVER.AMP``) and leaves the autocast that
    detectron2's trainer for float16 has around it. That trainer is taken for its loss scale alone:
    small gradients would become zero in float16; bfloat16 has the range of float32.
    """
    if Precision.from_config(cfg).training == torch.float16:
        return ScaledTrainer(model, clips, optimizer, grad_scaler=torch.amp.GradScaler("cuda"))
    return SimpleTrainer(model, clips, optimizer)


class ScaledTrainer(AMPTrainer):
    """detectron2's trainer in float16, which also continues a run of another number format."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore an iteration; without a loss scale in ``state_dict`` it starts anew."""
        if not state_dict.get("grad_scaler"):
            logger.warning("the run was not in float16 so far: its loss scale starts anew")
            state_dict = {**state_dict, "grad_scaler": self.grad_scaler.state_dict()}
        super().load_state_dict(state_dict)


def warn_of_frozen(model: nn.Module) -> None:
    """Warn of norms and parameters, of random weights, that a training leaves as they are."""
    kinds = {name: type(part).__name__ for name, part in model.named_modules()}
    frozen = [name for name, kind in kinds.items() if kind.startswith("FrozenBatchNorm")]
    frozen += [name for name, value in model.named_parameters() if not value.requires_grad]
    if frozen:
        text = "MODEL.WEIGHTS is empty, but %d parts such as %s are frozen as they begin: set %s"
        logger.warning(text, len(frozen), frozen[0], _UNFROZEN)


def refuse_infinite_losses(
    model: nn.Module, args: tuple[list[dict[str, Any]]], losses: dict[str, torch.Tensor]
) -> None:
    """After the forward pass of a training, FloatingPointError if a loss is not finite.

    It names the clips of this process; no other one goes on, as they wait for its gradients.
    """
    if model.training and not torch.stack([x.detach() for x in losses.values()]).isfinite().all():
        clips = (
            f"{clip['file_names'][0]} (video {clip['video_id']}), frames {clip['frame_idx']}"
            for clip in args[0]
        )
        raise FloatingPointError(
            f"A loss became infinite or NaN on the clips of process {comm.get_rank()}: "
            f"{', '.join(clips)}. Lower SOLVER.BASE_LR, or look at these frames and masks. The "
            "last checkpoint is from before this iteration (--resume)"
        )
