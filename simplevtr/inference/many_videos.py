"""Many videos, one folder of results for each: what is written, what is there already, and how.

    OUTPUT/settings.json                the model and the settings that all results are made with
    OUTPUT/summary.csv                  one row per video of the last run
    OUTPUT/some/video.mp4/results.json  and overlay.mp4, mots/, if they are wanted
    OUTPUT/some/video.mp4/video.json    written last: the results are whole

What is not finished lies in OUTPUT/.partial.
"""

import csv
import hashlib
import io
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from simplevtr import __version__
from simplevtr.config_file import flat
from simplevtr.formats.files import RECORD_NAME, RESULTS_NAME, read_json, write_bytes, write_json
from simplevtr.formats.images import is_image
from simplevtr.inference.video_outputs import DrawnOutputs, Targets, checksum, write_results
from simplevtr.inference.video_predictor import VideoPredictor, check_weights, model_classes
from simplevtr.run_config import setup_cfg
from simplevtr.terminal import USER_ERRORS, error_text, one_line
from simplevtr.video_io import NamedVideo, open_source
from simplevtr.visualization import TrackPainter

import av
from detectron2.config import CfgNode

_SETTINGS, _SUMMARY, _PARTIAL = "settings.json", "summary.csv", ".partial"
_OWN = (_SETTINGS, _SUMMARY, _PARTIAL)  # in the output folder
_OVERLAY, _MOTS = "overlay.mp4", "mots"
_OF_VIDEO = (RESULTS_NAME, _OVERLAY, _MOTS, RECORD_NAME)
# Keys that tracks depend on, but for those that say where things are or how they are scored.
_GROUPS = ("MODEL.", "INPUT.", "TEST.", "DATASETS.", "SOLVER.AMP.DTYPE")
_OTHERS = (
    "MODEL.WEIGHTS", "MODEL.DEVICE", "TEST.OVERWRITE", "TEST.EVAL_PERIOD", "TEST.AREA_LIMITS",
    "TEST.EXPECTED_RESULTS",
)  # fmt: skip
_EXPECTED: tuple[type[Exception], ...] = (*USER_ERRORS, av.FFmpegError)  # need no traceback


class Outcome(NamedTuple):
    """What became of one video: a row of the summary."""

    video: str  # its name
    state: str  # "done", "skipped" (done before), "failed" or "not reached"
    frames: int = 0
    seconds: float = 0.0
    tracks: int = 0
    reason: str = ""  # of a failure, or what is damaged, on one line


