"""The colours of tracks."""

from __future__ import annotations

# Vivid colours, each as far as possible in CIELAB from all before it; none dark, grey or white, as
# these are lost in shadows, unreadable as text, or taken for part of the scene.
_PALETTE = """
    00ff00 b900ff ff4600 00d1ff ffe88b ff8bd1 17ffb9 0074ff d1745d b9e817 ff005d ffa200
    ff17d1 8b8bd1 46d146 d174ff 8bd1a2 00ffff d1b900 e8178b a2d15d e8742e 00a2ff ff748b
    ffb98b d1a246 e8b9ff d146b9 745dff b974d1 8bff46 ff00ff e84646 00ff8b ffa2b9 ff002e
    5dd174 d1e8a2 8b8bff b92ed1 ffe800 00ff5d 2ed1b9 e8e85d d15d8b 4674d1 8bb9ff a2ff74
    d18bb9 ffa25d 8b5dd1 ff8bff ff5dff a246ff 74ffd1 00d100 ff7400 2ea2d1 d1b974 8bd12e
    ffd15d d14600 b9a2ff ff5db9
""".split()


def track_rgb(track_id: int) -> tuple[int, int, int]:
    """The colour of a track id, 0 to 255: always the same, and far from the ids next to it.

    64 colours repeat from then on.
    """
    return tuple(bytes.fromhex(_PALETTE[track_id % len(_PALETTE)]))


def track_colour(track_id: int) -> tuple[float, float, float]:
    """The same colour in [0, 1], as matplotlib and detectron2 take it."""
    return tuple(part / 255 for part in track_rgb(track_id))
