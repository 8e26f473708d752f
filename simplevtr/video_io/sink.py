"""Outputs that are written frame by frame; among them folders of images and of MOTS pictures.

Everything is written under a temporary name next to the target and renamed at the end, so that the
final name never holds half a result. An interrupted run keeps the temporary file and logs
where it is.
"""

import itertools
import logging
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from simplevtr.formats.files import NAME_ROOM, check_output, refuse_existing
from simplevtr.formats.images import image_header
from simplevtr.formats.mots import NUMBERS, check_classes
from simplevtr.structures import FrameTracks
from simplevtr.video_io.frame_source import FrameTiming

import av
import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

logger = logging.getLogger(__name__)


class Sink:
    """Receives one item per frame, in a file or a folder; use it as a context manager.

    ``path`` exists only after the context has ended without an exception; where it is a folder that
    exists, files of other names in it stay. ``size`` is (H, W) of every frame in pixels; ``count``
    frames have been written so far.
    """

    is_folder = False  # whether the output is one

    def __init__(self, path: Path, size: tuple[int, int], *, overwrite: bool):
        self.path, self.size, self.count, self._overwrite = path, tuple(size), 0, overwrite
        whole = Path(os.path.realpath(path))  # "." has no name, and a link stays one
        whole.parent.mkdir(parents=True, exist_ok=True)
        if whole.is_dir():  # another disk may begin there, to which nothing can be renamed
            whole /= whole.name
        for number in itertools.count():  # an earlier run may have left its own
            mark = f".partial-{number}" if number else ".partial"
            self._partial = whole.with_name(f"{whole.stem[:NAME_ROOM]}{mark}{whole.suffix}")
            with suppress(FileExistsError):  # made at once: another run may write there meanwhile
                if self.is_folder:
                    self._partial.mkdir()
                else:
                    self._partial.touch(exist_ok=False)
                break

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> None:
        try:
            self._close()
        except (av.FFmpegError, OSError) as error:
            if kind is None and self.count:
                raise
            logger.warning("%s: could not be closed (%s)", self._partial, error)
        if self.count == 0:
            if self.is_folder:
                shutil.rmtree(self._partial)
            else:
                self._partial.unlink(missing_ok=True)
            if kind is None:
                raise ValueError(f"{self.path}: there are no frames to write")
        elif kind is None:
            self._publish()
        else:
            found = self.path, self.count, self._partial
            logger.warning("%s: not complete; the %d frames done are kept in %s", *found)

    def _close(self) -> None:
        """Complete what is under the temporary name."""

    def _publish(self) -> None:
        into = self.is_folder and self.path.is_dir()
        parts = sorted(self._partial.iterdir()) if into else [self._partial]
        targets = [self.path / part.name for part in parts] if into else [self.path]
        try:
            for target in targets:  # it may have appeared meanwhile
                refuse_existing(target, overwrite=self._overwrite)
            for part, target in zip(parts, targets, strict=True):
                os.replace(part, target if into else os.path.realpath(target))
        except OSError:
            logger.warning("the finished result is kept in %s", self._partial)
            raise
        if into:
            self._partial.rmdir()
            if others := {*os.listdir(self.path)} - {part.name for part in parts}:
                logger.warning("%s: other files stay, such as %s", self.path, min(others))


class FrameSink(Sink):
    """Receives RGB frames one by one."""

    def write(self, frame: np.ndarray, timing: FrameTiming | None = None) -> None:
        """Append one (H, W, 3) uint8 RGB frame; ValueError if it has another shape or dtype.

        ``timing`` is when it is shown (``FrameSource.timing``); None: right after the one before,
        for as long as the sink's frame rate implies. Folders have no times.
        """
        if frame.shape != (*self.size, 3) or frame.dtype != np.uint8:
            given = f"a frame of shape {frame.shape} and type {frame.dtype} was given"
            raise ValueError(f"{self.path}: {given}, expected {(*self.size, 3)} and uint8")
        self._append(np.ascontiguousarray(frame), timing)
        self.count += 1

    def _append(self, frame: np.ndarray, timing: FrameTiming | None) -> None:
        raise NotImplementedError


class FolderSink(FrameSink):
    """A folder with one image per frame, named by ``names`` or 00000.png, 00001.png, ..."""

    is_folder = True

    def __init__(
        self, path: Path, size: tuple[int, int], names: Sequence[str] | None, *, overwrite: bool
    ):
        super().__init__(path, size, overwrite=overwrite)
        self._names = names

    def _append(self, frame: np.ndarray, timing: FrameTiming | None) -> None:
        name = f"{self.count:05d}.png" if self._names is None else self._names[self.count]
        Image.fromarray(frame).save(self._partial / name, quality=95)  # quality: jpg and webp


