"""Data loaders from a config."""

from __future__ import annotations

import logging
import operator
from collections.abc import Iterable, Iterator
from typing import Any

from simplevtr.data.builtin import check_registered, refuse_stills
from simplevtr.data.dataset_mapper import YTVISDatasetMapper
from simplevtr.data.frame_sampling import epoch_items
from simplevtr.data.record_cache import forget_file

import cv2
import numpy as np
import torch.utils.data
from detectron2.config import CfgNode
from detectron2.data import (
    DatasetCatalog,
    DatasetFromList,
    MetadataCatalog,
    build_detection_test_loader,
    build_detection_train_loader,
)
from detectron2.data.samplers import RepeatFactorTrainingSampler, TrainingSampler
from detectron2.utils import comm

logger = logging.getLogger(__name__)

_BUFFERED_BATCHES = 4


def build_train_loader(cfg: CfgNode) -> Iterable[list[dict[str, Any]]]:
    """The endless training loader of all datasets in ``cfg.DATASETS.TRAIN``.

    Of its clips, a share of DATASETS.PSEUDO_RATIO is made from still images, if there are both
    these and videos.

    Returns:
        An iterable of lists of clips, SOLVER.IMS_PER_BATCH over all processes; each clip as
        :class:`simplevtr.data.dataset_mapper.YTVISDatasetMapper` gives it.

    Raises:
        KeyError: for a dataset that is not registered.
        ValueError: if no video has usable ground truth, the datasets have different categories or
            more than the model, the batch cannot be shared among the processes, or
            DATASETS.PSEUDO_RATIO is no share.
    """
    _prepare_fork(cfg)
    records = _training_records(cfg)
    items = _items(cfg, records)
    dataset = _EpochItems(records, items)
    for name in cfg.DATASETS.TRAIN:  # the loader holds the records from here on
        forget_file(MetadataCatalog.get(name).json_file)
    batch_size = _clips_per_process(cfg)
    seeded = cfg.SEED >= 0
    grouped = cfg.DATALOADER.GROUP_BY_SHAPE and batch_size > 1
    loader = build_detection_train_loader(
        dataset,
        mapper=YTVISDatasetMapper(cfg, True),
        sampler=_sampler(cfg, _visits(cfg, records, items)),
        total_batch_size=comm.get_world_size() if grouped else cfg.SOLVER.IMS_PER_BATCH,
        aspect_ratio_grouping=False,
        num_workers=cfg.DATALOADER.NUM_WORKERS,
        collate_fn=operator.itemgetter(0) if grouped else None,
        # The workers' seeds; the sampler has its own, the same in all processes.
        seed=cfg.SEED + comm.get_rank() if seeded else None,
    )
    return ShapeGroupedClips(loader, batch_size) if grouped else loader


def build_test_loader(cfg: CfgNode, dataset_name: str) -> torch.utils.data.DataLoader:
    """The loader of one dataset for inference, whole videos, each once over all processes.

    Args:
        cfg: the config.
        dataset_name: the dataset to load, whatever ``cfg.DATASETS.TEST`` says.

    Returns:
        A loader of lists with one clip, in order of video ids.

    Raises:
        KeyError: if the dataset is not registered.
        ValueError: if it has still images.
    """
    check_registered([dataset_name])
    refuse_stills(dataset_name)
    _prepare_fork(cfg)
    return build_detection_test_loader(
        DatasetCatalog.get(dataset_name),
        mapper=YTVISDatasetMapper(cfg, False),
        num_workers=cfg.DATALOADER.NUM_WORKERS,
    )


