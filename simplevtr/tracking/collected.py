"""The result of a whole video: every track's masks, and its final class and score."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from simplevtr.structures import FrameTracks, TrackMasks
from simplevtr.tracking.evidence import TrackEvidence

import torch


class CollectedTracks:
    """Gathers frames until the video is over."""

    def __init__(self, size: tuple[int, int]) -> None:
        """Begin a video whose frames have ``size`` (H, W) in pixels."""
        self.size = size
        self.frames = 0
        self._rles: dict[int, dict[int, dict]] = {}  # by track, then by frame
        self._last: dict[int, tuple[int, float]] = {}  # label and score of each track

    def extend(self, frames: Iterable[FrameTracks]) -> None:
        """Take in the next frames."""
        for frame in frames:
            self.frames += 1
            rows = zip(frame.track_ids, frame.labels, frame.scores, frame.masks, strict=True)
            for track_id, label, score, rle in rows:
                self._rles.setdefault(track_id, {})[frame.index] = rle
                self._last[track_id] = label, score

    def masks(self, track_id: int) -> TrackMasks:
        """The masks of one track."""
        own = self._rles.get(track_id, {})
        return TrackMasks([own.get(t) for t in range(self.frames)], self.size)

    def result(
        self,
        evidence: dict[int, TrackEvidence],
        *,
        looked_at: int,
        tracks_per_video: int,
        mask_scoring: bool,
        score_threshold: float,
    ) -> dict[str, Any]:
        """The result dict of ``SimpleVTR.forward``.

        Args:
            evidence: of every track, by its id.
            looked_at: frames of all windows together, which scores are means over: a track that
                few windows saw has less evidence than one that all did.
            tracks_per_video: 0 for one result a track, its category the most frequent best class
                and its score the mean of the best probabilities (VisTR); N for the N best (track,
                class) pairs by the mean probability.
            mask_scoring: whether scores are multiplied by the masks' confidence.
            score_threshold: what scores less is left out.
        """
        if tracks_per_video > 0 and evidence:
            scores = torch.stack(
                [
                    e.class_scores(mask_scoring=mask_scoring, frames=looked_at)
                    for e in evidence.values()
                ]
            )
            ids = list(evidence)
            best, index = scores.flatten().topk(min(tracks_per_video, scores.numel()))
            found = [
                (ids[i // scores.shape[1]], i % scores.shape[1], score)
                for i, score in zip(index.tolist(), best.tolist(), strict=True)
            ]
        else:
            found = [
                (track_id, e.label(), e.score(mask_scoring=mask_scoring, frames=looked_at))
                for track_id, e in evidence.items()
            ]
            found.sort(key=lambda item: -item[2])
        return self._result([item for item in found if item[2] >= score_threshold])

    def so_far(self) -> dict[str, Any]:
        """The same, with the classes and scores that each track had in its last frame."""
        found = [(track_id, *last) for track_id, last in self._last.items()]
        return self._result(sorted(found, key=lambda item: -item[2]))

    def _result(self, found: list[tuple[int, int, float]]) -> dict[str, Any]:
        masks = {track_id: self.masks(track_id) for track_id, _, _ in found}
        return {
            "image_size": self.size,
            "pred_scores": [score for _, _, score in found],
            "pred_labels": [label for _, label, _ in found],
            "pred_masks": [masks[track_id] for track_id, _, _ in found],
            "pred_ids": [track_id for track_id, _, _ in found],
        }


def frame_tracks(result: dict[str, Any], frames: int) -> Iterator[FrameTracks]:
    """A video's result, a frame at a time, with the final classes and scores.

    Args:
        result: of ``VideoPredictor.predict``.
        frames: of the video, which a result without tracks does not tell.
    """
    columns = ("pred_ids", "pred_labels", "pred_scores", "pred_masks")
    tracks = list(zip(*(result[name] for name in columns), strict=True))
    for index in range(frames):
        seen = [track for track in tracks if track[3].rles[index] is not None]
        yield FrameTracks(
            index=index,
            size=tuple(result["image_size"]),
            track_ids=[track[0] for track in seen],
            labels=[track[1] for track in seen],
            scores=[track[2] for track in seen],
            masks=[track[3].rles[index] for track in seen],
        )