class TrackPngSink(Sink):
    """A folder with one picture per frame, in which each track has a value and 0 is background.

    Pictures are named by ``names``, or 000000.png, 000001.png, ... Where masks overlap, the track
    of the higher score owns the pixel (of equal scores the older one); ``overlaps`` counts frames
    with such pixels.

    Raises:
        ValueError: the path has a suffix or is a file, or another picture, such as a frame, has the
            name of one that is to be written.
        FileExistsError: the folder has files and ``overwrite`` is False.
    """

    is_folder = True
    MODES: tuple[str, ...] = ("I;16", "I")  # that Pillow reads such pictures in

    def __init__(
        self,
        path: str | os.PathLike,
        size: tuple[int, int],
        *,
        names: Sequence[str] | None = None,
        overwrite: bool = False,
    ):
        path = check_output(path, overwrite=overwrite, suffixes=("",))
        for file in path.glob("[0-9]*.png") if names is None else map(path.joinpath, names):
            if file.exists() and image_header(file)[1] not in self.MODES:
                raise ValueError(f"{file}: is a picture, but not of tracks; choose another folder")
        super().__init__(path, size, overwrite=overwrite)
        self._names = names
        self._values: dict[int, int] = {}  # by track id, from its first frame on
        self.overlaps = 0

    def write(self, tracks: FrameTracks) -> None:
        """Append one frame; frames come in order, none left out.

        ValueError: the frame has another size or is not the next one, or a track has no value.
        """
        name, size = f"{self.path}: frame {tracks.index}", tuple(tracks.size)
        if size != self.size:
            raise ValueError(f"{name} has size {size}, expected {self.size}")
        if tracks.index != self.count:
            raise ValueError(f"{name} came, expected {self.count}")
        picture = np.zeros(self.size, dtype=np.uint16)
        for track_id, label in zip(tracks.track_ids, tracks.labels, strict=True):
            if track_id not in self._values:
                self._values[track_id] = self._value(track_id, label)
        rows = zip(tracks.scores, tracks.track_ids, tracks.masks, strict=True)
        # The last one painted owns the pixel.
        for _, track_id, mask in sorted(rows, key=lambda row: (row[0], -row[1])):
            picture[coco_mask.decode(mask).astype(bool)] = self._values[track_id]
        pixels = sum(int(coco_mask.area(mask)) for mask in tracks.masks)
        self.overlaps += pixels > int(np.count_nonzero(picture))
        file = f"{self.count:06d}.png" if self._names is None else self._names[self.count]
        self._image(picture).save(self._partial / file)
        self.count += 1

    def _value(self, track_id: int, label: int) -> int:
        """The value of a new track, from 1 to 65535."""
        raise NotImplementedError

    def _image(self, picture: np.ndarray) -> Image.Image:
        return Image.fromarray(picture)


class DavisPngSink(TrackPngSink):
    """DAVIS's pictures: each pixel is the id of a track, with colours for it in a palette.

    ValueError if an id is not from 1 to 254; 255 is DAVIS's value for void.
    """

    MODES, MOST = ("P",), 254

    def _value(self, track_id: int, label: int) -> int:
        if not 0 < track_id <= self.MOST:
            most = f"a picture has tracks from 1 to {self.MOST}"
            raise ValueError(f"{self.path}: track {track_id}; {most}")
        return track_id

    def _image(self, picture: np.ndarray) -> Image.Image:
        image = Image.fromarray(picture.astype(np.uint8))
        # The palette of PASCAL VOC, which DAVIS has: of each index the bits 0, 3 and 6 are the
        # highest two and further bits of red, 1, 4 and 7 of green, 2 and 5 of blue.
        bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
        colours = [bits[:, k::3] @ (128 >> np.arange(bits[:, k::3].shape[1])) for k in range(3)]
        image.putpalette(np.stack(colours, axis=1).astype(np.uint8).tobytes())
        return image


class MotsPngSink(TrackPngSink):
    """MOTS's pictures: each pixel is 1000 * class id + instance number, in 16 bits.

    The class id is the label + 1. Readers take the whole value for a track's identity, so a track
    keeps the value of its first frame, even if its label changes later. The instance number is the
    track's id up to 999, and beyond that a number that is free in its class, counted down from 999.
    ``write`` raises ValueError if a label is beyond what 16 bits hold (0 to 64), or a class has
    more than 999 tracks.
    """

    def _value(self, track_id: int, label: int) -> int:
        check_classes(f"{self.path}: track {track_id}", (label,))
        first = (label + 1) * NUMBERS
        # 65 is the last class, and 65535 the last value.
        free = {*range(first + 1, min(first + NUMBERS, 2**16))} - {*self._values.values()}
        if not free:
            found = f"label {label} has more than {NUMBERS - 1} tracks (track {track_id})"
            raise ValueError(f"{self.path}: {found}, for which MOTS has no numbers")
        own = first + track_id
        return own if own in free else max(free)
