"""The shape legend and the few types that several packages share.

One letter has one meaning in the model's tensors; elsewhere a docstring may name its own:

    B  videos (clips) in a batch      T  frames of a clip, always an explicit axis
    Q  instance slots (queries)       G  ground-truth instances (tracks) of one clip
    K  classes, without "no object"; of the model's, the CLASS_OFFSET first ones are unused
    C  hidden channels
    H x W  pixels of a (padded) input frame
    h x w  cells of a feature map or of the predicted masks
    M  slots selected for mask prediction, over the whole batch
    L  decoder layers

Boxes are "cxcywh in [0, 1]" (centre and size relative to the unpadded frame) inside the model and
"xyxy pixels" in detectron2's ``Instances``; each docstring says which.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from pycocotools import mask as coco_mask
from torch import Tensor


@dataclass(frozen=True)
class Classes:
    """What the model's labels stand for: by label K names and K ids, all different."""

    names: tuple[str, ...]
    ids: tuple[int, ...]  # of categories, in result files

    def __post_init__(self) -> None:
        """Raise ValueError unless these are K names and K ids."""
        for values, kind in ((self.names, str), (self.ids, int)):
            if not all(type(value) is kind for value in values) or len({*values}) < len(values):
                raise ValueError(f"{values!r:.80} are not of type {kind.__name__}, all different")
        if len(self.names) != len(self.ids):
            raise ValueError(f"{len(self.names)} names and {len(self.ids)} ids")

    def state_dict(self) -> dict[str, list]:
        """As a checkpoint keeps them."""
        return {"names": [*self.names], "ids": [*self.ids]}


@dataclass(frozen=True)
class ClipBatch:
    """The frames of B clips, padded to one size and length, to the right, below and at the end."""

    frames: Tensor  # (B, T, 3, H, W) float32, normalised, zero on padding
    padding: Tensor | None = None  # (B, T, H, W) bool, True on padding; None if nothing is padded

    def frame_padding(self) -> Tensor:
        """(B, T) bool, True where a clip has no frame."""
        if self.padding is None:
            return self.frames.new_zeros(self.frames.shape[:2], dtype=torch.bool)
        return self.padding[:, :, 0, 0]

    def cell_padding(self, size: Sequence[int]) -> Tensor | None:
        """(B, T, h, w) bool, True for cells that begin in padding; None if nothing is padded."""
        return None if self.padding is None else F.interpolate(self.padding.float(), size).bool()


@dataclass(frozen=True)
class ClipTargets:
    """Ground truth of one clip, one row per instance."""

    labels: Tensor  # (G,) int64 in [CLASS_OFFSET, K), as in the model's logits
    boxes: Tensor  # (G, T, 4) float32, cxcywh in [0, 1]; zeros where the instance is absent
    masks: Tensor  # (G, T, H, W) bool in padded pixels; False where the instance is absent
    visible: Tensor  # (G, T) bool, True where the instance can be seen in the frame

    def __len__(self) -> int:
        return self.labels.shape[0]

    def rows(self, index: Tensor) -> Self:
        """The instances at ``index`` (int64), in that order."""
        return type(self)(*(column[index] for column in vars(self).values()))


@dataclass(frozen=True)
class ClipPredictions:
    """What the model predicts of a batch of clips, with the frame axis explicit.

    A decoupled model (queries without a frame axis) computes classes and boxes once per slot; here
    they are expanded views over T, so both kinds of model are read alike.
    """

    logits: Tensor  # (B, T, Q, K + 1) of classes; the last index is "no object"
    boxes: Tensor | None  # (B, T, Q, 4), cxcywh in [0, 1]; None from the pixel head
    masks: Tensor | None = None  # (B, T, Q, h, w) logits at the mask head's stride; None without
    # (logits, boxes) of every decoder layer but the last, first layer first
    auxiliary: tuple[tuple[Tensor, Tensor], ...] = ()


