"""The examinations in their order."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from simplevtr.data.doctor.categories import examine_categories
from simplevtr.data.doctor.findings import Findings, Place
from simplevtr.data.doctor.frame_files import look_at_frames, settle_frames
from simplevtr.data.doctor.leaks import Split, examine_leaks
from simplevtr.data.doctor.masks import examine_masks
from simplevtr.data.doctor.processes import in_order
from simplevtr.data.doctor.records import Track, Video, is_absent
from simplevtr.data.doctor.tracks import Tracks, settle_length
from simplevtr.data.doctor.values import other_values
from simplevtr.data.doctor.videos import examine_videos
from simplevtr.formats.checks import check_outline

from tqdm import tqdm

_LISTS = ("videos", "categories", "annotations")
_MANY_TRACKS = 5000  # from so many on several processes pay


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to examine.

    Attributes:
        image_root: the folder that the file names start at; None: images are not looked at.
        decode: whether images are decoded whole, and not only their headers.
        workers: threads that read images, and processes that examine masks if there are many and
            none is to be repaired; None for one for each CPU core.
        box_tolerance: pixels by which each side of a box may lie elsewhere than that of its mask.
        dataset_name: of a public dataset, whose categories the file must have.
        others: splits that must not have the same videos.
        repair: whether a repaired copy is made, which holds all of the file in memory.
        crowds: whether crowds become objects in it.
    """

    image_root: str | None = None
    decode: bool = True
    workers: int | None = None
    box_tolerance: float = 2.0
    dataset_name: str = ""
    others: tuple[Split, ...] = ()
    repair: bool = False
    crowds: bool = False


@dataclass(frozen=True)
class Examination:
    """What an examination found.

    Attributes:
        findings: defects and repairs.
        totals: numbers of videos, frames, tracks, masks and categories, and of frames that were
            "not looked at" and "not decoded".
        repaired: the content without the defects that can be repaired, if it was asked for.
    """

    findings: Findings
    totals: dict[str, int]
    repaired: dict[str, Any] | None = field(repr=False)


def examine(
    content: dict[str, Any], settings: Settings | None = None, findings: Findings | None = None
) -> Examination:
    """Find what is wrong with the content of an annotation file, which is not changed.

    Args:
        content: what ``read_json`` gives, its annotations decoded or not; anything may be wrong
            with it.
        settings: what to examine; default: the content alone.
        findings: which defects are ignored; default: none.

    Raises:
        ValueError: it is not an object with lists of videos and categories.
        FileNotFoundError: the image root has none of the frames.
    """
    check_outline(content, "the content", empty=True)
    settings = settings or Settings()
    findings = findings or Findings()
    root = settings.image_root
    values = other_values(content, _LISTS, findings, Place())
    categories = examine_categories(content["categories"], settings.dataset_name, findings)
    videos = examine_videos(content["videos"], findings)
    tracks = Tracks(content.get("annotations"), videos, categories, findings)
    usable = videos.usable.values()
    for split in settings.others:
        examine_leaks(usable, split, root, findings)
    faults = {}
    if root is not None:
        faults = look_at_frames(usable, root, decode=settings.decode, workers=settings.workers)
    kept: dict[str, list[Any]] = {"videos": [], "categories": [*categories.entries.values()]}
    kept["annotations"] = []

    def look(video: Video, found: Findings) -> int:
        tracks.load(video, found, crowds=settings.crowds)
        settle_length(video, found)
        settle_frames(video, faults.get(video.id, {}), found)
        masks = examine_masks(video, found, box_tolerance=settings.box_tolerance)
        if settings.repair:
            _keep(video, kept, found)
        video.tracks = []  # a file's masks as objects take several times its size
        return masks

    many = len(content.get("annotations") or ()) >= _MANY_TRACKS and not settings.repair
    workers = settings.workers or len(os.sched_getaffinity(0))
    counts = in_order(look, [*usable], findings, workers=workers if many else 1)
    bar = {"total": len(usable), "unit": "video", "desc": "masks", "disable": None}
    masks = sum(tqdm(counts, **bar))
    frames = sum(len(video.file_names()) for video in usable)
    totals = {
        "videos": len(content["videos"]),
        "frames": sum(len(video.names) for video in usable),
        "tracks": len(content.get("annotations") or ()),
        "masks": masks,
        "categories": len(content["categories"]),
        "not looked at": frames if root is None else 0,
        "not decoded": 0 if root is None or settings.decode else frames,
    }
    if content.get("annotations") is None:
        kept["annotations"] = None
    parts = {**values, **kept}
    repaired = {key: parts[key] for key in content if key in parts} if settings.repair else None
    return Examination(findings, totals, repaired)


def _keep(video: Video, kept: dict[str, list[Any]], findings: Findings) -> None:
    """Add what the examinations have left of a video; count repairs that become necessary."""
    frames = [f for f in range(len(video.names)) if f not in video.lost]
    tracks = [track for track in video.tracks if not track.dropped]
    if video.dropped or not frames:
        findings.repaired("videos without a frame were dropped", not video.dropped)
        findings.repaired("annotations were dropped with their videos", len(tracks))
        return
    kept["videos"].append(
        {
            "id": video.id,
            "width": video.width,
            "height": video.height,
            "length": len(frames),
            "file_names": [video.names[f] for f in frames],
            **video.values,
        }
    )
    for track in tracks:
        entry = _track_entry(track, frames)
        if track.may_be_invisible or not all(map(is_absent, entry["segmentations"])):
            kept["annotations"].append(entry)
        else:
            findings.repaired("annotations that were left without a mask were dropped")


def _track_entry(track: Track, frames: list[int]) -> dict[str, Any]:
    entry = {"id": track.id, "video_id": track.video.id, "category_id": track.category_id}
    if track.iscrowd is not None:
        entry["iscrowd"] = track.iscrowd
    for key in ("segmentations", "bboxes", "areas"):
        values = getattr(track, key)
        if values is not None:
            entry[key] = [values[f] for f in frames]
    return {**entry, **track.values}
