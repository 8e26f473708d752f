"""The categories of an import: numbering, renaming, and those of another annotation file."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from simplevtr.formats.checks import near_misses
from simplevtr.formats.ytvis import parse_categories
from simplevtr.importing.dataset import ImportedDataset, ImportedTrack
from simplevtr.importing.sources import get_list, read_object

_SHOWN = 20  # names that a message lists
Categories = list[tuple[int, str]]


def numbered_categories(names: Iterable[str]) -> Categories:
    """(id, name) pairs with ids from 1, in the order given."""
    return list(enumerate(dict.fromkeys(names), start=1))


def categories_of_file(path: Path, content: dict[str, Any] | None = None) -> Categories:
    """(id, name) pairs of an annotation file, also a COCO file, in its order; else ValueError.

    ``content`` is what the file holds, if it is read already.
    """
    content = read_object(path) if content is None else content
    entries = parse_categories(get_list(content, "categories", path), str(path))
    return [(category.id, category.name) for category in entries]


def renamed(dataset: ImportedDataset, names: Mapping[str, str]) -> ImportedDataset:
    """The dataset with other names for some categories; those of one name become one."""
    new_names = {name: names.get(name, name) for _, name in dataset.categories}
    unknown = [name for name in names if name not in new_names]
    if unknown:
        raise ValueError(f"no category {unknown[0]!r} to rename; there are {_listed(new_names)}")
    ids: dict[str, int] = {}
    for number, name in dataset.categories:
        ids.setdefault(new_names[name], number)
    return _with_tracks(dataset, [(number, name) for name, number in ids.items()], new_names)


def with_categories(
    dataset: ImportedDataset, categories: Categories, *, source: str, drop_others: bool = False
) -> ImportedDataset:
    """The same videos with these (id, name) pairs as categories, found by their exact names.

    Tracks of other categories are an error, or with ``drop_others`` left out and counted; names
    that differ only in case, blanks, hyphens or underscores are an error that tells how to rename
    them. ``source`` is whose the categories are, for messages.
    """
    targets = {unicodedata.normalize("NFC", name): name for _, name in categories}
    used = dict.fromkeys(track.category for video in dataset.videos for track in video.tracks)
    found = {name: targets.get(unicodedata.normalize("NFC", name)) for name in used}
    missing = [name for name, target in found.items() if target is None]
    if near := near_misses(missing, targets.values())[:_SHOWN]:
        pairs = ", ".join(f"{name!r} ({target!r})" for name, target in near)
        given = " ".join(f'"{name}={target}"' for name, target in near)
        raise ValueError(
            f"categories that {source} spells in another way: {pairs}; if they are the same: "
            f"--rename {given}"
        )
    if missing and not drop_others:
        raise ValueError(
            f"{source} has no category {_listed(missing)}; it has {_listed(targets.values())}. "
            "Rename them (--rename OLD=NEW) or leave out their tracks (--drop-others)"
        )
    return _with_tracks(dataset, list(categories), found)


def parse_pairs(entries: Sequence[str], what: str) -> dict[str, str]:
    """``["Cat=cat", ...]`` as a dict; ValueError for anything else or a left side given twice."""
    pairs: dict[str, str] = {}
    for entry in entries:
        old, _, new = entry.partition("=")
        if not (old.strip() and new.strip()) or old in pairs:
            raise ValueError(f"{entry!r}: {what} is needed, and no left side twice")
        pairs[old] = new
    return pairs


def _with_tracks(
    dataset: ImportedDataset, categories: Categories, names: Mapping[str, str | None]
) -> ImportedDataset:
    """The dataset with other categories and names; tracks of the name None are left out."""
    notes = dataset.notes.copy()
    videos = []
    for video in dataset.videos:
        tracks = []
        for track in video.tracks:
            name = names[track.category]
            if name is None:
                notes[f"tracks of category {track.category!r} left out"] += 1
            else:
                tracks.append(ImportedTrack(name, track.masks))
        videos.append(replace(video, tracks=tracks))
    return replace(dataset, videos=videos, categories=categories, notes=notes)


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f", ... ({len(names)} names)" if len(names) > _SHOWN else ""
    return ", ".join(map(repr, names[:_SHOWN])) + more
