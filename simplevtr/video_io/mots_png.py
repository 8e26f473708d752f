"""Instance masks as pictures: one 16-bit PNG per frame, as the MOTS benchmark writes them."""

from __future__ import annotations

import os

from simplevtr.formats.files import check_output
from simplevtr.formats.mots import MOST_CLASSES, NUMBERS
from simplevtr.structures import FrameTracks
from simplevtr.video_io.sink import Sink

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask


class MotsPngSink(Sink):
    """A folder of 000000.png, 000001.png, ...: each pixel is 1000 * class id + instance number.

    The class id is the label + 1, and 0 is background. Where masks overlap, the track of the
    higher score owns the pixel (of equal scores the older one). Readers take the whole value for
    a track's identity, so a track keeps the value of its first frame, even if its label changes
    later. The instance number is the track's id up to 999, and beyond that a number that is free
    in its class, counted down from 999.
    """

    def __init__(self, path: str | os.PathLike, size: tuple[int, int], *, overwrite: bool = False):
        """Prepare a folder.

        Args:
            path: a folder that does not exist or is empty.
            size: (H, W) of the frames in pixels.
            overwrite: whether a folder with files may be written to; files of other names stay.

        Raises:
            ValueError: the path has a suffix or is a file.
            FileExistsError: the folder has files and ``overwrite`` is False.
        """
        path = check_output(path, overwrite=overwrite, suffixes=("",))
        super().__init__(path, size, overwrite=overwrite, folder=True)
        self._values: dict[int, int] = {}  # by track id

    def write(self, tracks: FrameTracks) -> None:
        """Append one frame; frames come in order, none left out.

        Raises:
            ValueError: the frame has another size or is not the next one, a label is beyond what
                16 bits hold (0 to 64), or a class has more than 999 tracks.
        """
        name, size = f"{self.path}: frame {tracks.index}", tuple(tracks.size)
        if size != self.size:
            raise ValueError(f"{name} has size {size}, expected {self.size}")
        if tracks.index != self.count:
            raise ValueError(f"{name} came, expected {self.count}")
        picture = np.zeros(self.size, dtype=np.uint16)
        values = list(map(self._value, tracks.track_ids, tracks.labels))
        rows = zip(tracks.scores, tracks.track_ids, values, tracks.masks, strict=True)
        # The last one painted owns the pixel.
        for _, _, value, mask in sorted(rows, key=lambda row: (row[0], -row[1])):
            picture[coco_mask.decode(mask).astype(bool)] = value
        Image.fromarray(picture).save(self._partial / f"{self.count:06d}.png")
        self.count += 1

    def _value(self, track_id: int, label: int) -> int:
        if track_id not in self._values:
            self._values[track_id] = self._free_value(track_id, label)
        return self._values[track_id]

    def _free_value(self, track_id: int, label: int) -> int:
        if not 0 <= label < MOST_CLASSES:
            raise ValueError(
                f"{self.path}: track {track_id} has label {label}; a 16-bit picture holds labels "
                f"from 0 to {MOST_CLASSES - 1}"
            )
        first = (label + 1) * NUMBERS
        taken = set(self._values.values())
        for number in (track_id, *range(NUMBERS - 1, 0, -1)):
            # 65 is the last class, and 65535 the last value.
            if 0 < number < NUMBERS and first + number not in taken and first + number < 2**16:
                return first + number
        raise ValueError(
            f"{self.path}: label {label} has more than {NUMBERS - 1} tracks (track {track_id}), "
            "for which this format has no numbers"
        )
