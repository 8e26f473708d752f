"""A trained model over one video that comes as RGB frames."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from threading import Event
from typing import Any

from simplevtr.checkpoint import load_trained, local_file, saved_classes
from simplevtr.data.augmentation import ClipAugmentation
from simplevtr.data.class_names import dataset_classes
from simplevtr.formats.results import write_video_results
from simplevtr.run_config import check_inference
from simplevtr.structures import Classes, FrameTracks

import numpy as np
import torch
from detectron2.config import CfgNode, configurable
from detectron2.modeling import build_model
from torch import nn

logger = logging.getLogger(__name__)

Frames = Iterable[np.ndarray]  # (H, W, 3) uint8 RGB of one size, in order; read once


class VideoPredictor:
    """Finds the tracks of a video, read as a stream.

        predictor = VideoPredictor(cfg)
        for tracks in predictor.stream(frames):  # FrameTracks, one per frame, in order
            ...

    Frames are resized as they come, as the loader of test videos does, and only a window of the
    small ones is kept. ``stream`` and ``predict`` raise ValueError if frames differ in size or are
    not uint8, or a GPU's memory is too small.
    """

    @configurable
    def __init__(
        self,
        *,
        model: nn.Module,
        min_size: int = 300,
        max_size: int = 540,
        image_format: str = "RGB",
        class_names: Sequence[str] = (),
        category_ids: Sequence[int] = (),
    ):
        """Put a ``SimpleVTR`` into eval mode; ``VideoPredictor(cfg)`` builds one.

        Frames are resized to a short side of ``min_size`` pixels (0: as they are), a long one of at
        most ``max_size``. The model's ``image_format`` is "RGB" or "BGR", else ValueError. Without
        ``category_ids`` a label's is label + 1.
        """
        if image_format not in ("RGB", "BGR"):
            raise ValueError(f"INPUT.FORMAT is {image_format!r}; allowed: RGB, BGR")
        self.model: Any = model.eval()
        self.class_names = list(class_names)  # by label; empty where nobody knows them
        self.category_ids = list(category_ids)  # the dataset's, by label; empty likewise
        self._resize = ClipAugmentation(min_sizes=(min_size,), max_size=max_size)
        self._image_format = image_format

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        """Build the model of ``cfg`` and load MODEL.WEIGHTS into it.

        ValueError: MODEL.WEIGHTS is empty, cannot be read safely, or does not fit the model, or see
        ``check_inference``; FileNotFoundError: there is no such file.
        """
        check_weights(cfg)
        check_inference(cfg)
        classes = model_classes(cfg)
        model = build_model(cfg)
        load_trained(model, cfg)
        return {
            "model": model,
            "min_size": cfg.INPUT.MIN_SIZE_TEST,
            "max_size": cfg.INPUT.MAX_SIZE_TEST,
            "image_format": cfg.INPUT.FORMAT,
            "class_names": classes.names if classes else (),
            "category_ids": classes.ids if classes else (),
        }

    def stream(self, frames: Frames) -> Iterator[FrameTracks]:
        """The tracks of each frame, as soon as they are final.

        Labels and scores are those of the track so far. Tracks come in portions of TEST.STRIDE
        frames, at most TEST.WINDOW - 1 after a frame was read, in memory that does not grow.
        """
        size, frames = _peek_size(frames)
        if size is not None:
            with _enough_memory():
                yield from self.model.stream(self._images(frames, size), size)

    def predict(self, frames: Frames) -> dict[str, Any]:
        """The tracks of a whole video, as ``SimpleVTR.forward`` returns them.

        ValueError also if there are no frames.
        """
        size, frames = _peek_size(frames)
        if size is None:
            raise ValueError("the video has no frames")
        video = {"image": self._images(frames, size), "height": size[0], "width": size[1]}
        with torch.no_grad(), _enough_memory():
            return self.model([video])

    def write_results(
        self, path: str, result: Mapping[str, Any], *, overwrite: bool = False
    ) -> None:
        """Write a result in YouTube-VIS format, see ``write_video_results``."""
        classes: Any = {"class_names": self.class_names, "category_ids": self.category_ids}
        write_video_results(path, result, **classes, overwrite=overwrite)

    def _images(self, frames: Frames, size: tuple[int, int]) -> Iterator[torch.Tensor]:
        """(H, W, 3) RGB to (3, h, w) in the model's channel order, uint8."""
        resize = self._resize.geometry(size, np.random.default_rng(0))  # draws nothing
        for index, frame in enumerate(frames):
            kind = getattr(frame, "dtype", type(frame).__name__)
            if np.shape(frame) != (*size, 3) or kind != np.uint8:
                found = f"frame {index} has shape {np.shape(frame)} and type {kind}"
                raise ValueError(f"{found}; those of this video must be {(*size, 3)} and uint8")
            small = resize.apply_image(frame)
            if self._image_format == "BGR":
                small = small[:, :, ::-1]
            # A copy: the reader's memory may have another frame before this one is looked at.
            yield torch.from_numpy(small.transpose(2, 0, 1).copy())


@contextmanager
def _enough_memory() -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        found = "the GPU's memory is too small; fewer frames need less: --opts TEST.WINDOW 16"
        raise ValueError(found) from error


def _peek_size(frames: Frames) -> tuple[tuple[int, int] | None, Iterator[np.ndarray]]:
    """(H, W) of the first frame, None if there is none; and all frames."""
    frames = iter(frames)
    for first in frames:  # may be None, as of a picture that OpenCV cannot read
        size = np.shape(first)[:2]
        if len(size) < 2 or 0 in size:
            raise ValueError(f"the first frame, of type {type(first).__name__}, has no pixels")
        return size, chain([first], frames)
    return None, frames


def until_set(stop: Event, frames: Frames) -> Iterator[np.ndarray]:
    """The frames up to the first one after which ``stop`` is set."""
    for frame in frames:
        yield frame
        if stop.is_set():
            return


def check_weights(cfg: CfgNode) -> str:
    """The file of MODEL.WEIGHTS; ValueError if that is empty, see ``local_file`` for others."""
    if not cfg.MODEL.WEIGHTS:
        raise ValueError("MODEL.WEIGHTS is empty: give the checkpoint of a trained model (.pth)")
    return local_file(cfg.MODEL.WEIGHTS)


def model_classes(cfg: CfgNode) -> Classes | None:
    """What labels stand for: by the checkpoint, else by a dataset of the config, else None.

    ValueError if the checkpoint names more or fewer than the model has.
    """
    wanted = cfg.MODEL.SIMPLEVTR.NUM_CLASSES
    if (classes := saved_classes(cfg.MODEL.WEIGHTS)) is not None:
        if len(classes.names) != wanted:
            found = f"{cfg.MODEL.WEIGHTS} names {len(classes.names)} classes"
            raise ValueError(f"{found}, but MODEL.SIMPLEVTR.NUM_CLASSES is {wanted}")
        return classes
    reasons = []
    for name in [*cfg.DATASETS.TEST, *cfg.DATASETS.TRAIN]:
        try:
            classes = dataset_classes(name)
        except (OSError, ValueError) as error:
            reasons.append(str(error))
            continue
        if len(classes.names) == wanted:
            return classes
        reasons.append(f"{name} has {len(classes.names)} categories")
    why = "; ".join(reasons) or "no dataset is named"
    logger.warning("Class names are unknown (%s): category ids of results are numbered from 1", why)
    return None
