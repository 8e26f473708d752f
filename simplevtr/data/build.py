"""Data loaders from a config."""

import logging
from typing import Any

from simplevtr.data.builtin import check_registered, refuse_stills
from simplevtr.data.class_names import align_datasets, settled_classes
from simplevtr.data.clip_stream import ClipStream
from simplevtr.data.dataset_mapper import YTVISDatasetMapper
from simplevtr.data.frame_sampling import epoch_items
from simplevtr.data.record_cache import forget_files

import cv2
import numpy as np
import torch.utils.data
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, build_detection_test_loader
from detectron2.utils import comm

logger = logging.getLogger(__name__)


def build_train_loader(cfg: CfgNode) -> ClipStream:
    """The endless training loader of all datasets in ``cfg.DATASETS.TRAIN``.

    It gives lists of clips, SOLVER.IMS_PER_BATCH over all processes, as ``YTVISDatasetMapper``
    makes them. A share of DATASETS.PSEUDO_RATIO is made from still images, if there are both these
    and videos. With SEED -1 all processes draw one seed together.

    Raises:
        KeyError: for a dataset that is not registered.
        ValueError: no video has usable ground truth, the datasets have different categories or
            others than the model, or the batch cannot be shared among the processes.
    """
    _prepare_fork(cfg)
    records, items, visits = _epoch(cfg)
    total, processes = cfg.SOLVER.IMS_PER_BATCH, comm.get_world_size()
    if total < 1 or total % processes:
        raise ValueError(
            f"SOLVER.IMS_PER_BATCH is {total}; a positive multiple of the {processes} processes "
            "is needed"
        )
    batch_size = total // processes
    stream = ClipStream(
        *(records, items, visits),
        YTVISDatasetMapper(cfg, True),
        batch_size=batch_size,
        grouped=cfg.DATALOADER.GROUP_BY_SHAPE and batch_size > 1,
        seed=cfg.SEED if cfg.SEED >= 0 else comm.shared_random_seed(),
        workers=cfg.DATALOADER.NUM_WORKERS,
        rank=comm.get_rank(),
        processes=processes,
        paste=0.5 if "paste" in cfg.INPUT.AUGMENTATIONS else 0.0,
        paste_same_class="paste_same_class" in cfg.INPUT.AUGMENTATIONS,
    )
    forget_files()  # the loader holds the records from here on
    return stream


def build_test_loader(cfg: CfgNode, dataset_name: str) -> torch.utils.data.DataLoader:
    """The loader of one dataset for inference, whatever ``cfg.DATASETS.TEST`` says.

    It gives lists with one clip, a whole video, in order of video ids, each once over all
    processes. KeyError if the dataset is not registered, ValueError if it has still images.
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
    """Iterations of one training epoch: items of INPUT.SAMPLING_SCHEME / IMS_PER_BATCH, rounded up.

    Where there are still images and videos, every item of a video is visited once, and so many
    stills come in between that they make up DATASETS.PSEUDO_RATIO. Errors as of
    :func:`build_train_loader`.
    """
    *_, visits = _epoch(cfg)
    return -(-round(float(visits.sum())) // cfg.SOLVER.IMS_PER_BATCH)


def _prepare_fork(cfg: CfgNode) -> None:
    """Let workers use one thread each: torch does so itself, OpenCV must be told before the fork.

    A forked worker would wait forever for the threads that its parent had.
    """
    if cfg.DATALOADER.NUM_WORKERS > 0:
        cv2.setNumThreads(1)


def _training_records(cfg: CfgNode) -> list[dict[str, Any]]:
    """The records of all training datasets, without those that have nothing to learn from."""
    names = list(cfg.DATASETS.TRAIN)
    if not names:
        raise ValueError("DATASETS.TRAIN is empty; at least one dataset is needed for training")
    subset, known = cfg.DATASETS.ALLOW_CLASS_SUBSET, settled_classes(names)
    classes = align_datasets(names, known=known, source="the run", subset=subset)
    # Fewer are allowed here; settle_classes asks for the exact number at the start of a run.
    if len(classes.names) > cfg.MODEL.SIMPLEVTR.NUM_CLASSES:
        raise ValueError(
            f"{names[0]} has {len(classes.names)} categories, but MODEL.SIMPLEVTR.NUM_CLASSES is "
            f"{cfg.MODEL.SIMPLEVTR.NUM_CLASSES}"
        )
    records = [record for name in names for record in DatasetCatalog.get(name)]
    usable = [
        record
        for record in records
        if any(not track["iscrowd"] for frame in record["annotations"] for track in frame)
    ]
    if not usable:
        raise ValueError(
            f"DATASETS.TRAIN {names}: none of the {len(records)} videos has a visible instance "
            "that is not a crowd; is it a set without ground truth?"
        )
    if not cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS:
        return records
    logger.info("%d of %d training videos have instances", len(usable), len(records))
    return usable


def _epoch(cfg: CfgNode) -> tuple[list[dict[str, Any]], list[tuple[int, int | None]], np.ndarray]:
    """The training records, the items, and how often each is visited in an epoch on average."""
    records = _training_records(cfg)
    lengths = [record["length"] for record in records]
    items = epoch_items(lengths, cfg.INPUT.SAMPLING_FRAME_NUM, cfg.INPUT.SAMPLING_SCHEME)
    stills = np.array([records[index].get("still", False) for index, _ in items])
    visits = np.ones(len(items))
    count = int(stills.sum())
    if 0 < count < len(items):
        ratio = cfg.DATASETS.PSEUDO_RATIO
        visits[stills] = ratio / (1 - ratio) * (len(items) - count) / count
    return records, items, visits
