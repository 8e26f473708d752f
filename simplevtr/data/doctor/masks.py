"""Examines the masks of a video, and which tracks have any."""

from __future__ import annotations

from typing import Any

from simplevtr.data.doctor.boxes_areas import examine_areas, examine_boxes
from simplevtr.data.doctor.findings import Findings, shown
from simplevtr.data.doctor.measures import MaskMeasure, measure_masks
from simplevtr.data.doctor.records import Track, Video, is_absent

_LOST = "masks that cannot be used became null"


def examine_masks(video: Video, findings: Findings, *, box_tolerance: float) -> int:
    """Count what is wrong with the masks, boxes and areas of a video, and repair the tracks.

    Args:
        video: whose frames have been examined, so that its size is the right one.
        findings: where the defects go.
        box_tolerance: pixels by which each side of a box may lie elsewhere than that of the mask.

    Returns:
        The number of segmentations that are not null.
    """
    tracks = [track for track in video.tracks if not track.dropped]
    visible = [
        [f for f, mask in enumerate(track.segmentations) if not is_absent(mask)] for track in tracks
    ]
    sized = [
        [frame for frame in frames if _has_size_of(video, track, frame, findings)]
        for track, frames in zip(tracks, visible, strict=True)
    ]
    measures = iter(
        measure_masks(
            [t.segmentations[f] for t, frames in zip(tracks, sized, strict=True) for f in frames],
            height=video.height,
            width=video.width,
        )
    )
    truths: dict[tuple[bytes | None, ...], Track] = {}
    for track, all_frames, frames in zip(tracks, visible, sized, strict=True):
        measured = {frame: next(measures) for frame in frames}
        truth = _usable(track, measured, findings)
        doubtful = set(all_frames).difference(truth)
        for frame in doubtful:
            track.segmentations[frame] = None
        examine_boxes(track, truth, doubtful, findings, tolerance=box_tolerance)
        examine_areas(track, truth, doubtful, findings)
        _examine_visibility(track, measured, all_frames, findings)
        texts = tuple(
            truth[f].text if f in truth else None for f in range(len(track.segmentations))
        )
        if any(texts):
            _examine_repetition(track, truths.setdefault(texts, track), findings)
    return sum(map(len, visible))


def _has_size_of(video: Video, track: Track, frame: int, findings: Findings) -> bool:
    """False for an RLE with a size that is not the video's."""
    mask = track.segmentations[frame]
    size = mask.get("size") if isinstance(mask, dict) else None
    proper = isinstance(size, list) and len(size) == 2 and all(type(side) is int for side in size)
    if not proper or size == [video.height, video.width]:
        return True
    detail = f"the RLE has size {shown(size)}, the video {[video.height, video.width]}"
    findings.add("mask-size", track.at(frame), detail)
    findings.repaired(_LOST)
    return False


def _usable(
    track: Track, measured: dict[int, MaskMeasure | str], findings: Findings
) -> dict[int, MaskMeasure]:
    """The measures of the masks that a repair keeps."""
    kept = {}
    for frame, measure in measured.items():
        if isinstance(measure, str):
            findings.add("bad-mask", track.at(frame), measure)
            findings.repaired(_LOST)
        elif measure.area or not findings.add(
            "empty-mask", track.at(frame), "the mask has no pixel"
        ):
            kept[frame] = measure
        else:
            findings.repaired("masks without a pixel became null")
    return kept


def _examine_visibility(
    track: Track, measured: dict[int, Any], visible: list[int], findings: Findings
) -> None:
    """A track whose masks cannot be read is another matter."""
    pixels = any(isinstance(measure, str) or measure.area for measure in measured.values())
    if pixels or len(visible) > len(measured):
        return
    frames = len(track.segmentations)
    detail = f"none of its {frames} segmentations has a pixel" if visible else "all are null"
    if findings.add("never-visible", track.place, detail):
        track.dropped = True
        findings.repaired("annotations that are never visible were dropped")
    else:
        track.may_be_invisible = True


def _examine_repetition(track: Track, first: Track, findings: Findings) -> None:
    if first is track:
        return
    detail = f"has the masks of annotation {first.id}"
    if first.category_id != track.category_id:
        detail += f", but category {track.category_id} and not {first.category_id}"
    if not findings.add("repeated-track", track.place, detail):
        return
    if (first.category_id, first.iscrowd or 0) == (track.category_id, track.iscrowd or 0):
        track.dropped = True
        findings.repaired("tracks with the masks of another one were dropped")