def epoch_length(cfg: CfgNode) -> int:
    """Iterations of one training epoch: the items of INPUT.SAMPLING_SCHEME by IMS_PER_BATCH.

    Where there are still images beside videos, every item of a video is visited once, and so many
    stills come in between that they make up DATASETS.PSEUDO_RATIO.

    This reads the annotation files of ``cfg.DATASETS.TRAIN``; errors as in
    :func:`build_train_loader`.
    """
    records = _training_records(cfg)
    visits = round(float(_visits(cfg, records, _items(cfg, records)).double().sum()))
    return -(-visits // cfg.SOLVER.IMS_PER_BATCH)


class ShapeGroupedClips(torch.utils.data.IterableDataset):
    """Batches of clips of like size, so that little is padded.

    A few batches' worth of clips is held. The oldest clip leaves together with those that need the
    least padding beside it, so that none waits for ever and memory is bounded.

    Args:
        clips: an iterable of clips with ``image``, a list of T tensors (3, h, w).
        batch_size: clips of a batch.
        buffered: clips to choose from, at least ``batch_size``; None for four batches.
    """

    def __init__(
        self, clips: Iterable[dict[str, Any]], batch_size: int, buffered: int | None = None
    ) -> None:
        buffered = _BUFFERED_BATCHES * batch_size if buffered is None else buffered
        if not 1 <= batch_size <= buffered:
            raise ValueError(f"batch size {batch_size} must be within 1 and buffered {buffered}")
        self.clips = clips
        self.batch_size = batch_size
        self.buffered = buffered

    def __iter__(self) -> Iterator[list[dict[str, Any]]]:
        """Yield lists of ``batch_size`` clips; an incomplete last batch is dropped."""
        waiting: list[dict[str, Any]] = []
        for clip in self.clips:
            waiting.append(clip)
            if len(waiting) >= self.buffered:
                yield self._take(waiting)
        while len(waiting) >= self.batch_size:
            yield self._take(waiting)

    def _take(self, waiting: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Remove the oldest clip and those that fit it best from ``waiting``."""
        shapes = [_clip_shape(clip) for clip in waiting]
        padding = [_padding(shapes[0], shape) for shape in shapes]
        # Stable, so the oldest clip, which needs no padding beside itself, is among the first.
        chosen = [0, *(i for i in np.argsort(padding, kind="stable").tolist() if i != 0)]
        chosen = chosen[: self.batch_size]
        batch = [waiting[i] for i in chosen]
        for i in sorted(chosen, reverse=True):
            del waiting[i]
        return batch


class _EpochItems(torch.utils.data.Dataset):
    """The items of an epoch, records with an ``anchor``; the records are held once, serialised."""

    def __init__(self, records: list[dict[str, Any]], items: list[tuple[int, int | None]]) -> None:
        self._records = DatasetFromList(records, copy=False)
        self._items = np.array([(v, -1 if a is None else a) for v, a in items], dtype=np.int64)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        video, anchor = self._items[index].tolist()
        return {**self._records[video], "anchor": None if anchor < 0 else anchor}


def _prepare_fork(cfg: CfgNode) -> None:
    """Let workers use one thread each, as they share the cores already.

    torch sees to that itself. OpenCV does not, and a forked worker would wait for ever for the
    threads that its parent had; this must be said before the fork.
    """
    if cfg.DATALOADER.NUM_WORKERS > 0:
        cv2.setNumThreads(1)


def _clip_shape(clip: dict[str, Any]) -> tuple[int, int, int]:
    """(T, h, w)."""
    return len(clip["image"]), *clip["image"][0].shape[-2:]


def _padding(one: tuple[int, int, int], other: tuple[int, int, int]) -> int:
    """Padded pixels of a batch of two clips of these (T, h, w)."""
    volume = 1
    for a, b in zip(one, other, strict=True):
        volume *= max(a, b)
    return 2 * volume - int(np.prod(one)) - int(np.prod(other))


def _training_records(cfg: CfgNode) -> list[dict[str, Any]]:
    """The records of all training datasets, without those that have nothing to learn from."""
    names = list(cfg.DATASETS.TRAIN)
    if not names:
        raise ValueError("DATASETS.TRAIN is empty; at least one dataset is needed for training")
    check_registered(names)
    records = [record for name in names for record in DatasetCatalog.get(name)]
    _check_categories(names, cfg.MODEL.SIMPLEVTR.NUM_CLASSES)
    usable = [record for record in records if _has_instances(record)]
    if not usable:
        raise ValueError(
            f"DATASETS.TRAIN {names}: none of the {len(records)} videos has a visible instance "
            "that is no crowd; is it a set without ground truth?"
        )
    if not cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS:
        return records
    logger.info("%d of %d training videos have instances", len(usable), len(records))
    return usable


def _has_instances(record: dict[str, Any]) -> bool:
    return any(not track["iscrowd"] for frame in record["annotations"] for track in frame)


def _check_categories(names: list[str], num_classes: int) -> None:
    first = MetadataCatalog.get(names[0]).thing_classes
    for name in names[1:]:
        classes = MetadataCatalog.get(name).thing_classes
        if classes != first:
            raise ValueError(
                f"training datasets must have the same categories: {names[0]} has {first}, "
                f"{name} has {classes}"
            )
    if len(first) > num_classes:
        raise ValueError(
            f"{names[0]} has {len(first)} categories, but MODEL.SIMPLEVTR.NUM_CLASSES is "
            f"{num_classes}"
        )


def _items(cfg: CfgNode, records: list[dict[str, Any]]) -> list[tuple[int, int | None]]:
    lengths = [record["length"] for record in records]
    return epoch_items(lengths, cfg.INPUT.SAMPLING_FRAME_NUM, cfg.INPUT.SAMPLING_SCHEME)


def _visits(
    cfg: CfgNode, records: list[dict[str, Any]], items: list[tuple[int, int | None]]
) -> torch.Tensor:
    """How often each item is visited in an epoch, on average, (items,) float."""
    stills = torch.tensor([records[index].get("pseudo", False) for index, _ in items])
    visits = torch.ones(len(items))
    count = int(stills.sum())
    if 0 < count < len(items):
        ratio = cfg.DATASETS.PSEUDO_RATIO
        if not 0 <= ratio < 1:
            raise ValueError(
                f"DATASETS.PSEUDO_RATIO is {ratio}; a share in [0, 1) is needed where "
                "DATASETS.TRAIN has videos too"
            )
        visits[stills] = ratio / (1 - ratio) * (len(items) - count) / count
    return visits


def _sampler(cfg: CfgNode, visits: torch.Tensor) -> torch.utils.data.Sampler:
    seed = cfg.SEED if cfg.SEED >= 0 else None
    if (visits == 1).all():
        return TrainingSampler(len(visits), seed=seed)
    return RepeatFactorTrainingSampler(visits, seed=seed)


def _clips_per_process(cfg: CfgNode) -> int:
    total, processes = cfg.SOLVER.IMS_PER_BATCH, comm.get_world_size()
    if total < 1 or total % processes:
        raise ValueError(
            f"SOLVER.IMS_PER_BATCH is {total}; a positive multiple of the {processes} processes "
            "is needed"
        )
    return total // processes
