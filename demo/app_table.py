"""The list of tracks on the page of ``app.py``."""

from __future__ import annotations

import html
from typing import Any

from simplevtr.inference import FoundTracks
from simplevtr.structures import TrackMasks
from simplevtr.visualization import TrackPainter, track_rgb

_LISTED = 30  # tracks
TABLE_STYLE = """
.hint, .summary { margin: 0.3rem 0; }
.tracks { max-height: 19rem; overflow-y: auto; }
.tracks table, .tracks tr, .tracks th, .tracks td { border: 0 !important; }
.tracks table { width: 100%; border-collapse: collapse; }
.tracks tr + tr { border-top: 1px solid var(--border-color-primary) !important; }
.tracks th { color: var(--body-text-color-subdued); font-weight: normal; }
.tracks th, .tracks td { padding: 0.3rem 0.6rem; text-align: right; }
.tracks :is(th, td):nth-child(-n+2) { text-align: left; }
.tracks i { display: inline-block; width: 1em; height: 1em; margin-right: 0.3em;
    border: 1px solid #0006; border-radius: 3px; vertical-align: -0.1em; }
"""


def track_table(result: dict[str, Any], found: FoundTracks, painter: TrackPainter) -> str:
    """The tracks that are drawn, as HTML.

    Args:
        result: what of ``found.result`` is drawn.
        found: all that was found.
        painter: knows the names of the classes.
    """
    columns = (result[f"pred_{name}"] for name in ("ids", "labels", "scores", "masks"))
    rows = list(zip(*columns, strict=True))
    every = len(found.result["pred_scores"])
    text = f"<p class='summary'>{found.frames} frames, {len(rows)} of {every} tracks shown"
    if not rows:
        return f"{text}. A lower threshold shows more.</p>" if every else f"{text}.</p>"
    if len(rows) > _LISTED:
        text += f", the best {_LISTED} are listed"
    body = "".join(_row(*row, painter) for row in rows[:_LISTED])
    head = "<tr><th>track</th><th>class</th><th>score</th><th>frames</th></tr>"
    return f"{text}.</p><div class='tracks'><table>{head}{body}</table></div>"


def _row(track_id: int, label: int, score: float, masks: TrackMasks, painter: TrackPainter) -> str:
    seen = sum(rle is not None for rle in masks.rles)
    return (
        f"<tr><td><i style='background: rgb{track_rgb(track_id)}'></i> {track_id}</td>"
        f"<td>{html.escape(painter.class_name(label))}</td><td>{score:.0%}</td><td>{seen}</td></tr>"
    )
