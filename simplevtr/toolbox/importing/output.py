"""What becomes of a dataset that was read: its categories, the YouTube-VIS file, the summary."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from simplevtr.formats.checks import items, listed, near_misses, plain_spelling
from simplevtr.formats.files import write_json
from simplevtr.formats.paths import AnyPath
from simplevtr.formats.rle import frame_lists
from simplevtr.formats.ytvis import parse_categories
from simplevtr.toolbox.importing.reading import ImportedDataset, naming
from simplevtr.toolbox.importing.sources import read_object

from tqdm import tqdm

_SHOWN = 5  # broken parts of a kind, or names that look alike, that are listed
Categories = list[tuple[int, str]]


def categories_of_file(path: Path) -> Categories:
    """(id, name) pairs of an annotation file, also a COCO file, in its order; else ValueError."""
    content = read_object(path)
    with naming(path):
        entries = items(content, "categories")
    return [(category.id, category.name) for category in parse_categories(entries, str(path))]


def parse_pairs(entries: Sequence[str], what: str) -> dict[str, str]:
    """``["Cat=cat", ...]`` as a dict; ValueError for anything else or a left side given twice."""
    pairs: dict[str, str] = {}
    for entry in entries:
        old, _, new = unicodedata.normalize("NFC", entry).partition("=")  # as names of files are
        if not (old.strip() and new.strip()) or old in pairs:
            raise ValueError(f"{entry!r}: {what} is needed, and no left side twice")
        pairs[old] = new
    return pairs


def rename(dataset: ImportedDataset) -> None:
    """Give the categories of a dataset their ``new_names``; those of one name become one.

    ValueError for a name that no category has.
    """
    old = [name for _, name in dataset.categories]
    unknown = [name for name in dataset.new_names if name not in (*old, "*")]
    if unknown:
        raise ValueError(f"no category {unknown[0]!r} to rename; there are {listed(old)}")
    ids: dict[str, int] = {}
    for number, name in dataset.categories:
        ids.setdefault(dataset.new_name(name), number)
    dataset.categories = [(number, name) for name, number in ids.items()]
    for track in dataset.tracks:
        track.category = dataset.new_name(track.category)


def use_categories(
    dataset: ImportedDataset, categories: Categories, *, source: str, drop_others: bool = False
) -> None:
    """Give a dataset these (id, name) pairs as categories, which its tracks have by exact name.

    Tracks of other categories are an error, or with ``drop_others`` left out and counted; names
    that differ only in case, blanks, hyphens or underscores are an error that shows how to rename
    them. ``source`` is whose the categories are, for messages.
    """
    names = [name for _, name in categories]
    others = Counter(track.category for track in dataset.tracks)
    for name in names:
        del others[name]
    if near := near_misses(others, names)[:20]:
        pairs = ", ".join(f"{name!r} ({target!r})" for name, target in near)
        given = " ".join(f'"{name}={target}"' for name, target in near)
        spelled = f"categories that {source} spells in another way: {pairs}"
        raise ValueError(f"{spelled}; if they are the same: --rename {given}")
    if others and not drop_others:
        known = f"{source} has no category {listed([*others])}; it has {listed(names)}"
        way = "Rename them (--rename OLD=NEW) or leave out their tracks (--drop-others)"
        raise ValueError(f"{known}. {way}")
    for name, count in others.items():
        dataset.notes[f"tracks of category {name!r} left out"] = count
    for video in dataset.videos:
        video.tracks = [track for track in video.tracks if track.category not in others]
    dataset.categories = list(categories)


def write_ytvis(
    dataset: ImportedDataset, path: AnyPath, *, description: str = "", overwrite: bool = False
) -> None:
    """Write an annotation file in one step: it is either complete or as it was before.

    Videos and annotations are numbered from 1; masks become compressed RLEs with text counts, with
    null, also for box and area, in frames that do not show the object.

    Raises:
        FileExistsError: there is such a file and ``overwrite`` is False.
        ValueError: there is no video, no category or no track; it lists what was left out.
    """
    if not (dataset.categories and dataset.tracks):
        left_out = ", ".join(f"{count} {what}" for what, count in _left_out(dataset))
        why = f" ({left_out})" if left_out else ""
        reason = f"no track in {len(dataset.videos)} videos{why or ': they have no mask'}"
        for what in ("categories", "videos"):
            if not getattr(dataset, what):
                reason = f"the source has no {what}{why}"
        for reasons in [*dataset.broken.values()][:1]:
            reason += f"; the first that is broken: {reasons[0]}"
        raise ValueError(f"nothing to write to {path}: {reason}")
    ids = {name: category_id for category_id, name in dataset.categories}
    videos: list[dict] = []
    annotations: list[dict] = []
    for video in tqdm(dataset.videos, desc="writing", unit="video", disable=None):
        height, width = video.size
        sizes = {"height": height, "width": width, "length": len(video.file_names)}
        videos.append({**sizes, "file_names": video.file_names, "id": len(videos) + 1})
        for track in video.tracks:
            entry = {**sizes, "category_id": ids[track.category]}
            entry |= frame_lists(track.masks.get(t) for t in range(len(video.file_names)))
            entry |= {"video_id": len(videos), "iscrowd": 0, "id": len(annotations) + 1}
            annotations.append(entry)
    content = {  # in the order of the official files
        "info": {"description": description},
        "licenses": [],
        "videos": videos,
        "categories": [{"id": i, "name": name} for i, name in dataset.categories],
        "annotations": annotations,
    }
    write_json(path, content, overwrite=overwrite)


def summary_table(dataset: ImportedDataset) -> str:
    """Lines of text: how much there is of what, all notes, and the first broken parts."""
    used = Counter(track.category for track in dataset.tracks)
    rows = [
        ("videos", len(dataset.videos)),
        ("  without tracks", sum(not video.tracks for video in dataset.videos)),
        ("frames", sum(len(video.file_names) for video in dataset.videos)),
        ("tracks", len(dataset.tracks)),
        ("masks", sum(len(track.masks) for track in dataset.tracks)),
        ("categories", len(dataset.categories)),
        *((f"  tracks of {_shown(n)}", used[n]) for _, n in dataset.categories if n in used),
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
    for title, found in lists.items():
        more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
        lines += [title, *(f"  {item}" for item in (*found[:_SHOWN], *more))]
    return "\n".join(lines)


def _left_out(dataset: ImportedDataset) -> list[tuple[str, int]]:
    """The notes, and how many broken parts were left out."""
    return [
        *sorted((_shown(note), count) for note, count in dataset.notes.items() if count),
        *((f"broken {kind} left out", len(reasons)) for kind, reasons in dataset.broken.items()),
    ]


def _shown(text: str) -> str:
    """Names come from other people's files: no line breaks, escapes or lone surrogates."""
    return text if text.isprintable() else ascii(text)
