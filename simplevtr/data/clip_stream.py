"""The endless training batches of a process, which can start at any iteration.

Which clips come when, their frames and their augmentation are a pure function of the seed and of
the place in the stream, not of what was drawn before. So a resumed training sees what an
uninterrupted one would have seen, and the number of a loader's workers changes nothing.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from simplevtr.data.paste import paste_tracks

import numpy as np
import torch.utils.data
from detectron2.data import DatasetFromList

Clip = dict[str, Any]

_ORDER, _CLIP = range(2)  # what random numbers are for: the order of an epoch, one clip
_BUFFERED_BATCHES = 4
_BLOCK_BATCHES = 16


class ClipStream:
    """The batches of clips of one of the processes that train together.

    The stream of all processes is one epoch after another, each in a random order. Of P processes
    process r takes the places r, r + P, r + 2P, ...

    Args:
        records: videos, see :func:`simplevtr.data.ytvis.load_ytvis_json`.
        items: (index of a record, anchor frame or None) of everything that an epoch visits.
        visits: (items,) how often each of them is visited in an epoch, on average.
        mapper: makes a clip of a record with an ``anchor`` and a ``numpy.random.Generator``.
        batch_size: clips of one batch of this process.
        grouped: whether batches have clips of like size (:class:`ShapeGroupedClips`).
        seed: of all random numbers, the same in all processes; 0 or more.
        workers: processes that load the clips; 0 loads them in this one.
        rank: r, the number of this process.
        processes: P.
        paste: share of the clips that tracks of another video are pasted into.

    Attributes:
        seed: may be changed until the stream is iterated.
        start: the iteration whose batch comes first when the stream is iterated next.
        current: the batch that was given last.
    """

    def __init__(
        self,
        records: list[dict[str, Any]],
        items: Sequence[tuple[int, int | None]],
        visits: np.ndarray,
        mapper: Callable[[dict[str, Any], np.random.Generator], Clip],
        *,
        batch_size: int,
        grouped: bool,
        seed: int,
        workers: int = 0,
        rank: int = 0,
        processes: int = 1,
        paste: float = 0.0,
    ) -> None:
        self._records = DatasetFromList(records, copy=False)  # held once, serialised
        self._items = np.array([(v, -1 if a is None else a) for v, a in items], dtype=np.int64)
        self._visits = np.asarray(visits, dtype=np.float64)
        self._mapper = mapper
        self._batch_size = batch_size
        self._grouped = grouped
        self._workers = workers
        self._rank, self._processes = rank, processes
        self._paste = paste
        self.seed = seed
        self.start = 0
        self.current: list[Clip] = []

    def __iter__(self) -> Iterator[list[Clip]]:
        """Yield the batches from iteration ``start`` on.

        Raises:
            OSError, ValueError: for a frame or segmentation that cannot be used, also if a worker
                found it.
        """
        # A group depends on the clips of its block that came before it.
        skipped = self.start % _BLOCK_BATCHES if self._grouped else 0
        clips = self._clips((self.start - skipped) * self._batch_size)
        buffered = None if self._grouped else self._batch_size
        batches = ShapeGroupedClips(clips, self._batch_size, buffered)
        for batch in itertools.islice(batches, skipped, None):
            self.current = batch
            yield batch

    def places(self, first: int) -> Iterator[tuple[int, int]]:
        """The (place in the stream, item) pairs of this process without its ``first`` ones."""
        first = first * self._processes + self._rank
        return itertools.islice(self._all_places(first), 0, None, self._processes)

    def _all_places(self, first: int) -> Iterator[tuple[int, int]]:
        begin = 0
        for epoch in itertools.count():
            order = self._order(epoch)
            skipped = max(0, first - begin)
            yield from enumerate(order[skipped:].tolist(), start=begin + skipped)
            begin += len(order)

    def _order(self, epoch: int) -> np.ndarray:
        """The items of an epoch; visits that are not whole are rounded up or down at random."""
        rng = _generator(self.seed, _ORDER, epoch)
        whole = np.floor(self._visits)
        repeats = whole + (rng.random(len(whole)) < self._visits - whole)
        return rng.permutation(np.repeat(np.arange(len(whole)), repeats.astype(np.int64)))

    def _clips(self, first: int) -> Iterator[Clip]:
        loader = torch.utils.data.DataLoader(
            self,
            sampler=self.places(first),
            batch_size=None,
            num_workers=self._workers,
            collate_fn=_as_it_is,
            generator=torch.Generator(),  # the loader draws a number that nothing here depends on
        )
        for clip in loader:
            if isinstance(clip, Exception):
                raise clip
            yield clip

    def __getitem__(self, place: tuple[int, int]) -> Clip | Exception:
        """From a place in the stream and an item of the epoch to a clip, or to the user's error."""
        position, item = place
        video, anchor = self._items[item].tolist()
        record = {**self._records[video], "anchor": None if anchor < 0 else anchor}
        rng = _generator(self.seed, _CLIP, position)
        try:
            clip = self._mapper(record, rng)
            if self._paste and rng.random() < self._paste:
                donor = self._records[int(rng.integers(len(self._records)))]
                clip = paste_tracks(clip, self._mapper(donor, rng), rng)
            return clip
        except (OSError, ValueError) as error:
            return error  # torch would wrap a worker's in the text of its traceback


