"""Hooks that ``DefaultTrainer`` lacks: a weight average, pictures of predicted and true masks."""

from typing import Any

from simplevtr.structures import FrameTracks, encode_masks
from simplevtr.tracking import frame_tracks
from simplevtr.visualization.clip_sheet import clip_sheet

import numpy as np
import torch
from detectron2.engine import HookBase
from detectron2.engine.hooks import EvalHook
from detectron2.evaluation import inference_context
from detectron2.utils import comm
from detectron2.utils.events import get_event_storage
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

MIN_SCORE = 0.1  # of the tracks in a picture


class WeightAverage(HookBase):
    """Keeps an exponential moving average of the weights (``SOLVER.EMA_DECAY``)."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Start the average at the model's weights; ``decay`` is in (0, 1)."""
        update = get_ema_multi_avg_fn(decay)
        self.average = AveragedModel(model, multi_avg_fn=update, use_buffers=True)

    def after_step(self) -> None:
        """Update the average."""
        self.average.update_parameters(self.trainer.checkpointer.model)

    def state_dict(self) -> dict:
        """The average's state, saved with each checkpoint."""
        return self.average.state_dict()

    def load_state_dict(self, state: dict) -> None:
        """Restore a saved average."""
        self.average.load_state_dict(state)


class Evaluation(EvalHook):
    """Evaluates at a period and at the end, but not after an error in the last iteration."""

    def after_train(self) -> None:
        """Evaluate if the training is complete."""
        if self.trainer.iter >= self.trainer.max_iter:
            # A complete run that is resumed would be one iteration ahead.
            get_event_storage().iter = self.trainer.max_iter
            super().after_train()


class ClipPictures(HookBase):
    """Writes predicted above true tracks of a training clip to TensorBoard at a period."""

    def __init__(self, period: int, *, class_names: list[str], rgb: bool = True) -> None:
        """``rgb``: whether the clips' frames are RGB and not BGR."""
        self.period, self.class_names, self.rgb = period, class_names, rgb

    def after_step(self) -> None:
        """Draw the first clip of the current batch, on the main process."""
        if (self.trainer.iter + 1) % self.period or not comm.is_main_process():
            return
        model = self.trainer.checkpointer.model
        with inference_context(model), torch.no_grad():
            picture = self._picture(model, self.trainer.clips.current[0])
        get_event_storage().put_image("clip: predicted above true", picture)

    def _picture(self, model: nn.Module, clip: dict[str, Any]) -> torch.Tensor:
        """(3, H', W') uint8 RGB of a clip of the dataset mapper, by a model in evaluation mode."""
        frames = torch.stack(clip["image"]).permute(0, 2, 3, 1).cpu().numpy()
        frames = frames if self.rgb else frames[..., ::-1]
        height, width = frames.shape[1:3]
        result = model([{**clip, "height": height, "width": width}])
        predicted = []
        for tracks in frame_tracks(result):
            likely = [i for i, score in enumerate(tracks.scores) if score >= MIN_SCORE]
            predicted.append(tracks.rows(likely))
        masks = torch.stack([frame.gt_masks.tensor for frame in clip["instances"]], dim=1)
        labels = clip["instances"][0].gt_classes.tolist()
        true = [
            (number, label, None, encode_masks(own))
            for number, (label, own) in enumerate(zip(labels, masks, strict=True), start=1)
        ]
        truth = list(FrameTracks.of_video(true, (height, width), len(frames)))
        rows = {"predicted": predicted, "ground truth": truth}
        sheet = clip_sheet(np.ascontiguousarray(frames), rows, thing_classes=self.class_names)
        return torch.from_numpy(sheet).permute(2, 0, 1)
