"""Results in YouTube-VIS format: reading with every check up front, and writing.

A result file is a list with an entry a predicted track: ``video_id``, ``category_id`` (the
dataset's own id), ``score``, and ``segmentations``, one compressed RLE or null a frame.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simplevtr.formats import checks
from simplevtr.formats.files import RESULTS_NAME, read_json, refuse_existing, write_bytes
from simplevtr.formats.film_strips import FilmStrip
from simplevtr.formats.ytvis import GroundTruth, strips_by_video

SUBMISSION_NAME = "submission.zip"
_KEYS = ("video_id", "category_id", "score", "segmentations")


@dataclass(frozen=True, slots=True)
class PredictedTrack:
    """An entry of a result file with decoded masks.

    Attributes:
        video_id: of a video of the annotation file.
        category_id: of a category of the annotation file.
        score: in [0, 1].
        strip: its masks.
    """

    video_id: int
    category_id: int
    score: float
    strip: FilmStrip


def load_results(path: str | os.PathLike, truth: GroundTruth) -> list[PredictedTrack]:
    """Read a result file and check it against the ground truth's videos and categories.

    Args:
        path: a ``.json`` or ``.json.gz`` file, or a ``.zip`` that holds ``results.json``.
        truth: what ``load_ground_truth`` returned; it needs no annotations.

    Returns:
        The file's entries, in its order.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not such a list; the message names the file and the entry's index.
    """
    return check_results(read_json(path), truth, source=str(path))


def check_results(
    content: Any, truth: GroundTruth, *, source: str = "results"
) -> list[PredictedTrack]:
    """Do what ``load_results`` does with content that is in memory; it is not changed.

    Args:
        content: entries in YouTube-VIS format, ``counts`` as str, bytes or a list of int.
        truth: what ``load_ground_truth`` returned.
        source: where the results come from, for messages.

    Raises:
        ValueError: an entry is wrong; the message names the source and the entry's index.
    """
    if not isinstance(content, list):
        raise ValueError(f"{source}: results must be a list, got {type(content).__name__}")
    lengths = {video.id: video.length for video in truth.videos}
    categories = {category.id for category in truth.categories}

    def parse(entry: dict[str, Any]) -> tuple[int, int, float, list[Any]]:
        missing = [key for key in _KEYS if key not in entry]
        if missing:
            raise ValueError(f"lacks {', '.join(missing)}")
        video_id = checks.known(entry, "video_id", lengths)
        category_id = checks.known(entry, "category_id", categories)
        score = checks.score(entry["score"])
        masks = checks.frame_list(entry, "segmentations", lengths[video_id])
        return video_id, category_id, score, masks

    rows = checks.entries(content, source, "entries", parse)
    strips = strips_by_video([(row[0], row[3]) for row in rows], truth.videos, source, "entries")
    return [PredictedTrack(*row[:3], strip) for row, strip in zip(rows, strips, strict=True)]


def write_results(
    output_dir: str | os.PathLike, results: Sequence[dict], *, overwrite: bool = False
) -> tuple[Path, Path]:
    """Write ``results.json`` and ``submission.zip``, which holds it, into a directory.

    The same results give the same bytes.

    Args:
        output_dir: made if it does not exist.
        results: entries that JSON can hold, ``counts`` as str.
        overwrite: whether files of these names may be replaced.

    Returns:
        The paths of the two files.

    Raises:
        FileExistsError: one of the files exists and ``overwrite`` is False; neither is written.
    """
    paths = refuse_existing_results(output_dir, overwrite=overwrite)
    content = json.dumps(list(results), allow_nan=False).encode("ascii")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as submission:
        # A ZipInfo gets a fixed date, so that the archive depends on the results alone.
        submission.writestr(
            zipfile.ZipInfo(RESULTS_NAME), content, compress_type=zipfile.ZIP_DEFLATED
        )
    write_bytes(paths[0], content, overwrite=overwrite)
    write_bytes(paths[1], archive.getvalue(), overwrite=overwrite)
    return paths


def refuse_existing_results(output_dir: str | os.PathLike, *, overwrite: bool) -> tuple[Path, Path]:
    """The paths that ``write_results`` writes.

    Raises:
        FileExistsError: one of them exists and ``overwrite`` is False.
    """
    paths = Path(output_dir) / RESULTS_NAME, Path(output_dir) / SUBMISSION_NAME
    for path in paths:
        refuse_existing(path, overwrite=overwrite)
    return paths
