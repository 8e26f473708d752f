"""The tracks of one video, as its windows come."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from simplevtr.structures import FrameTracks
from simplevtr.tracking.evidence import TrackEvidence
from simplevtr.tracking.linking import TrackingSettings, linked, looks_alike
from simplevtr.tracking.mask_buffer import MaskBuffer
from simplevtr.tracking.window_slots import WindowSlots, mask_overlap

import torch
from torch import Tensor


@dataclass(eq=False)
class _Track:
    """A track that may go on, or has masks that wait for their frames.

    ``embedding`` is a copy on the CPU: a view would keep the whole window's tensor.
    """

    track_id: int
    evidence: TrackEvidence
    embedding: Tensor
    last_window: int
    masks: MaskBuffer = field(default_factory=MaskBuffer)


class VideoTracks:
    """Takes in windows in order and returns frames in order.

    Memory depends on neither the length of the video nor the number of its tracks: one that has
    ended is forgotten with its last frame.
    """

    def __init__(
        self,
        settings: TrackingSettings,
        size: tuple[int, int],
        *,
        on_end: Callable[[int, TrackEvidence], None] | None = None,
    ) -> None:
        """Begin a video whose original frames, and masks, are of ``size`` (H, W).

        ``on_end`` is called with the id and the evidence of every track that has ended.
        """
        self.settings = settings
        self.size = size
        self.frames_predicted = 0  # frames of all windows so far together
        self._on_end = on_end
        self._tracks: list[_Track] = []  # in the order in which they were born
        self._ids = itertools.count(1)
        self._windows = 0
        self._settled = 0  # frames that were returned
        self._seen = 0  # frames that a window has seen

    def add(self, window: WindowSlots, *, start: int, settled: int) -> list[FrameTracks]:
        """Take in the next window, whose first frame is number ``start``.

        Frames before ``settled`` are final after this window, though the last window may see some
        again: those that it makes final are returned, with all their tracks, whatever their scores.
        """
        scoring = self.settings.mask_scoring
        confidence = window.confidence() if scoring else torch.ones(len(window), 2)
        evidence = list(map(TrackEvidence.of, window.probability, confidence))
        if self.settings.duplicate_iou < 1:
            scores = torch.tensor([own.score() for own in evidence])
            kept = window.without_duplicates(scores, self.settings.duplicate_iou)
            window, evidence = window.rows(kept), [evidence[i] for i in kept]
        owner = {slot: track for track, slot in self._links(window, start)}
        embeddings = window.embedding.float().cpu()
        for slot, own in enumerate(evidence):
            track = owner.get(slot)
            if track is not None:
                track.evidence = track.evidence + own
            elif self._windows == 0 or own.score() >= self.settings.birth_score:
                track = _Track(next(self._ids), own, embeddings[slot], self._windows)
                self._tracks.append(track)
            else:
                continue
            track.embedding, track.last_window = embeddings[slot].clone(), self._windows
            # The last window may begin before frames that were returned already.
            known = max(0, self._settled - start)
            track.masks.add(window.masks[slot, known:], start + known)
        self.frames_predicted += window.masks.shape[1]
        self._seen = max(self._seen, start + window.masks.shape[1])
        self._windows += 1
        frames = self._take(settled)
        self._forget([t for t in self._tracks if not self._may_go_on(t) and not t.masks.waiting])
        return frames

    def finish(self) -> list[FrameTracks]:
        """End the video: the frames that were still waiting for a window."""
        frames = self._take(self._seen)
        self._forget(list(self._tracks))
        return frames

    def _forget(self, ended: list[_Track]) -> None:
        for track in ended:
            self._tracks.remove(track)
            if self._on_end is not None:
                self._on_end(track.track_id, track.evidence)

    def _may_go_on(self, track: _Track) -> bool:
        return self._windows - 1 - track.last_window <= self.settings.memory

    def _links(self, window: WindowSlots, start: int) -> list[tuple[_Track, int]]:
        """Pairs of a track and the slot that it goes on with."""
        alive = [track for track in self._tracks if self._may_go_on(track)]
        if not alive or not len(window):
            return []
        first = max(start, self._settled)
        own = window.masks[:, first - start : max(first, self._seen) - start]
        before = torch.stack([t.masks.since(first, own[0]) for t in alive])
        covered = (before > 0).flatten(1).any(1)[:, None] | (own > 0).flatten(1).any(1)
        fresh = torch.tensor([t.last_window == self._windows - 1 for t in alive])
        classes = torch.stack([t.evidence.probability / t.evidence.frames for t in alive])
        tracks = classes, torch.stack([t.embedding for t in alive])
        looks = looks_alike(tracks, (window.probability.mean(1).double(), window.embedding))
        comparable = covered.cpu() & fresh[:, None]
        links = linked(mask_overlap(before, own), comparable, looks, self.settings)
        return [(alive[row], slot) for row, slot in links]

    def _take(self, upto: int) -> list[FrameTracks]:
        """Frames ``_settled`` to ``upto``."""
        rows = []
        for track in self._tracks:
            gap = self.settings.piece_gap
            masks = track.masks.take(self._settled, upto, self.size, piece_gap=gap)
            rows.append((track.track_id, track.evidence.label(), track.evidence.score(), masks))
        first, self._settled = self._settled, max(self._settled, upto)
        return list(FrameTracks.of_video(rows, self.size, upto - first, first))
