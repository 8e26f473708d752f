"""Writing what was imported as a YouTube-VIS file, and telling what it is."""

import os
from collections import Counter
from typing import Any

from simplevtr.formats.checks import plain_spelling
from simplevtr.formats.files import refuse_existing, write_json
from simplevtr.formats.rle import frame_lists
from simplevtr.importing.dataset import ImportedDataset

from tqdm import tqdm

_SHOWN = 5  # broken parts of a kind, or names that look alike, that are listed


def write_ytvis(
    dataset: ImportedDataset,
    path: str | os.PathLike[str],
    *,
    description: str = "",
    overwrite: bool = False,
) -> None:
    """Write an annotation file in one step: it is either complete or as it was before.

    Videos and annotations are numbered from 1; masks become compressed RLEs with text counts, with
    null, also for box and area, in frames that do not show the object.

    Raises:
        FileExistsError: there is such a file and ``overwrite`` is False.
        ValueError: the dataset has no video, no category or no track.
    """
    _require_tracks(dataset, path)
    refuse_existing(path, overwrite=overwrite)
    write_json(path, _content(dataset, description), overwrite=overwrite)


def summary_table(dataset: ImportedDataset) -> str:
    """Lines of text: how much there is of what, all notes, and the first broken parts."""
    tracks = [track for video in dataset.videos for track in video.tracks]
    used = Counter(track.category for track in tracks)
    categories = ((f"  tracks of {_shown(name)}", used[name]) for _, name in dataset.categories)
    rows = [
        ("videos", len(dataset.videos)),
        ("  without tracks", sum(not video.tracks for video in dataset.videos)),
        ("frames", sum(len(video.file_names) for video in dataset.videos)),
        ("tracks", len(tracks)),
        ("masks", sum(len(track.masks) for track in tracks)),
        ("categories", len(dataset.categories)),
        *(row for row in categories if row[1]),
        *_left_out(dataset),
    ]
    width = max(len(name) for name, _ in rows)
    digits = max(len(str(count)) for _, count in rows)
    lines = [f"{name:<{width}}  {count:>{digits}}" for name, count in rows]
    spelled: dict[str, list[str]] = {}
    for _, name in dataset.categories:
        spelled.setdefault(plain_spelling(name), []).append(repr(name))
    alike = [", ".join(names) for names in spelled.values() if len(names) > 1]
    lists = {f"broken {kind}:": [*map(_shown, parts)] for kind, parts in dataset.broken.items()}
    if alike:
        lists["categories alike but for case, blanks or hyphens (see --rename):"] = alike
    for title, items in lists.items():
        more = [f"and {len(items) - _SHOWN} more"] if len(items) > _SHOWN else []
        lines += [title, *(f"  {item}" for item in (*items[:_SHOWN], *more))]
    return "\n".join(lines)


def _require_tracks(dataset: ImportedDataset, path: str | os.PathLike[str]) -> None:
    """Raise ValueError, with what was left out, for a dataset that nothing can be learnt from."""
    if dataset.categories and any(video.tracks for video in dataset.videos):
        return
    missing = next((what for what in ("videos", "categories") if not getattr(dataset, what)), None)
    left_out = ", ".join(f"{count} {what}" for what, count in _left_out(dataset))
    why = f" ({left_out})" if left_out else ""
    for reasons in [*dataset.broken.values()][:1]:
        why += f"; the first that is broken: {reasons[0]}"
    reason = f"the source has no {missing}"
    if missing is None:
        reason = f"no track in {len(dataset.videos)} videos"
        why = why or ": they have no mask"
    raise ValueError(f"nothing to write to {path}: {reason}{why}")


def _left_out(dataset: ImportedDataset) -> list[tuple[str, int]]:
    """The notes, and how many broken parts were left out."""
    return [
        *sorted((_shown(note), count) for note, count in dataset.notes.items() if count),
        *((f"broken {kind} left out", len(reasons)) for kind, reasons in dataset.broken.items()),
    ]


def _content(dataset: ImportedDataset, description: str) -> dict[str, Any]:
    """The file's content, keys in the order of the official files."""
    ids = {name: category_id for category_id, name in dataset.categories}
    videos, annotations = [], []
    for video in tqdm(dataset.videos, desc="writing", unit="video", disable=None):
        sizes = dict(zip(("height", "width"), video.size, strict=True))
        sizes["length"] = len(video.file_names)
        videos.append({**sizes, "file_names": video.file_names, "id": len(videos) + 1})
        for track in video.tracks:
            annotations.append(
                {
                    **sizes,
                    "category_id": ids[track.category],
                    **frame_lists(track.masks.get(t) for t in range(sizes["length"])),
                    "video_id": len(videos),
                    "iscrowd": 0,
                    "id": len(annotations) + 1,
                }
            )
    return {
        "info": {"description": description},
        "licenses": [],
        "videos": videos,
        "categories": [{"id": i, "name": name} for i, name in dataset.categories],
        "annotations": annotations,
    }


def _shown(text: str) -> str:
    """Names come from files of others: no line breaks, escapes or half characters in a table."""
    return text if text.isprintable() else ascii(text)