class ShapeGroupedClips:
    """Batches of clips of like size, so that little is padded.

    A few batches' worth of clips is held. The oldest clip leaves together with those that need the
    least padding beside it, so that none waits for ever and memory is bounded. Blocks of 16 batches
    are grouped by themselves, so that no batch depends on clips before its block.

    Args:
        clips: an iterable of clips with ``image``, a list of T tensors (3, h, w).
        batch_size: clips of a batch.
        buffered: clips to choose from, at least ``batch_size``; None for four batches.
    """

    def __init__(self, clips: Iterable[Clip], batch_size: int, buffered: int | None = None) -> None:
        buffered = _BUFFERED_BATCHES * batch_size if buffered is None else buffered
        if not 1 <= batch_size <= buffered:
            raise ValueError(f"batch size {batch_size} must be within 1 and buffered {buffered}")
        self.clips = clips
        self.batch_size = batch_size
        self.buffered = buffered

    def __iter__(self) -> Iterator[list[Clip]]:
        """Yield lists of ``batch_size`` clips; an incomplete last batch is dropped."""
        waiting: list[Clip] = []
        given = 0
        for clip in self.clips:
            waiting.append(clip)
            if len(waiting) >= self.buffered:
                yield self._take(waiting, given)
                given += 1
        while len(waiting) >= self.batch_size:
            yield self._take(waiting, given)
            given += 1

    def _take(self, waiting: list[Clip], given: int) -> list[Clip]:
        """Remove the oldest clip and those of its block that fit it best from ``waiting``."""
        of_block = (_BLOCK_BATCHES - given % _BLOCK_BATCHES) * self.batch_size
        shapes = [(len(c["image"]), *c["image"][0].shape[-2:]) for c in waiting[:of_block]]
        padding = [_padding(shapes[0], shape) for shape in shapes[1:]]
        best = np.argsort(padding, kind="stable")[: self.batch_size - 1] + 1
        chosen = [0, *sorted(best.tolist())]
        batch = [waiting[i] for i in chosen]
        for i in reversed(chosen):
            del waiting[i]
        return batch


def _generator(seed: int, *key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _as_it_is(clip: Clip) -> Clip:
    return clip


def _padding(one: tuple[int, int, int], other: tuple[int, int, int]) -> int:
    """Padded pixels of a batch of two clips of these (T, h, w)."""
    return int(2 * np.prod(np.maximum(one, other)) - np.prod(one) - np.prod(other))
