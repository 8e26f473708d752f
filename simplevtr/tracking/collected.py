"""The result of a whole video: every track's masks, and its final class and score."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from simplevtr.structures import FrameTracks, TrackMasks
from simplevtr.tracking.evidence import TrackEvidence


class _Found(NamedTuple):
    track_id: int
    label: int
    score: float
    ranking: float


class CollectedTracks:
    """Gathers frames until the video is over."""

    def __init__(
        self, size: tuple[int, int], *, per_video: int = 0, length_power: float = 1.0
    ) -> None:
        """Begin a video whose frames are of ``size`` (H, W).

        With ``per_video`` 0 there is one result per track, with its most frequent best class and
        ``TrackEvidence.score`` (VisTR); with N there are the N (track, class) pairs that rank
        highest, with the scores of ``TrackEvidence.best_classes``. A track ranks by its score
        times the share of the windows' frames that saw it, to ``length_power``.
        """
        self.size = size
        self.frames = 0
        self._per_video = per_video
        self._length_power = length_power
        self._rles: dict[int, dict[int, dict]] = {}  # by track, then by frame
        self._last: dict[int, tuple[int, float]] = {}  # label and score in the last frame
        # By ended track: frames of the windows that saw it, and its (label, score) pairs.
        self._ended: dict[int, tuple[int, list[tuple[int, float]]]] = {}

    def extend(self, frames: Iterable[FrameTracks]) -> None:
        """Take in the next frames."""
        for frame in frames:
            self.frames += 1
            rows = zip(frame.track_ids, frame.labels, frame.scores, frame.masks, strict=True)
            for track_id, label, score, rle in rows:
                self._rles.setdefault(track_id, {})[frame.index] = rle
                self._last[track_id] = label, score

    def end(self, track_id: int, evidence: TrackEvidence) -> None:
        """Take in the classes and scores of a track that has ended."""
        self._ended[track_id] = evidence.frames, evidence.best_classes(self._per_video)

    def result(self, *, frames_predicted: int, score_threshold: float) -> dict[str, Any]:
        """The result dict of ``SimpleVTR.forward``, of the tracks that have ended.

        A track without any mask is left out, as in VisTR: it could only be wrong; so is one that
        scores less than the threshold. ``frames_predicted`` are the frames of all windows together.
        """
        found = [
            _Found(track_id, label, score, score * (seen / frames_predicted) ** self._length_power)
            for track_id, (seen, classes) in self._ended.items()
            if track_id in self._rles
            for label, score in classes
        ]
        if self._per_video:
            found = sorted(found, key=lambda item: -item.ranking)[: self._per_video]
        return self._result([item for item in found if item.score >= score_threshold])

    def so_far(self) -> dict[str, Any]:
        """The same, with the classes and scores that each track had in its last frame."""
        return self._result([_Found(key, *last, last[1]) for key, last in self._last.items()])

    def _result(self, found: list[_Found]) -> dict[str, Any]:
        found = sorted(found, key=lambda item: -item.score)
        masks = {}
        for track_id in {item.track_id for item in found}:
            own = self._rles[track_id]
            masks[track_id] = TrackMasks([own.get(t) for t in range(self.frames)], self.size)
        return {
            "image_size": self.size,
            "num_frames": self.frames,
            "pred_scores": [item.score for item in found],
            "pred_labels": [item.label for item in found],
            "pred_masks": [masks[item.track_id] for item in found],
            "pred_ids": [item.track_id for item in found],
            "pred_ranking": [item.ranking for item in found],
        }


def frame_tracks(result: dict[str, Any]) -> Iterator[FrameTracks]:
    """A video's result, with its final classes and scores, a frame at a time."""
    masks = (track.rles for track in result["pred_masks"])
    columns = (result[name] for name in ("pred_ids", "pred_labels", "pred_scores"))
    tracks = zip(*columns, masks, strict=True)
    return FrameTracks.of_video(tracks, result["image_size"], result["num_frames"])
