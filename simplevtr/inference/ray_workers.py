"""Actors of a Ray cluster that share videos out among them, each with a model of its own.

Ray is imported when it is used. An actor that is killed is started again, and its video tried once
more.
"""

import logging
import warnings
from collections.abc import Generator, Sequence
from types import ModuleType
from typing import Any

from simplevtr.inference.many_videos import Outcome, SegmentTask
from simplevtr.inference.workers import KILLED, load_or_reason
from simplevtr.terminal import one_line
from simplevtr.video_io import NamedVideo

_NO_MODEL = "no model"  # instead of an outcome's state


def load_ray() -> ModuleType:
    """Import Ray; ValueError if it is not installed."""
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ValueError(f"--ray needs Ray ({error}): pip install 'ray[data]==2.60.0'") from None
    return ray


class _RayWorker:
    """An actor with a model."""

    def __init__(self, task: SegmentTask, videos: Sequence[NamedVideo]) -> None:
        self._videos = videos
        self._segment = load_or_reason(task)  # Ray would try again and again, and print how it went

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        video = self._videos[row["number"]]
        if isinstance(self._segment, str):
            return Outcome(video.name, _NO_MODEL, reason=self._segment)._asdict()
        return self._segment(video)._asdict()


def on_ray(
    task: SegmentTask,
    videos: Sequence[NamedVideo],
    *,
    address: str,
    workers: int | None = None,
    gpu: bool = False,
) -> Generator[Outcome, None, None]:
    """Do what ``in_processes`` does in the actors of a Ray cluster; "local" starts one here.

    All machines see the same files under the same paths, and reach what is remote. ``workers`` is
    by default the number of the cluster's GPUs, or 1; with ``gpu`` each has one for itself.

    Raises:
        ConnectionError: there is no cluster at ``address``.
        ValueError: its machines have no GPU, and ``gpu`` is True.
        ChildProcessError: an actor cannot build the model.
    """
    if not videos:
        return
    ray = load_ray()
    here = {"include_dashboard": False} if address == "local" else {}
    ray.init(address, logging_level=logging.ERROR, log_to_driver=False, **here)
    try:
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.max_errored_blocks = -1  # a worker that is killed costs its video alone
        gpus = int(ray.cluster_resources().get("GPU", 0)) if gpu else 1
        if not gpus:  # Ray would wait for one
            raise ValueError(f"MODEL.DEVICE is cuda, but the cluster at {address} has no GPU")
        rows = [{"number": number} for number in range(len(videos))]
        workers = min(workers or gpus, len(rows))
        # One video at a time: those that wait at a worker would be lost with it.
        pool = ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1)
        with warnings.catch_warnings(action="ignore"):  # tries have no other name before Ray 2.64
            done = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
                _RayWorker,
                fn_constructor_args=(task, videos),
                compute=pool,
                num_gpus=1 if gpu else 0,
                max_task_retries=1,
            )
        left = {video.name for video in videos}
        for row in done.iter_rows():
            if row["state"] == _NO_MODEL:
                raise ChildProcessError(row["reason"])
            left.remove(row["video"])
            yield Outcome(**row)
        for name in left:
            yield Outcome(name, "failed", reason=KILLED)
    except ray.exceptions.RayError as error:
        raise ChildProcessError(f"Ray: {one_line(error)}") from error
    finally:
        ray.shutdown()
