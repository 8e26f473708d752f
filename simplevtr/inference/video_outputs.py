"""What is written of one video: results.json, drawn frames and MOTS pictures."""

import zlib
from contextlib import ExitStack
from dataclasses import KW_ONLY, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

from simplevtr.formats.files import check_output
from simplevtr.formats.images import is_image
from simplevtr.inference.video_predictor import Frames, VideoPredictor
from simplevtr.structures import FrameTracks
from simplevtr.tracking import frame_tracks
from simplevtr.video_io import FrameSink, FrameSource, MotsPngSink, open_sink
from simplevtr.visualization import TrackPainter

import numpy as np

_TAIL = 2**16  # bytes of a file that tell it from another
DEFAULT_FPS = Fraction(10)  # of image sequences


@dataclass(frozen=True)
class Targets:
    """Where results go; None leaves one out."""

    video: str | None = None  # a video file, or a folder of drawn frames
    masks: str | None = None  # a folder of MOTS pictures
    results: str | None = None  # a results.json
    overwrite: bool = False  # whether existing ones are replaced

    def check(self, source: FrameSource) -> None:
        """Refuse what cannot be written, or what would replace the input, before any work.

        ValueError: nothing is to be written, a suffix is not allowed, a target is the input or
        another target, or the video is below the folder of the masks, which must be new;
        FileExistsError: a target exists and may not be replaced.
        """
        suffixes = {"video": (".mp4", ".gif", ""), "masks": ("",), "results": (".json",)}
        wanted = {name: getattr(self, name) for name in suffixes if getattr(self, name)}
        if not wanted:
            raise ValueError("nothing is to be written; give --output, --masks or --results")
        # A folder of pictures is an input as well.
        files = (*source.files, *(file.resolve() for file in source.files))
        folders = {file.parent for file in files if is_image(file)}
        found: dict[Path, str] = {}
        for name, path in wanted.items():
            target = check_output(path, overwrite=self.overwrite, suffixes=suffixes[name])
            if target.exists() and any(map(target.samefile, (*source.files, *folders))):
                raise ValueError(f"{target}: this is the input; write the result elsewhere")
            other = found.setdefault(target.resolve(), name)
            if other != name:
                raise ValueError(f"{path}: both the {other} and the {name} are to be written there")
        place = {name: target for target, name in found.items()}
        if "video" in place and place.get("masks") in place["video"].parents:
            raise ValueError(f"{self.video}: is below the folder of the masks; write it elsewhere")


@dataclass(eq=False)
class DrawnOutputs:
    """The drawn video and the MOTS pictures, a frame at a time; use it as a context manager.

        with outputs:
            outputs.draw(predictor.predict(source), source)

    A file is read twice, for its tracks and for drawing them. So no full-size frame is kept, and
    the classes and scores that are drawn are the final ones.
    Nothing is opened before it is entered. ValueError at the end: the source was overwritten while
    it was read; a recording may have grown.
    """

    targets: Targets  # checked
    source: FrameSource  # has the times, names and sound
    painter: TrackPainter  # its threshold and classes hold for the masks as well
    _: KW_ONLY
    fps: Fraction | None = None  # instead of the source's times; the sound is left out then
    sound: bool = True  # whether the input's sound is kept
    # Ids of the tracks that were in what was written so far.
    shown: set[int] = field(default_factory=set, init=False)
    _video: FrameSink | None = field(default=None, init=False)
    _masks: MotsPngSink | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        """Open the outputs; see ``open_sink`` for errors."""
        targets, source = self.targets, self.source
        stats = {path: path.stat() for path in source.files}
        self._found = {path: (s, checksum(path, s.st_size // 2)) for path, s in stats.items()}
        with ExitStack() as stack:
            if targets.video:
                video = open_sink(
                    targets.video,
                    self.fps or source.fps or DEFAULT_FPS,
                    self.painter.output_size(source.size),
                    names=source.names,
                    sample_aspect_ratio=source.sample_aspect_ratio,
                    audio_from=source.sound_file if self.sound and self.fps is None else None,
                    overwrite=targets.overwrite,
                )
                self._video = stack.enter_context(video)
            if targets.masks:
                masks = MotsPngSink(targets.masks, source.size, overwrite=targets.overwrite)
                self._masks = stack.enter_context(masks)
            stack.push(self._refuse_changes)  # before outputs get their names
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *details: Any) -> bool | None:
        return self._stack.__exit__(*details)

    def _refuse_changes(self, kind: type[BaseException] | None, *_: Any) -> None:
        for path, (before, middle) in self._found.items() if kind is None else ():
            now = path.stat() if path.exists() else before
            same = (now.st_size, now.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
            grown = now.st_size > before.st_size and checksum(path, before.st_size // 2) == middle
            if not (same or grown):
                raise ValueError(f"{path}: it was changed while it was read; run this again")

    @property
    def wanted(self) -> bool:
        """Whether anything is made of frames."""
        return bool(self.targets.video or self.targets.masks)

    def write(self, frame: np.ndarray, tracks: FrameTracks) -> None:
        """Append one frame."""
        tracks = tracks.rows(self.painter.wanted(tracks.labels, tracks.scores))
        self.shown.update(tracks.track_ids)
        if self._video is not None:
            timing = self.source.timing(tracks.index) if self.fps is None else None
            self._video.write(self.painter.draw_frame(frame, tracks), timing)
        if self._masks is not None:
            self._masks.write(tracks)

    def draw(self, result: dict[str, Any], frames: Frames) -> None:
        """Append ``frames``, those that ``result`` was predicted of, with their tracks.

        ValueError: the video has fewer frames or another size than it had.
        """
        every = frame_tracks(result)
        for frame, tracks in zip(frames, every, strict=False):
            self.write(frame, tracks)
        if (missing := next(every, None)) is not None:
            found = f"it gave {result['num_frames']} frames before and {missing.index} now"
            raise ValueError(f"{self.source.path}: {found}; was it changed meanwhile?")


def checksum(path: Path, end: int) -> int:
    """That of the bytes before byte ``end``, few enough to be read in no time."""
    start = max(end - _TAIL, 0)
    with path.open("rb") as file:
        file.seek(start)
        return zlib.crc32(file.read(end - start))


def wanted_in_result(result: dict[str, Any], painter: TrackPainter) -> dict[str, Any]:
    """The result of a predictor with only the tracks that ``painter`` draws."""
    kept = painter.wanted(result["pred_labels"], result["pred_scores"])
    columns = [name for name in result if name.startswith("pred_")]
    return result | {name: [result[name][i] for i in kept] for name in columns}


def write_results(predictor: VideoPredictor, outputs: DrawnOutputs, result: dict[str, Any]) -> int:
    """Write results.json if ``outputs`` name one; returns the number of tracks that are wanted."""
    result, targets = wanted_in_result(result, outputs.painter), outputs.targets
    if targets.results:
        predictor.write_results(targets.results, result, overwrite=targets.overwrite)
    return len(result["pred_scores"])
