"""The endless training batches of a process, which can start at any iteration.

Which clips come when, their frames and their augmentation are a pure function of the seed and of
the place in the stream, not of what was drawn before. So a resumed training sees what an
uninterrupted one would have seen, and the number of a loader's workers changes nothing.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, InitVar, dataclass
from typing import Any

from simplevtr.data.paste import paste_tracks

import numpy as np
import torch.utils.data
from detectron2.data import DatasetFromList
from detectron2.data.build import trivial_batch_collator

Clip = dict[str, Any]

_ORDER, _CLIP = range(2)  # what random numbers are for: the order of an epoch, one clip
_BUFFERED_BATCHES = 4
_BLOCK_BATCHES = 16


@dataclass(eq=False, repr=False)
class ClipStream(torch.utils.data.Dataset):
    """The batches of clips of one of the processes that train together.

    The stream of all processes is one epoch after another, each in a random order. Of P processes
    process r takes the places r, r + P, r + 2P, ...
    """

    records: Sequence[dict[str, Any]]  # videos, see :func:`simplevtr.data.ytvis.load_ytvis_json`
    # (index of a record, anchor frame or None) of everything that an epoch visits.
    items: InitVar[Sequence[tuple[int, int | None]]]
    visits: np.ndarray  # (items,) how often each of them is visited in an epoch, on average
    # Makes a clip of a record with an ``anchor`` and a ``numpy.random.Generator``.
    mapper: Callable[[dict[str, Any], np.random.Generator], Clip]
    _: KW_ONLY
    batch_size: int  # clips of one batch of this process
    grouped: bool  # whether batches have clips of like size (:func:`grouped_by_shape`)
    # What all random numbers follow from, the same in all processes; 0 or more. It may be changed
    # until the stream is iterated.
    seed: int
    workers: int = 0  # processes that load the clips; 0 loads them in this one
    rank: int = 0  # r, the number of this process
    processes: int = 1  # P
    paste: float = 0.0  # share of the clips that tracks of a random record are pasted into
    paste_same_class: bool = False  # whether each clip gets a track of a class that it has
    start: int = 0  # the iteration whose batch comes first when the stream is iterated next
    current: Sequence[Clip] = ()  # the batch that was given last

    def __post_init__(self, items: Sequence[tuple[int, int | None]]) -> None:
        mixed = len({"still" in record for record in self.records}) > 1
        self._with_class = defaultdict(list)  # records, by the classes that they have
        for index, record in enumerate(self.records if self.paste_same_class else ()):
            tracks = itertools.chain(*record["annotations"])
            for label in {track["category_id"] for track in tracks if not track["iscrowd"]}:
                self._with_class[label].append(index)
        self.records = DatasetFromList(self.records, copy=False)  # held once, serialised
        pairs = [(video, -1 if anchor is None else anchor) for video, anchor in items]
        self._items = np.array(pairs, dtype=np.int64)
        self.visits = np.asarray(self.visits, dtype=np.float64)
        # Up to each item, its share of an epoch; None where all records are of one kind.
        sums = np.cumsum(self.visits)  # whose last one is exactly 1 then
        self._shares = sums / sums[-1] if mixed else None

    def __iter__(self) -> Iterator[list[Clip]]:
        """Yield the batches from iteration ``start`` on.

        OSError or ValueError for a frame or mask that cannot be used, also if a worker found it.
        """
        # A group depends on the clips of its block that came before it.
        skipped = self.start % _BLOCK_BATCHES if self.grouped else 0
        clips = self._clips((self.start - skipped) * self.batch_size)
        buffered = self.batch_size * (_BUFFERED_BATCHES if self.grouped else 1)
        batches = grouped_by_shape(clips, self.batch_size, buffered)
        for batch in itertools.islice(batches, skipped, None):
            self.current = batch
            yield batch

    def places(self, first: int) -> Iterator[tuple[int, int]]:
        """The (place in the stream, item) pairs of this process, after its first ``first`` ones."""
        orders = (self._order(epoch).tolist() for epoch in itertools.count())
        places = enumerate(itertools.chain.from_iterable(orders))
        return itertools.islice(places, first * self.processes + self.rank, None, self.processes)

    def _order(self, epoch: int) -> np.ndarray:
        """The items of an epoch; visits that are not whole are rounded up or down at random."""
        rng = _generator(self.seed, _ORDER, epoch)
        whole = np.floor(self.visits)
        repeats = whole + (rng.random(len(whole)) < self.visits - whole)
        return rng.permutation(np.repeat(np.arange(len(whole)), repeats.astype(np.int64)))

    def _clips(self, first: int) -> Iterator[Clip]:
        loader = torch.utils.data.DataLoader(
            self,
            sampler=self.places(first),
            batch_size=None,
            num_workers=self.workers,
            collate_fn=trivial_batch_collator,  # clips as they are
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
        record = {**self.records[video], "anchor": None if anchor < 0 else anchor}
        rng = _generator(self.seed, _CLIP, position)
        try:
            clip = self.mapper(record, rng)
            if self.paste and rng.random() < self.paste:
                clip = paste_tracks(clip, self.mapper(self.records[self._donor(rng)], rng), rng)
            labels = clip["instances"][0].gt_classes if self.paste_same_class else ()
            if len(labels):
                label = int(rng.choice(labels))
                own = self._with_class[label]
                donor = self.mapper(self.records[own[rng.integers(len(own))]], rng)
                alike = (donor["instances"][0].gt_classes == label).nonzero()[:1, 0]
                donor["instances"] = [frame[alike] for frame in donor["instances"]]
                clip = paste_tracks(clip, donor, rng)
            return clip
        except (OSError, ValueError) as error:
            return error  # torch would wrap a worker's in the text of its traceback

    def _donor(self, rng: np.random.Generator) -> int:
        """A record to paste tracks from; among videos stills have their share of an epoch."""
        if self._shares is None:
            return int(rng.integers(len(self.records)))
        return int(self._items[self._shares.searchsorted(rng.random(), side="right"), 0])


def grouped_by_shape(clips: Iterable[Clip], batch_size: int, buffered: int) -> Iterator[list[Clip]]:
    """Batches of clips of like size, so that little is padded; an incomplete last one is dropped.

    Of ``buffered`` clips, ``batch_size`` or more, the oldest leaves together with those that need
    the least padding with it, so that none waits forever and memory is bounded. Blocks of 16
    batches are grouped by themselves, so that no batch depends on clips before its block.
    """
    waiting: list[Clip] = []
    clips = iter(clips)
    for given in itertools.count():
        waiting.extend(itertools.islice(clips, buffered - len(waiting)))
        if len(waiting) < batch_size:
            return
        of_block = (_BLOCK_BATCHES - given % _BLOCK_BATCHES) * batch_size
        shapes = [(len(c["image"]), *c["image"][0].shape[-2:]) for c in waiting[:of_block]]
        padding = [_padding(shapes[0], shape) for shape in shapes[1:]]
        best = np.argsort(padding, kind="stable")[: batch_size - 1] + 1
        chosen = [0, *sorted(best.tolist())]
        yield [waiting[i] for i in chosen]
        waiting = [clip for i, clip in enumerate(waiting) if i not in chosen]


def _generator(seed: int, *key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _padding(one: tuple[int, int, int], other: tuple[int, int, int]) -> int:
    """Padded pixels of a batch of two clips of these (T, h, w)."""
    return int(2 * np.prod(np.maximum(one, other)) - np.prod(one) - np.prod(other))
