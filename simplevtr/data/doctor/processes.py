"""Examines many videos on all cores."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from simplevtr.data.doctor.findings import Findings
from simplevtr.data.doctor.records import Video

_VIDEOS_AT_ONCE = 8
_work: Callable[[int], tuple[int, Findings]] | None = None  # of the processes that are forked


def in_order(
    look: Callable[[Video, Findings], int],
    videos: Sequence[Video],
    findings: Findings,
    *,
    workers: int,
) -> Iterator[int]:
    """What ``look`` returns for each video, in their order.

    Args:
        look: takes a video and where its defects go.
        videos: the videos; with several workers they are left as they are.
        findings: where all defects go, in the order of the videos.
        workers: processes, which share this one's memory; 1 for this one.
    """
    global _work
    if workers == 1 or sys.platform != "linux":
        for video in videos:
            yield look(video, findings)
        return

    def work(index: int) -> tuple[int, Findings]:
        own = findings.empty()
        return look(videos[index], own), own

    _work = work
    ignore_interrupt = (signal.SIGINT, signal.SIG_IGN)  # which this process obeys for all
    pool = ProcessPoolExecutor(workers, get_context("fork"), signal.signal, ignore_interrupt)
    try:
        for result, own in pool.map(_run, range(len(videos)), chunksize=_VIDEOS_AT_ONCE):
            findings.update(own)
            yield result
    finally:
        pool.shutdown(cancel_futures=True)
        _work = None


def _run(index: int) -> tuple[int, Findings]:
    return _work(index)
