"""A trained model over one video that comes as RGB frames."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from simplevtr.checkpoint import ClipCheckpointer
from simplevtr.run_config import check_device

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.transforms import ResizeShortestEdge
from detectron2.modeling import build_model
from detectron2.utils.file_io import PathManager
from torch import nn

logger = logging.getLogger(__name__)


class VideoPredictor:
    """Finds the tracks of a video.

    Frames are resized as they come and only the small ones are kept, so that a long video of large
    frames can be given by a generator.

    Attributes:
        class_names: class names by label; may be empty where nobody knows them.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        min_size: int = 300,
        max_size: int = 540,
        image_format: str = "RGB",
        class_names: Sequence[str] = (),
    ):
        """Set up a predictor and put ``model`` into eval mode.

        Args:
            model: takes a list with one video (see ``predict``) and returns its result.
            min_size: short side in pixels to which frames are resized; 0 leaves them as they are.
            max_size: limit of the long side in pixels.
            image_format: channel order that the model wants, "RGB" or "BGR".
            class_names: class names by label.

        Raises:
            ValueError: ``image_format`` is neither "RGB" nor "BGR".
        """
        if image_format not in ("RGB", "BGR"):
            raise ValueError(f'image_format is {image_format!r}; allowed: "RGB", "BGR"')
        self.model = model.eval()
        self.class_names = list(class_names)
        self._resize = ResizeShortestEdge([min_size, min_size], max_size)
        self._image_format = image_format

    @classmethod
    def from_config(cls, cfg: CfgNode) -> VideoPredictor:
        """Build the model of ``cfg`` and load MODEL.WEIGHTS into it.

        Raises:
            ValueError: MODEL.WEIGHTS is empty, cannot be read safely, or does not fit the model; or
                MODEL.DEVICE is a GPU that is not there.
            FileNotFoundError: there is no such file.
        """
        _check_before_building(cfg)
        model = build_model(cfg)
        averaged = cfg.SOLVER.EMA_DECAY > 0
        ClipCheckpointer(model, complete=True, averaged=averaged).load(cfg.MODEL.WEIGHTS)
        return cls(
            model,
            min_size=cfg.INPUT.MIN_SIZE_TEST,
            max_size=cfg.INPUT.MAX_SIZE_TEST,
            image_format=cfg.INPUT.FORMAT,
            class_names=dataset_class_names(cfg.DATASETS.TEST),
        )

    def predict(
        self, frames: Iterable[np.ndarray], *, file_names: Sequence[str] | None = None
    ) -> dict:
        """The tracks of one video.

        Args:
            frames: T frames, (H, W, 3) uint8 RGB, in order; read once.
            file_names: (T,) names of the frames, handed to the model as they are.

        Returns:
            "image_size": (H, W); and one entry a track: "pred_scores" list[float],
            "pred_labels" list[int], "pred_masks" list of (T, H, W) bool tensors.

        Raises:
            ValueError: there are no frames, or they differ in size.
        """
        video = self._video(frames, file_names)
        with torch.no_grad():
            return self.model([video])

    def _video(self, frames: Iterable[np.ndarray], file_names: Sequence[str] | None) -> dict:
        images: list[torch.Tensor] = []
        size: tuple[int, int] | None = None
        for frame in frames:
            size = size or frame.shape[:2]
            if frame.shape[:2] != size:
                raise ValueError(
                    f"frame {len(images)} has shape {frame.shape}, the first one {(*size, 3)}; "
                    "all frames of a video must have one size"
                )
            images.append(self._image(frame))
        if size is None:
            raise ValueError("the video has no frames")
        return {
            "image": images,
            "height": size[0],
            "width": size[1],
            "length": len(images),
            "video_id": 0,
            "file_names": list(file_names or []),
            "frame_idx": list(range(len(images))),
        }

    def _image(self, frame: np.ndarray) -> torch.Tensor:
        """(H, W, 3) RGB to (3, h, w) in the model's channel order, uint8."""
        small = self._resize.get_transform(frame).apply_image(frame)
        if self._image_format == "BGR":
            small = small[:, :, ::-1]
        return torch.from_numpy(np.ascontiguousarray(small.transpose(2, 0, 1)))


def _check_before_building(cfg: CfgNode) -> None:
    """Refuse what cannot work before the time for building a model is spent."""
    path = cfg.MODEL.WEIGHTS
    if not path:
        raise ValueError("MODEL.WEIGHTS is empty: give the checkpoint of a trained model (.pth)")
    if not PathManager.isfile(path):
        raise FileNotFoundError(f"{path}: no such file (MODEL.WEIGHTS)")
    check_device(cfg)


def dataset_class_names(datasets: Sequence[str]) -> list[str]:
    """The class names of the first of ``datasets`` (names in detectron2's catalog), or [].

    A custom dataset may learn its names only when its annotations are read, so that is tried too.
    """
    if not datasets:
        return []
    metadata = MetadataCatalog.get(datasets[0])
    if not metadata.get("thing_classes") and datasets[0] in DatasetCatalog:
        try:
            DatasetCatalog.get(datasets[0])
        except (OSError, ValueError, KeyError) as error:
            logger.warning("class names of %s are unknown (%s)", datasets[0], error)
    return list(metadata.get("thing_classes") or [])
