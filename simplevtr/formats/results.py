"""Results in YouTube-VIS format: reading with every check up front, and writing.

A result file is a list with an entry a predicted track: ``video_id``, ``category_id`` (the
dataset's own id), ``score``, and ``segmentations``, one compressed RLE or null a frame.
"""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
from collections.abc import Sequence
from numbers import Real
from pathlib import Path

from simplevtr.formats.files import RESULTS_NAME, read_json, refuse_existing, write_bytes
from simplevtr.formats.film_strips import FilmStrip, join_frames
from simplevtr.formats.rle import MalformedMaskError

SUBMISSION_NAME = "submission.zip"
_KEYS = ("video_id", "category_id", "score", "segmentations")
_SHOWN = 10  # ids listed in an error message


def load_results(path: str | os.PathLike, gt: dict) -> list[dict]:
    """Read a result file and check it against the ground truth's videos and categories.

    Args:
        path: a ``.json`` or ``.json.gz`` file, or a ``.zip`` that holds ``results.json``.
        gt: what ``load_ground_truth`` returned; it needs no annotations.

    Returns:
        The file's entries, each with a ``film_strip`` added; see ``check_results``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not such a list; the message names the file and the entry's index.
    """
    return check_results(read_json(path), gt, source=str(path))


def check_results(results: list[dict], gt: dict, *, source: str = "results") -> list[dict]:
    """Copies of the entries, each with its masks as a ``FilmStrip`` in ``film_strip`` besides.

    ``evaluate_tracks`` uses the film strip and looks at ``segmentations`` no more.

    Args:
        results: entries in YouTube-VIS format, ``counts`` as str, bytes or a list of int.
        gt: what ``load_ground_truth`` returned.
        source: where the results come from, for error messages.

    Raises:
        ValueError: an entry is wrong; the message names the source and the entry's index.
    """
    if not isinstance(results, list):
        raise ValueError(f"{source}: results must be a list, got {type(results).__name__}")
    videos = {video["id"]: video for video in gt["videos"]}
    categories = {category["id"] for category in gt["categories"]}
    by_video: dict[int, list[int]] = {}
    for index, entry in enumerate(results):
        try:
            _check_entry(entry, videos, categories)
        except ValueError as error:
            raise ValueError(f"{source}: entry {index}: {error}") from error
        by_video.setdefault(entry["video_id"], []).append(index)
    checked: list[dict] = [{}] * len(results)
    for video_id, indices in by_video.items():
        strips = strips_of_video(
            [results[i]["segmentations"] for i in indices],
            videos[video_id],
            names=[f"{source}: entry {i}" for i in indices],
        )
        for i, strip in zip(indices, strips, strict=True):
            checked[i] = {**results[i], "film_strip": strip}
    return checked


def strips_of_video(
    tracks: list[list], video: dict, *, names: list[str], allow_polygons: bool = False
) -> list[FilmStrip]:
    """``join_frames`` on tracks of one video, with errors that begin with the track's name."""
    try:
        return join_frames(
            tracks, height=video["height"], width=video["width"], allow_polygons=allow_polygons
        )
    except MalformedMaskError as error:
        raise ValueError(f"{names[error.track]}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{names[0]}: {error}") from error


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


def _check_entry(entry: object, videos: dict[int, dict], categories: set[int]) -> None:
    if not isinstance(entry, dict):
        raise ValueError(f"must be an object, got {type(entry).__name__}")
    missing = [key for key in _KEYS if key not in entry]
    if missing:
        raise ValueError(f"lacks {', '.join(missing)}")
    _check_id(entry["video_id"], videos, "video_id")
    _check_id(entry["category_id"], categories, "category_id")
    if not is_finite(entry["score"]):
        raise ValueError(f"score must be a finite number, got {entry['score']!r:.80}")
    check_frames(entry["segmentations"], videos[entry["video_id"]], "segmentations")


def _check_id(value: object, known: dict[int, dict] | set[int], name: str) -> None:
    if type(value) is not int:
        raise ValueError(f"{name} {value!r:.80} is a {type(value).__name__}; an integer is needed")
    if value not in known:
        ids = sorted(known)
        shown = ", ".join(map(str, ids[:_SHOWN]))
        more = f", ... ({len(ids)} ids)" if len(ids) > _SHOWN else ""
        raise ValueError(f"unknown {name} {value!r:.80}; the ground truth has {shown}{more}")


def check_frames(values: object, video: dict, name: str) -> None:
    """Raise ValueError unless ``values`` is a list with one item a frame of the video."""
    if not isinstance(values, list):
        raise ValueError(f"{name} must be a list, got {type(values).__name__}")
    if len(values) != video["length"]:
        raise ValueError(
            f"{name} has {len(values)} items, video {video['id']} has {video['length']} frames"
        )


def is_finite(value: object) -> bool:
    """Whether a value is a number (not a bool) that float64 holds, infinity and NaN excluded."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond float64
        return False
