"""From a video record to a clip: frames drawn, read, augmented, with their ``Instances``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from simplevtr.config import inference_window
from simplevtr.data.annotations import read_tracks, tracks_to_instances
from simplevtr.data.augmentation import ClipAugmentation
from simplevtr.data.frame_sampling import sample_frames
from simplevtr.data.pseudo_video import AffineMotion, warp_image, warp_tracks
from simplevtr.data.transforms import ClipGeometry, PhotometricTransform
from simplevtr.formats.images import read_reduced_frame

import cv2
import numpy as np
import torch
from detectron2.config import CfgNode, configurable


class FramesOnDemand(Sequence):
    """The frames of a video, each read when it is asked for, so that memory holds none."""

    def __init__(self, read: Callable[[list[int]], list[torch.Tensor]], length: int) -> None:
        """Keep what reads frames, uint8 (3, h, w), by their 0-based numbers."""
        self._read, self._length = read, length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int | slice) -> Any:
        place = range(self._length)[index]
        return [self[t] for t in place] if isinstance(place, range) else self._read([place])[0]


@dataclass(eq=False, kw_only=True)
class YTVISDatasetMapper:
    """Maps a video record, with an optional ``anchor`` frame, to a clip.

    In training T frames are drawn and augmented. In testing the clip is the whole video in order.
    A record of a still image (``still``) becomes a clip of T frames in which the image moves.
    The record is not changed, and nothing is kept from one call to the next.
    ``YTVISDatasetMapper(cfg, is_train)`` takes the settings from a config.
    """

    is_train: bool = True  # whether frames are drawn; False takes all frames
    augmentation: ClipAugmentation  # draws geometry and colours
    frames: int  # T, frames of a training clip
    frame_range: int = 0  # > 0 draws frames at most this far from the anchor
    shuffle: bool = False  # whether a training clip's frames are in random order
    sampling: str = "random"  # or "consecutive", see ``sample_frames``
    image_format: str = "RGB"  # or "BGR", the channels of ``image``
    # Whether JPEGs are decoded at 1/2, 1/4 or 1/8 of their size in training, where that is not
    # smaller than what they are resized to
    jpeg_draft: bool = True
    # Frames of a test video up to which all are read at once; the frames of a longer one are read
    # when they are asked for. 0 reads all.
    read_ahead: int = 0
    motion: AffineMotion = AffineMotion()  # draws how a still image moves
    __init__: ClassVar[Any]  # also takes a config, see below

    def __post_init__(self) -> None:
        self.jpeg_draft = self.jpeg_draft and self.is_train

    @classmethod
    def from_config(cls, cfg: CfgNode, is_train: bool = True) -> dict[str, Any]:
        """As INPUT says; a test video longer than a window of inference is read on demand."""
        return {
            "is_train": is_train,
            "augmentation": ClipAugmentation.from_config(cfg, is_train),
            "frames": cfg.INPUT.SAMPLING_FRAME_NUM,
            "frame_range": cfg.INPUT.SAMPLING_FRAME_RANGE,
            "shuffle": cfg.INPUT.SAMPLING_FRAME_SHUFFLE,
            "sampling": cfg.INPUT.SAMPLING,
            "image_format": cfg.INPUT.FORMAT,
            "jpeg_draft": cfg.INPUT.JPEG_DRAFT,
            "read_ahead": 0 if is_train else inference_window(cfg),
            "motion": AffineMotion.from_config(cfg),
        }

    def __call__(
        self, record: dict[str, Any], rng: np.random.Generator | None = None
    ) -> dict[str, Any]:
        """Make a clip.

        Args:
            record: a video as ``load_ytvis_json`` gives it, and optionally ``anchor``, a 0-based
                frame that a training clip must include; in training also a still image as
                ``load_coco_stills`` gives it.
            rng: the source of chance; None starts one from torch's, which a data loader seeds
                differently in each of its workers.

        Returns:
            ``image``: T uint8 tensors (3, h, w) in ``image_format``, a list or, for a long test
            video, ``FramesOnDemand``; in training ``instances``: T ``Instances``, see
            :func:`simplevtr.data.annotations.tracks_to_instances`; ``frame_idx``: the T 0-based
            frame numbers; and the video's ``height``, ``width`` (pixels before augmentation),
            ``length``, ``video_id`` and ``file_names`` (of all frames). A still image counts as a
            video of T frames.

        Raises:
            FileNotFoundError, ValueError: for a frame that cannot be used.
        """
        if rng is None:
            rng = np.random.default_rng(int(torch.randint(2**62, ())))
        size = (record["height"], record["width"])
        name = f"video {record['video_id']}"
        for key in ("file_names", "annotations")[: 1 + self.is_train]:
            if len(record[key]) != record["length"]:
                found = f"length is {record['length']}, but there are {len(record[key])} {key}"
                raise ValueError(f"{name}: {found}")
        if still := record.get("still", False):
            names = record["file_names"] * self.frames
            record = record | {"length": self.frames, "file_names": names}
        length = record["length"]
        frame_idx = list(range(length))
        motion = tracks = boxes = None
        if self.is_train:
            near: Any = {"anchor": record.get("anchor"), "frame_range": self.frame_range}
            if still:  # its motion from start to end, whatever the sampling
                near = {"anchor": length - 1}
            order: Any = {"shuffle": self.shuffle, "sampling": self.sampling}
            frame_idx = sample_frames(length, self.frames, rng, **order, **near)
            motion = self.motion.draw(length, size, rng)[frame_idx] if still else None
            shown = [0] if still else frame_idx
            try:
                tracks = read_tracks([record["annotations"][t] for t in shown], size)
            except ValueError as error:
                raise ValueError(f"{name}, {record['file_names'][0]}: {error}") from error
            tracks = tracks if motion is None else warp_tracks(tracks, motion)
            boxes = tracks.boxes()
        geometry = self.augmentation.geometry(size, rng, boxes)
        colours = self.augmentation.colours(len(frame_idx), rng)
        images: Sequence[torch.Tensor]
        if not self.is_train and 0 < self.read_ahead < length:
            read = partial(self._read, record, geometry=geometry, colours=colours[:1])
            images = FramesOnDemand(read, length)  # in testing all colours stay as they are
        else:
            images = self._read(record, frame_idx, geometry, colours, motion)
        kept = ("height", "width", "length", "video_id")
        clip = {key: record[key] for key in kept} | {"image": images, "frame_idx": frame_idx}
        clip["file_names"] = [*record["file_names"]]
        if tracks is not None:
            clip["instances"] = tracks_to_instances(tracks, geometry)
        return clip

    def _read(
        self,
        record: dict[str, Any],
        frame_idx: list[int],
        geometry: ClipGeometry,
        colours: list[PhotometricTransform],
        motion: np.ndarray | None = None,
    ) -> list[torch.Tensor]:
        """The frames, (3, h, w) in ``image_format``, each moved as ``motion`` (T, 2, 3) says.

        They are parts of one tensor, so that a loader's worker hands over one block of memory.
        """
        size = (record["height"], record["width"])
        reduction = geometry.reduction if self.jpeg_draft else 1
        clip = np.empty((len(frame_idx), 3, *geometry.size), dtype=np.uint8)
        paths = [record["file_names"][t] for t in frame_idx]
        for path in sorted(set(paths)):
            picture, factor = read_reduced_frame(path, size, reduction=reduction)
            image = geometry.apply_image(picture, factor)
            for place in (i for i, own in enumerate(paths) if own == path):
                if motion is not None:
                    image = geometry.apply_image(warp_image(picture, motion[place], factor), factor)
                planes = clip[place, ::-1] if self.image_format == "BGR" else clip[place]
                cv2.split(colours[place].apply_image(image), list(planes))
        return list(torch.from_numpy(clip))


# As of detectron2's own mappers, the first argument may be a config.
YTVISDatasetMapper.__init__ = configurable(YTVISDatasetMapper.__init__)
