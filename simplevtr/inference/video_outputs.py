"""What is written of one video: drawn frames and MOTS pictures, as frames become final."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from simplevtr.structures import FrameTracks
from simplevtr.video_io import FrameSource, MotsPngSink, check_output, open_sink
from simplevtr.visualization import TrackPainter

import numpy as np

DEFAULT_FPS = Fraction(10)  # of image sequences


@dataclass(frozen=True)
class Targets:
    """Where results go; None leaves one out.

    Attributes:
        video: a video file, or a folder of drawn frames.
        masks: a folder of MOTS pictures.
        results: a results.json.
        overwrite: whether existing ones are replaced.
    """

    video: str | None = None
    masks: str | None = None
    results: str | None = None
    overwrite: bool = False

    def check(self, source: FrameSource) -> None:
        """Refuse what cannot be written, or what would replace the input, before any work.

        Raises:
            ValueError: nothing is to be written, a suffix is not allowed, or a target is the input.
            FileExistsError: a target exists and may not be replaced.
        """
        suffixes = {"video": (".mp4", ".gif", ""), "masks": ("",), "results": (".json",)}
        wanted = {name: getattr(self, name) for name in suffixes if getattr(self, name)}
        if not wanted:
            raise ValueError("nothing is to be written; give --output, --masks or --results")
        for name, path in wanted.items():
            target = check_output(path, overwrite=self.overwrite, suffixes=suffixes[name])
            _refuse_own_input(source, target)


class DrawnOutputs:
    """The drawn video and the MOTS pictures, a frame at a time; use it as a context manager."""

    def __init__(
        self,
        targets: Targets,
        source: FrameSource,
        painter: TrackPainter,
        *,
        fps: Fraction | None = None,
        sound: bool = True,
    ) -> None:
        """Open what ``targets`` names.

        Args:
            targets: checked.
            source: gives times, names and sound.
            painter: draws the video's frames; its threshold holds for the masks as well.
            fps: instead of the source's times; the sound is left out then.
            sound: whether the input's sound is kept.
        """
        self.painter = painter
        self._source, self._own_times = source, fps is None
        self._stack = ExitStack()
        self.video = self.masks = None
        if targets.video:
            self.video = open_sink(
                targets.video,
                fps or source.fps or DEFAULT_FPS,
                painter.output_size(source.size),
                names=source.names,
                sample_aspect_ratio=source.sample_aspect_ratio,
                audio_from=source.sound if sound and self._own_times else None,
                overwrite=targets.overwrite,
            )
        if targets.masks:
            self.masks = MotsPngSink(
                targets.masks,
                source.size,
                min_score=painter.min_score,
                overwrite=targets.overwrite,
            )

    def __enter__(self) -> DrawnOutputs:
        for sink in (self.video, self.masks):
            if sink is not None:
                self._stack.enter_context(sink)
        return self

    def __exit__(self, *details: object) -> bool | None:
        return self._stack.__exit__(*details)

    def write(self, frame: np.ndarray, tracks: FrameTracks) -> None:
        """Append one frame."""
        if self.video is not None:
            timing = self._source.timing(tracks.index) if self._own_times else None
            self.video.write(self.painter.draw_frame(frame, tracks), timing)
        if self.masks is not None:
            self.masks.write(tracks)


def shown_tracks(scores: Sequence[float], painter: TrackPainter) -> int:
    """How many tracks of these scores are drawn."""
    return sum(score >= painter.min_score for score in scores)


def _refuse_own_input(source: FrameSource, target: Path) -> None:
    taken = [*source.files, *({file.parent for file in source.files} if source.fps is None else ())]
    if target.exists() and any(target.samefile(path) for path in taken):
        raise ValueError(f"{target}: this is the input; write the result elsewhere")
