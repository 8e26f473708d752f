"""Results in YouTube-VIS format: reading with every check up front, and writing.

A result file is a list with one entry for each predicted track: ``video_id``, ``category_id`` (the
dataset's own id), ``category_name`` (ours; other writers leave it out), ``score``, and
``segmentations``, for each frame a compressed RLE, or null where nothing is visible.
"""

from __future__ import annotations

import json
import logging
import shutil
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simplevtr.formats import checks, files
from simplevtr.formats.film_strips import FilmStrip
from simplevtr.formats.paths import AnyPath
from simplevtr.formats.ytvis import GroundTruth, strips_by_video

if TYPE_CHECKING:  # reading results does not take the seconds that importing torch takes
    from simplevtr.structures import TrackMasks

    from torch import Tensor

logger = logging.getLogger(__name__)

SUBMISSION_NAME = "submission.zip"
_KEYS = ("video_id", "category_id", "score", "segmentations")


@dataclass(frozen=True, slots=True)
class PredictedTrack:
    """An entry of a result file with decoded masks."""

    video_id: int  # of the annotation file, as the category
    category_id: int
    score: float  # in [0, 1]
    strip: FilmStrip


def load_results(
    path: AnyPath, truth: GroundTruth, *, skip_unknown: bool = False
) -> list[PredictedTrack]:
    """Read a result file and check it against the ground truth's videos and categories.

    It is a ``.json`` or ``.json.gz`` file, or a ``.zip`` that holds ``results.json``; the ground
    truth needs no annotations. ``skip_unknown`` leaves out entries of categories that the
    annotation file does not have, as the official API does; a warning counts them, and another the
    videos without any predicted track, in which all are missed: a file may be of a part of them.
    ValueError: the file is not such a list; the message names the file and the entry's index.
    """
    content, source = files.read_json(path), str(path)
    found = check_results(content, truth, source=source, skip_unknown=skip_unknown)
    if without := len(truth.videos) - len({track.video_id for track in found}):
        of_all = f"{without} of the {len(truth.videos)} videos"
        logger.warning("%s has no predicted track in %s of %s", source, of_all, truth.source)
    return found


def check_results(
    content: Any, truth: GroundTruth, *, source: str = "results", skip_unknown: bool = False
) -> list[PredictedTrack]:
    """Do what ``load_results`` does with content that is in memory; it is not changed.

    ``counts`` may be str, bytes or a list of int; ``source`` is where the content comes from.
    """
    if not isinstance(content, list):
        raise ValueError(f"{source}: results must be a list, got {type(content).__name__}")
    lengths = {video.id: video.length for video in truth.videos}
    names = {category.id: category.name for category in truth.categories}
    skipped: list[int] = []

    def parse(entry: dict[str, Any]) -> tuple[int, int, float, list[Any]] | None:
        missing = [key for key in _KEYS if key not in entry]
        if missing:
            raise ValueError(f"lacks {', '.join(missing)}")
        video_id = checks.known(entry, "video_id", lengths)
        if (category_id := checks.integer(entry, "category_id")) not in names and skip_unknown:
            skipped.append(category_id)
            return None
        _check_category(entry, names)
        masks = checks.frame_list(entry, "segmentations", lengths[video_id])
        return video_id, category_id, checks.score(entry["score"]), masks

    rows = checks.entries(content, source, "entries", parse)
    if skipped:
        logger.warning(
            "%s: %d entries of categories that %s does not have are left out: ids %s",
            source, len(skipped), truth.source, checks.listed(sorted({*skipped})),
        )  # fmt: skip
    masks = [(row[0], row[3]) if row else (None, []) for row in rows]
    strips = strips_by_video(masks, truth.videos, source, "entries")
    return [PredictedTrack(*r[:3], strip) for r, strip in zip(rows, strips, strict=True) if r]


def _check_category(entry: dict[str, Any], names: dict[int, str]) -> None:
    """Raise ValueError unless the entry's category is one of ``names``, also by its name."""
    try:
        own = names[checks.known(entry, "category_id", names)]
    except ValueError as error:
        raise ValueError(f"{error}; --unknown-categories skip leaves such entries out") from None
    name = entry.get("category_name")
    if name is not None and not (
        isinstance(name, str) and checks.plain_spelling(name) == checks.plain_spelling(own)
    ):
        raise ValueError(
            f"category_name is {name!r:.80}, but category {entry['category_id']} of the annotation "
            f"file is {own!r}; are these results of a model with other categories?"
        )


