"""The meta-architecture: preprocess -> network -> losses or tracks. It wires, never computes."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Self

from simplevtr.config_checks import check_config
from simplevtr.modeling.attention import MultiheadAttention
from simplevtr.modeling.criterion import PaperCriterion
from simplevtr.modeling.paper_network import PaperNetwork
from simplevtr.modeling.pixel_criterion import PixelCriterion
from simplevtr.modeling.pixel_network import PixelNetwork
from simplevtr.modeling.precision import Precision, without_autocast
from simplevtr.modeling.preprocess import ClipBatcher, TargetBuilder
from simplevtr.modeling.window_predictor import WindowPredictor
from simplevtr.structures import ClipBatch, ClipPredictions, FrameTracks
from simplevtr.tracking import VideoSegmenter, WindowSlots

import torch
from detectron2.config import CfgNode, configurable
from detectron2.modeling import META_ARCH_REGISTRY
from einops import rearrange
from torch import Tensor, nn


class SimpleVTR(nn.Module):
    """Video instance segmentation with a ResNet and a transformer (the SimpleVTR paper)."""

    @configurable
    def __init__(
        self,
        *,
        network: PaperNetwork | PixelNetwork,
        batcher: ClipBatcher,  # clip dicts -> normalised, padded frames
        target_builder: TargetBuilder,  # Instances -> ClipTargets
        criterion: PaperCriterion | PixelCriterion,  # matching and losses
        window_predictor: WindowPredictor,  # frames of a window -> its slots
        segmenter: VideoSegmenter,  # windows of a video -> its tracks
        precision: Precision,  # number formats of the network
        inference_dropout: bool = False,  # whether dropout stays on in evaluation mode
    ) -> None:
        super().__init__()
        self.network = network
        self.batcher = batcher
        self.target_builder = target_builder
        self.criterion = criterion
        self.window_predictor = window_predictor
        self.segmenter = segmenter
        self.precision = precision
        self.inference_dropout = inference_dropout

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        """Build the parts; ValueError if TEST.DROPOUT is on without any dropout."""
        network, criterion = head_of(cfg)
        if cfg.TEST.DROPOUT and not cfg.MODEL.SIMPLEVTR.DROPOUT:
            raise ValueError("TEST.DROPOUT is True: MODEL.SIMPLEVTR.DROPOUT must be above 0")
        return {
            "precision": Precision.from_config(cfg),
            "network": network(cfg),
            "batcher": ClipBatcher(cfg),
            "target_builder": TargetBuilder.from_config(cfg),
            "criterion": criterion(cfg),
            "window_predictor": WindowPredictor.from_config(cfg),
            "segmenter": VideoSegmenter.from_config(cfg),
            "inference_dropout": cfg.TEST.DROPOUT,
        }

    @property
    def device(self) -> torch.device:
        """Where the model's tensors are."""
        return self.batcher.pixel_mean.device

    def train(self, mode: bool = True) -> Self:
        """Set training or evaluation mode; in the latter dropout alone may stay on.

        On a CPU the pixel head's convolutions have their channels last, unless the backward pass
        may crash with them, which saves a sixth of the time of a training step and of inference;
        the paper's head gains nothing.
        """
        super().train(mode)
        if isinstance(self.network, PixelNetwork):
            last = self.device.type == "cpu" and not (mode and _backward_crashes(self.network))
            memory_format = torch.channels_last if last else torch.contiguous_format
            self.network.to(memory_format=memory_format)
        if self.inference_dropout:
            for module in self.modules():
                if isinstance(module, nn.Dropout | MultiheadAttention):
                    module.train()
        return self

    def forward(self, batched_inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """Train on clips or segment one video.

        Args:
            batched_inputs: clip dicts of the dataset mapper: ``image``, a list of T uint8 (3, H, W)
                tensors; in training ``instances``, a list of T ``Instances``; ``height``,
                ``width``, ``file_names``. In testing ``image`` may be any iterable, read once.

        Returns:
            In training a dict of weighted losses. Otherwise, for a list with one video,
            ``image_size`` (H, W), ``num_frames``, and lists with an entry per track, best first:
            ``pred_scores`` float, ``pred_labels`` int (contiguous), ``pred_masks`` ``TrackMasks``,
            which read like (T, H, W) bool tensors at the original size, ``pred_ids`` int,
            ``pred_ranking`` float.
            Scores are those of the track where it was seen; AP orders tracks by the ranking, which
            also reflects how much of a long video saw them.
        """
        if not self.training and len(batched_inputs) != 1:
            raise ValueError(f"inference takes one video at a time, got {len(batched_inputs)}")
        # The network alone computes in half precision, whatever the trainer puts around the model.
        with without_autocast(self.device):
            if self.training and "instances" in batched_inputs[0]:
                network = self.precision.applied(self.network, self.device, training=True)
                batch = self.batcher(batched_inputs)
                targets = [self.target_builder(clip, batch) for clip in batched_inputs]
                return self.criterion(network, network.encode(batch), targets, batch)
            video = batched_inputs[0]
            size = (video["height"], video["width"])
            return self.segmenter.segment(self._predictor(), video["image"], size)

    def predict_clip(self, frames: Tensor, padding_mask: Tensor | None = None) -> ClipPredictions:
        """Predict every slot and its masks; dropout follows the mode. See ``ClipBatch``."""
        network = self.precision.applied(self.network, self.device, training=False)
        state = network.encode(ClipBatch(frames, padding_mask))
        if network.mask_head is None:
            return state.predictions
        clips, queries = frames.shape[0], self.network.queries
        index = torch.arange(clips * queries, device=frames.device)
        masks = network.masks(state, index // queries, index % queries)
        masks = rearrange(masks, "(b q) t h w -> b t q h w", b=clips)
        return replace(state.predictions, masks=masks)

    def stream(self, images: Iterable[Tensor], size: tuple[int, int]) -> Iterator[FrameTracks]:
        """Segment a video without an end; see ``VideoSegmenter.stream``."""
        frames = self.segmenter.stream(self._predictor(), images, size)
        while True:
            with without_autocast(self.device):  # not around the yield, where the caller's counts
                frame = next(frames, None)
            if frame is None:
                return
            yield frame

    def _predictor(self) -> Callable[[list[Tensor]], WindowSlots]:
        """Frames of a window -> its slots; ValueError in training mode."""
        if self.training:
            raise ValueError("the model is in training mode: call its eval() to find tracks")
        network = self.precision.applied(self.network, self.device, training=False)
        return partial(self.window_predictor, network, self.batcher)


def head_of(cfg: CfgNode) -> tuple[type[Any], type[Any]]:
    """The classes of the network and its losses for a config that ``check_config`` lets pass."""
    check_config(cfg)
    heads = {"paper": (PaperNetwork, PaperCriterion), "pixel": (PixelNetwork, PixelCriterion)}
    return heads[cfg.MODEL.SIMPLEVTR.HEAD]


def _backward_crashes(network: nn.Module) -> bool:
    """Whether the backward pass may crash with channels last.

    oneDNN's does (torch 2.15, two threads, an odd number of images) for a 1x1 convolution with a
    stride and fewer than 16 input channels; 16 to 64 channels were tried and do not.
    """
    return any(
        module.kernel_size == (1, 1) and module.stride != (1, 1) and module.in_channels < 16
        for module in network.modules()
        if isinstance(module, nn.Conv2d)
    )


@META_ARCH_REGISTRY.register()
def SIMPLEVTR(cfg: CfgNode) -> SimpleVTR:  # noqa: N802 - the name that configs use
    """Build the model of ``MODEL.META_ARCHITECTURE: SIMPLEVTR``."""
    return SimpleVTR(cfg)