def settings_of(cfg: CfgNode) -> dict[str, str]:
    """What results depend on: this package, the content of MODEL.WEIGHTS, classes, config keys."""
    with open(check_weights(cfg), "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    keys = {key: str(value) for key, value in flat(cfg).items() if key.startswith(_GROUPS)}
    about = {"SHA-256 of MODEL.WEIGHTS": digest, "classes": str(model_classes(cfg))}
    return {"simplevtr": __version__} | about | {k: keys[k] for k in keys if k not in _OTHERS}


@dataclass(frozen=True)
class SegmentTask:
    """What is done with every video, as other processes and machines need to know it."""

    config_file: str
    opts: tuple[str, ...]  # of ``setup_cfg``
    output: Path  # absolute, as all paths
    settings: Mapping[str, str]  # ``settings_of`` the config
    overlay: bool = False  # whether the tracks are drawn too
    mots: bool = False  # whether MOTS pictures are written

    def check(self, videos: Sequence[NamedVideo]) -> None:
        """Refuse an output folder that holds anything but results of these settings.

        ValueError: the settings differ, or a video's results would lie inside those of another;
        FileExistsError: the folder is not empty and not of this kind.
        """
        path, output = self.output / _SETTINGS, self.output
        if path.is_file():
            before = read_json(path)
            if not isinstance(before, dict):
                before = {}
            for key in [*self.settings, *before]:
                old, new = before.get(key), self.settings.get(key)
                if old != new:
                    raise ValueError(
                        f"{output} has results of other settings: {key} was {old!s:.80}, now it is "
                        f"{new!s:.80}; choose another --output"
                    )
        elif output.is_file() or any(output.glob("[!.]*")):
            found = f"{output} exists and was not made by this command (it has no {_SETTINGS})"
            raise FileExistsError(f"{found}; choose another --output")
        # Only nested folders of frames can get here.
        taken = {PurePosixPath(video.name, name) for video in videos for name in _OF_VIDEO}
        for video in videos:
            place = PurePosixPath(video.name)
            if place.parts[0] in _OWN:
                raise ValueError(f"{video.path}: results cannot be called {video.name}; rename it")
            if not taken.isdisjoint((place, *place.parents)):
                raise ValueError(
                    f"{video.path}: its results would lie in those of the folder of frames around "
                    "it; give it an --output of its own"
                )

    def earlier(self, video: NamedVideo, state: str = "skipped") -> Outcome | None:
        """The outcome of a video whose results are there, None if one of them is missing.

        A failure if they are of other files than those that the video has now, or nobody knows.
        """
        folder = self.output / video.name
        if not (folder / RECORD_NAME).exists():
            return None
        try:
            record = read_json(folder / RECORD_NAME)
        except ValueError:
            record = None
        if not isinstance(record, dict) or record.get("files") != _fingerprint(video):
            what = "has results of another version of it; delete that folder, or choose another"
            return Outcome(video.name, "failed", reason=f"{folder} {what} --output")
        written = record.get("bytes", {})
        if any(written.get(name) != _bytes_of(folder / name) for name in self._wanted()):
            return None  # deleted, cut off, or not made by that run
        return Outcome(video.name, state, *(record[name] for name in Outcome._fields[2:]))

    def _wanted(self) -> list[str]:
        return [RESULTS_NAME, *[_OVERLAY] * self.overlay, *[_MOTS] * self.mots]

    def load(self, *opts: str) -> Callable[[NamedVideo], Outcome]:
        """Build the model, with further config ``opts``; returns what segments one video.

        That returns failures and raises nothing. Errors of ``load`` are ``VideoPredictor``'s.
        """
        cfg = setup_cfg(self.config_file, [*self.opts, *opts])
        predictor = VideoPredictor(cfg)
        if settings_of(cfg) != self.settings:
            raise ValueError(f"{cfg.MODEL.WEIGHTS} or the config was changed during this run")
        painter = TrackPainter(predictor.class_names, min_score=cfg.TEST.SCORE_THRESHOLD)
        if not (self.output / _SETTINGS).exists():
            write_json(self.output / _SETTINGS, self.settings, overwrite=True, indent=2)

        def segment(video: NamedVideo) -> Outcome:
            try:
                return self._segment(predictor, painter, video)
            except _EXPECTED as error:
                reason = error_text(error).removeprefix(f"{video.path}: ")
            except Exception as error:  # noqa: BLE001 - whatever it is, other videos go on
                reason = one_line(f"{type(error).__name__}: {error}")
            return Outcome(video.name, "failed", reason=reason)

        return segment

    def _segment(
        self, predictor: VideoPredictor, painter: TrackPainter, video: NamedVideo
    ) -> Outcome:
        begin = time.perf_counter()
        fingerprint = _fingerprint(video)  # before they are read
        folder, partial = self.output / video.name, self.output / _PARTIAL
        partial.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=partial) as place:
            source = open_source(video.remote.copy_to(place) if video.remote else video.path)
            paths = {name: os.path.join(place, name) for name in self._wanted()}
            targets = Targets(paths.get(_OVERLAY), paths.get(_MOTS), paths[RESULTS_NAME])
            with DrawnOutputs(targets, source, painter) as outputs:
                result = predictor.predict(source)
                tracks = write_results(predictor, outputs, result)
                if outputs.wanted:
                    outputs.draw(result, source)
            if _fingerprint(video) != fingerprint:
                raise ValueError("it was changed while it was read; run this again")
            folder.mkdir(parents=True, exist_ok=True)
            # Without a record, nothing there is known to belong to this video.
            for name in paths if (folder / RECORD_NAME).exists() else _OF_VIDEO:
                old = folder / name
                shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)
            for name, path in paths.items():
                os.replace(path, folder / name)
        seconds = round(time.perf_counter() - begin, 3)
        outcome = Outcome(video.name, "done", result["num_frames"], seconds, tracks, source.damage)
        written = {name: _bytes_of(folder / name) for name in paths}
        record = {"files": fingerprint, "bytes": written, **outcome._asdict()}
        write_json(folder / RECORD_NAME, record, overwrite=True)
        return outcome

    def finish(self, outcomes: Iterable[Outcome]) -> Path | None:
        """Remove what is not whole and write the summary, if a model was ever loaded: its path."""
        shutil.rmtree(self.output / _PARTIAL, ignore_errors=True)
        if not (self.output / _SETTINGS).exists():
            return None
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([Outcome._fields, *outcomes])
        content = text.getvalue().encode("utf-8", "surrogateescape")
        write_bytes(self.output / _SUMMARY, content, overwrite=True)
        return self.output / _SUMMARY


def _bytes_of(path: Path) -> list[int]:
    """The number of files that an output has, one or those in a folder, and of their bytes."""
    files = path.iterdir() if path.is_dir() else [path]
    sizes = [file.stat().st_size for file in files if file.is_file()]
    return [len(sizes), sum(sizes)]


def _fingerprint(video: NamedVideo) -> list:
    """Number, bytes and checksums of a video's files, which tell it from others.

    The first is of names, sizes and times, the second of the end of the middle one: unpacked
    archives have times that are all alike.
    A file that is not there, at the end of a link, has none of these; a remote one its version.
    """
    if video.remote:
        return video.remote.version()
    path = video.path
    files = filter(is_image, path.iterdir()) if path.is_dir() else [path]
    found = {path: path.stat() for path in sorted(files) if path.is_file()}
    about = [(path.name, stat.st_size, stat.st_mtime_ns) for path, stat in found.items()]
    size = sum(stat.st_size for stat in found.values())
    middle = [*found][len(found) // 2] if found else None
    check = checksum(middle, found[middle].st_size) if middle else 0
    return [len(found), size, zlib.crc32(repr(about).encode()), check]
