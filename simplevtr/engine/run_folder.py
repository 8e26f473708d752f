"""A training's OUTPUT_DIR: one process writes into it, and no earlier work is overwritten."""

import fcntl
import logging
import operator
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import util
from pathlib import Path
from typing import TextIO

from simplevtr.formats.files import named_errors, refuse_existing
from simplevtr.formats.results import refuse_existing_results

from detectron2.config import CfgNode
from detectron2.utils import comm

logger = logging.getLogger(__name__)

# Files of an earlier training, which a new one would overwrite or mix with its own.
_RUN_FILES = ("last_checkpoint", "metrics.json", "model_*.pth", "model_final.safetensors")
_LOCK = ".lock"
_DUMP = b"CUDNN_BENCHMARK: "  # what a dump of a config begins with, whose keys are sorted
_OF_TRAINING = ".written_by_training"  # next to result files that a training may replace


@contextmanager
def only_run_in(output_dir: str) -> Iterator[TextIO | None]:
    """Keep every other training and evaluation out of a folder, which is made if need be.

    The main process of a run holds a lock on the file ``.lock``, which it is given; the system
    releases it when that process ends, whatever ends it. FileExistsError: another holds it.
    NotADirectoryError, PermissionError: the folder cannot be made, or not be written to.
    """
    if not comm.is_main_process():
        yield None
        return
    folder = Path(output_dir)
    refuse_existing(folder / _LOCK, overwrite=True)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("a+") as file:
        # A data loader's worker would hold the lock for seconds after a crash of its parent.
        util.register_after_fork(file, operator.methodcaller("close"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read() or "another process"
            raise FileExistsError(
                f"{output_dir} is in use by {holder}: wait for its end, or choose another folder "
                "(OUTPUT_DIR, --output)"
            ) from None
        except OSError as error:  # some network file systems have no locks
            logger.warning("%s: no protection against a second run (%s)", folder, error)
        else:
            for partial in folder.glob(".model_*.partial"):  # of a run that was killed while saving
                partial.unlink()
        with named_errors(folder / _LOCK):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
        try:
            yield file
        finally:
            file.truncate(0)


def refuse_used_folder(output_dir: str) -> None:
    """Raise FileExistsError if ``output_dir`` holds metrics or weights of an earlier training."""
    files = (path for pattern in _RUN_FILES for path in Path(output_dir).glob(pattern))
    if found := sorted(path.name for path in files if path.lstat().st_size):
        shown = ", ".join(found[:3])
        raise FileExistsError(
            f"OUTPUT_DIR {output_dir} holds an earlier run ({shown}): continue it with --resume, "
            "or choose another folder with OUTPUT_DIR some/folder"
        )


def refuse_other_config(folder: str) -> None:
    """Raise FileExistsError if detectron2's dump would replace a config.yaml that is not one."""
    path = Path(folder) / "config.yaml"
    start = path.read_bytes()[: len(_DUMP)] if path.is_file() else b""
    if not _DUMP.startswith(start):  # a kill may have left a part of one
        raise FileExistsError(
            f"{path} would be replaced by the complete config of this run: rename it, or choose "
            "another OUTPUT_DIR"
        )


def results_folder(cfg: CfgNode, dataset_name: str) -> Path:
    """Where the result files of one test set are written."""
    return Path(cfg.OUTPUT_DIR) / "inference" / dataset_name


def claim_results(cfg: CfgNode, *, resume: bool, overwrite: bool) -> None:
    """Refuse result files that are not of this training, and mark the coming ones as its own.

    With ``resume`` those may be replaced that the training in this folder has written, with
    ``overwrite`` all. FileExistsError: there are others.
    """
    marks = [results_folder(cfg, name) / _OF_TRAINING for name in cfg.DATASETS.TEST]
    for mark in marks:
        own = resume and mark.exists()
        try:
            refuse_existing_results(mark.parent, overwrite=own or overwrite)
        except FileExistsError as error:
            raise FileExistsError(
                f"{error}: the training would replace these results of an evaluation. Choose "
                "another OUTPUT_DIR, move them, or allow it with --overwrite (TEST.OVERWRITE True)"
            ) from None
    for mark in marks:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()


def disown_results(cfg: CfgNode) -> None:
    """Mark the result files of all test sets as those of an evaluation, which no training made."""
    for name in cfg.DATASETS.TEST:
        (results_folder(cfg, name) / _OF_TRAINING).unlink(missing_ok=True)