def track_entry(
    video_id: int,
    category_id: int,
    category_name: str | None,
    score: float,
    masks: TrackMasks | Tensor,
) -> dict[str, Any]:
    """The entry of a predicted track with (T, H, W) bool masks, or the same encoded."""
    from simplevtr.structures import TrackMasks, encode_masks

    return {
        "video_id": video_id,
        "category_id": category_id,
        "category_name": category_name,
        "score": score,
        "segmentations": masks.rles if isinstance(masks, TrackMasks) else encode_masks(masks),
    }


def write_entries(
    path: AnyPath, entries: Iterable[dict[str, Any]], *, overwrite: bool = False
) -> Path:
    """Write a ``.json`` result file, whole or not at all; the same entries give the same bytes.

    Entries are read one at a time, so that the text is never in memory as a whole. ValueError for
    another suffix or a number that is not finite, FileExistsError unless ``overwrite``.
    """
    path = files.check_output(path, overwrite=overwrite, suffixes=(".json",))
    with files.replaced_file(path) as partial, partial.open("x", encoding="ascii") as file:
        separator = "["
        for entry in entries:
            file.write(separator + json.dumps(entry, allow_nan=False))
            separator = ",\n"
        file.write("[]\n" if separator == "[" else "]\n")
    return path


def write_video_results(
    path: AnyPath,
    result: Mapping[str, Any],
    *,
    class_names: Sequence[str] = (),
    category_ids: Sequence[int] = (),
    video_id: int = 1,
    overwrite: bool = False,
) -> Path:
    """Write the tracks of one video as ``write_entries`` does.

    ``result`` is a predictor's, with "pred_scores", "pred_labels" and "pred_masks", the masks of a
    track as ``TrackMasks`` or a (T, H, W) bool tensor. ``class_names`` are by label, () if they are
    unknown; so are ``category_ids``, the dataset's own, or () for label + 1. ValueError: one lacks.
    """
    labels = [int(label) for label in result["pred_labels"]]
    if category_ids and not {*labels} <= {*range(len(category_ids))}:
        raise ValueError(f"label {max(labels)} has no category id; {len(category_ids)} are known")
    ids = [category_ids[label] if category_ids else label + 1 for label in labels]
    names = [class_names[label] if 0 <= label < len(class_names) else None for label in labels]
    tracks = zip(ids, names, map(float, result["pred_scores"]), result["pred_masks"], strict=True)
    entries = (track_entry(video_id, *track) for track in tracks)
    return write_entries(path, entries, overwrite=overwrite)


def write_results(
    output_dir: AnyPath, results: Iterable[dict[str, Any]], *, overwrite: bool = False
) -> tuple[Path, Path]:
    """Write ``results.json`` and ``submission.zip``, which holds it, and return their paths.

    If there is one of them, FileExistsError unless ``overwrite``, and neither is written.
    """
    plain, archive = refuse_existing_results(output_dir, overwrite=overwrite)
    write_entries(plain, results, overwrite=overwrite)
    # A ZipInfo has a fixed date, so that the archive depends on the results alone.
    info = zipfile.ZipInfo(files.RESULTS_NAME)
    info.compress_type = zipfile.ZIP_DEFLATED
    with (
        files.replaced_file(archive) as partial,
        zipfile.ZipFile(partial, "w") as submission,
        plain.open("rb") as source,
        submission.open(info, "w") as packed,
    ):
        shutil.copyfileobj(source, packed)
    return plain, archive


def refuse_existing_results(output_dir: AnyPath, *, overwrite: bool) -> tuple[Path, Path]:
    """The paths that ``write_results`` writes; FileExistsError if it would."""
    paths = Path(output_dir) / files.RESULTS_NAME, Path(output_dir) / SUBMISSION_NAME
    for path in paths:
        files.refuse_existing(path, overwrite=overwrite)
    return paths
