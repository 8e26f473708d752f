"""What was imported and what was not, as a table."""

from __future__ import annotations

from collections import Counter

from simplevtr.importing.dataset import ImportedDataset


def summary_table(dataset: ImportedDataset) -> str:
    """Lines of text: how many videos, frames, tracks, masks and categories, and all notes.

    Below the categories stand those that have tracks, each with their number.
    """
    tracks = [track for video in dataset.videos for track in video.tracks]
    used = Counter(track.category for track in tracks)
    rows = [
        ("videos", len(dataset.videos)),
        ("  without tracks", sum(not video.tracks for video in dataset.videos)),
        ("frames", sum(len(video.file_names) for video in dataset.videos)),
        ("tracks", len(tracks)),
        ("masks", sum(len(track.masks) for track in tracks)),
        ("categories", len(dataset.categories)),
        *(
            (f"  tracks of {_shown(name)}", used[name])
            for _, name in dataset.categories
            if used[name]
        ),
        *sorted((_shown(note), count) for note, count in dataset.notes.items() if count),
    ]
    width = max(len(name) for name, _ in rows)
    digits = max(len(str(count)) for _, count in rows)
    return "\n".join(f"{name:<{width}}  {count:>{digits}}" for name, count in rows)


def _shown(text: str) -> str:
    """Names come from files of others: no line breaks, escapes or half characters in a table."""
    return text if text.isprintable() else ascii(text)