@dataclass(frozen=True)
class FrameTracks:
    """The N tracks that can be seen in one frame of a video."""

    index: int  # 0-based number of the frame
    size: tuple[int, int]  # (H, W) of the original frame in pixels
    track_ids: list[int]  # from 1 on, in the order in which tracks were born; a track keeps its id
    labels: list[int]  # class indices, of what is known when the frame is returned
    scores: list[float | Any]  # in [0, 1], likewise; None of true tracks
    # Compressed RLEs with text counts, {"size": [H, W], "counts": str}, none of them empty
    masks: list[dict]

    @classmethod
    def of_video(
        cls,
        tracks: Iterable[tuple[int, int, float | None, Sequence[dict | None]]],
        size: tuple[int, int],
        frames: int,
        first: int = 0,
    ) -> Iterator[Self]:
        """The tracks of a whole video, a frame at a time.

        ``tracks`` are the id, label and score of each, and for each of the ``frames``, which are
        numbered from ``first`` on, a mask as above or None.
        """
        tracks = list(tracks)
        for index in range(frames):
            seen = [(*track[:3], track[3][index]) for track in tracks if track[3][index]]
            columns = map(list, zip(*seen, strict=True)) if seen else ([], [], [], [])
            yield cls(first + index, (size[0], size[1]), *columns)

    def rows(self, index: list[int]) -> Self:
        """The tracks at ``index``, in that order."""
        names = ("track_ids", "labels", "scores", "masks")
        columns: Any = {name: [getattr(self, name)[i] for i in index] for name in names}
        return replace(self, **columns)

    def dense_masks(self) -> np.ndarray:
        """(N, H, W) bool."""
        if not self.masks:
            return np.zeros((0, *self.size), dtype=bool)
        return np.moveaxis(coco_mask.decode(self.masks), -1, 0).astype(bool)


class TrackMasks(Sequence):
    """The masks of one track over a video, run-length encoded; reads like a (T, H, W) bool tensor.

    ``masks[t]`` decodes one frame. So a result holds kilobytes per frame, however large it is.
    """

    def __init__(self, rles: list[dict | None], size: tuple[int, int]) -> None:
        self.rles = rles  # (T,) compressed, with text counts; None where the track cannot be seen
        self.shape = (len(rles), size[0], size[1])

    def __len__(self) -> int:
        return len(self.rles)

    def __getitem__(self, index: int | slice) -> Any:
        """The mask of frame ``index``, (H, W) bool; of a slice (n, H, W)."""
        if isinstance(index, slice):
            return TrackMasks(self.rles[index], self.shape[1:]).dense()
        rle = self.rles[index]
        if rle is None:
            return torch.zeros(self.shape[1:], dtype=torch.bool)
        return torch.from_numpy(coco_mask.decode(rle)).bool()

    def dense(self) -> Tensor:
        """(T, H, W) bool, all frames decoded."""
        return torch.stack(list(self)) if len(self) else torch.zeros(self.shape, dtype=torch.bool)


def encode_masks(masks: Tensor) -> list[dict | None]:
    """Compressed RLEs, with text counts, of a track's (T, H, W) bool masks; None where empty."""
    if not isinstance(masks, Tensor) or masks.dtype != torch.bool:  # as logits are
        raise ValueError(f"masks are a {type(masks).__name__} of {masks.dtype}, not of torch.bool")
    visible = masks.flatten(1).any(dim=1) if masks.numel() else masks.new_zeros(len(masks))
    rles: list[dict | None] = [None] * len(masks)
    index = torch.nonzero(visible).flatten()
    # RLEs go down the columns: transposed here, (H, W, frames) is in the order pycocotools wants.
    columns = masks[index].to(torch.uint8).transpose(1, 2).contiguous().cpu().numpy()
    encoded = coco_mask.encode(np.transpose(columns, (2, 1, 0)))
    for frame, rle in zip(index.tolist(), encoded, strict=True):
        rles[frame] = {"size": list(rle["size"]), "counts": rle["counts"].decode("ascii")}
    return rles


def cyclic_frames(length: int, count: int, first: int = 0) -> list[int]:
    """``count`` frame numbers from ``first`` on, of a video played in a loop.

    The one rule for clips with more frames than their video has, in training and in inference.
    ``first`` may lie before the video: -1 is its last frame.
    """
    return [(first + i) % length for i in range(count)]
