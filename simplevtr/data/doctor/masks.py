"""Examines the masks of a video, and which tracks have any."""

from __future__ import annotations

from typing import Any

from simplevtr.data.doctor.boxes_areas import Areas, Boxes, examine_column
from simplevtr.data.doctor.findings import Findings
from simplevtr.data.doctor.measures import Masks, measure, text_of
from simplevtr.data.doctor.records import Track, Video, is_absent

import numpy as np


def examine_masks(video: Video, findings: Findings, *, box_tolerance: float) -> int:
    """Count what is wrong with the masks, boxes and areas of a video, and repair the tracks.

    Args:
        video: whose frames have been examined, so that its size is the right one.
        findings: where the defects go.
        box_tolerance: pixels by which each side of a box may lie elsewhere than that of the mask.

    Returns:
        The number of segmentations that are not null.
    """
    total = 0
    # Tracks of a video have one length, unless it is unclear which is the right one.
    for length in dict.fromkeys(len(t.segmentations) for t in video.tracks if not t.dropped):
        tracks = [t for t in video.tracks if not t.dropped and len(t.segmentations) == length]
        masks = _measured(video, tracks, findings)
        examine_column(Boxes(masks, box_tolerance), tracks, findings)
        examine_column(Areas(masks), tracks, findings)
        for row, frame in np.argwhere(masks.given & ~masks.usable).tolist():
            tracks[row].segmentations[frame] = None
        _examine_visibility(tracks, masks, findings)
        _examine_repetition(tracks, masks, findings)
        total += int(masks.given.sum())
    return total


def _measured(video: Video, tracks: list[Track], findings: Findings) -> Masks:
    """Measure the masks of tracks of one length; those that cannot be used are counted."""
    size = [video.height, video.width]
    shape = (len(tracks), len(tracks[0].segmentations))
    given, sound, polygons = (np.zeros(shape, bool) for _ in range(3))
    areas, boxes = np.zeros(shape, np.int64), np.zeros((*shape, 4), np.int64)
    texts: list[list[bytes | None]] = [[None] * shape[1] for _ in tracks]
    places: list[tuple[int, int]] = []
    for row, track in enumerate(tracks):
        given[row] = [not is_absent(mask) for mask in track.segmentations]
        polygons[row] = [type(mask) is list for mask in track.segmentations]
        for frame in np.flatnonzero(given[row]).tolist():
            mask = track.segmentations[frame]
            try:
                texts[row][frame] = text_of(mask, *size)
                places.append((row, frame))
            except (ValueError, OverflowError) as error:
                stated = mask.get("size") if isinstance(mask, dict) else None
                defect = "mask-size" if stated != size and _is_size(stated) else "bad-mask"
                _lose(track, frame, defect, str(error), findings)
    if places:
        at = tuple(np.array(places).T)
        found = [texts[row][frame] for row, frame in places]
        areas[at], boxes[at], reasons = measure(found, height=size[0], width=size[1])
        sound[at] = True
        for index, reason in reasons.items():
            row, frame = places[index]
            sound[row, frame] = False
            _lose(tracks[row], frame, "bad-mask", reason, findings)
    usable = sound.copy()
    for row, frame in np.argwhere(sound & (areas == 0)).tolist():
        place = tracks[row].place.but(frame=frame)
        repair = "masks without a pixel became null"
        if findings.add("empty-mask", place, "the mask has no pixel", repair):
            usable[row, frame] = False
    for row, frame in np.argwhere(given & ~usable).tolist():
        texts[row][frame] = None
    return Masks(tuple(size), given, sound, usable, polygons, areas, boxes, texts)


def _is_size(value: Any) -> bool:
    return isinstance(value, list) and [*map(type, value)] == [int, int]


def _lose(track: Track, frame: int, defect: str, detail: str, findings: Findings) -> None:
    repair = "masks that cannot be used became null"
    findings.add(defect, track.place.but(frame=frame), detail, repair)


def _examine_visibility(tracks: list[Track], masks: Masks, findings: Findings) -> None:
    """A track whose masks cannot be read is another matter."""
    maybe_visible = (masks.given & ~(masks.sound & (masks.areas == 0))).any(axis=1)
    for row in np.flatnonzero(~maybe_visible).tolist():
        entries, track = len(masks.given[row]), tracks[row]
        seen = masks.given[row].any()
        detail = f"none of its {entries} segmentations has a pixel" if seen else "all are null"
        repair = "annotations that are never visible were dropped"
        track.dropped = findings.add("never-visible", track.place, detail, repair)
        track.may_be_invisible = not track.dropped


def _examine_repetition(tracks: list[Track], masks: Masks, findings: Findings) -> None:
    firsts: dict[tuple[bytes | None, ...], Track] = {}
    for row, track in enumerate(tracks):
        if not masks.usable[row].any():
            continue
        first = firsts.setdefault(tuple(masks.texts[row]), track)
        if first is track:
            continue
        detail = f"has the masks of annotation {first.id}"
        if first.category_id != track.category_id:
            detail += f", but category {track.category_id} and not {first.category_id}"
        if not findings.add("repeated-track", track.place, detail):
            continue
        if (first.category_id, first.iscrowd or 0) == (track.category_id, track.iscrowd or 0):
            track.dropped = True
            findings.repaired("tracks with the masks of another one were dropped")
