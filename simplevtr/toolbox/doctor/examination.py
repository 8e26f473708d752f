"""The examinations in their order."""

from dataclasses import dataclass, field
from typing import Any

from simplevtr.formats.checks import check_lists
from simplevtr.formats.ytvis import is_absent
from simplevtr.terminal import usable_cores
from simplevtr.toolbox.doctor.findings import Findings
from simplevtr.toolbox.doctor.frame_files import Split, examine_leaks, look_at_frames, settle_frames
from simplevtr.toolbox.doctor.masks import examine_masks
from simplevtr.toolbox.doctor.tracks import examine_annotations, load_lists
from simplevtr.toolbox.doctor.videos import (
    Video,
    examine_categories,
    examine_videos,
    kept_categories,
)

from tqdm import tqdm


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to examine."""

    image_root: str | None = None  # where the file names start; None: images are not looked at
    decode: bool = True  # whether images are decoded whole, and not only their headers
    workers: int | None = None  # threads that read images; None for one for each CPU core
    box_tolerance: float = 2.0  # pixels by which a side of a box may differ from that of its mask
    dataset_name: str = ""  # of a public dataset, whose categories the file must have
    others: tuple[Split, ...] = ()  # that must not have the same videos
    repair: bool = False  # whether a repaired copy is made, which holds all of the file in memory
    crowds: bool = False  # whether crowds become objects in it


@dataclass(frozen=True)
class Examination:
    """What an examination found."""

    findings: Findings
    # Numbers of videos, frames, tracks, masks and categories, and of frames that were "not looked
    # at" and "not decoded".
    totals: dict[str, int]
    repaired: dict[str, Any] | Any = field(repr=False)  # the content, if that was asked for


def examine(
    content: dict[str, Any], settings: Settings | None = None, findings: Findings | None = None
) -> Examination:
    """Find what is wrong with the content of an annotation file, which is not changed.

    Args:
        content: of ``read_json``; anything may be wrong with it.
        settings: what to examine; default: the content alone.
        findings: takes the defects, but for those that it ignores; default: takes all.

    Raises:
        ValueError: it is not an object with lists of videos and categories.
        FileNotFoundError: the image root has none of the frames.
    """
    check_lists(content, "the content", empty=True)
    settings, findings = settings or Settings(), findings or Findings()
    root, annotations = settings.image_root, content.get("annotations")
    repaired = findings.other_values(content, ("videos", "categories", "annotations"))
    categories = examine_categories(content["categories"], settings.dataset_name, findings)
    by_id = examine_videos(content["videos"], findings)
    if annotations is not None:
        examine_annotations(annotations, by_id, categories, findings)
    videos = [video for video in by_id.values() if video is not None]
    for split in settings.others:
        examine_leaks(videos, split, root)
    usable = sum(len(video.file_names()) for video in videos)
    totals = {
        "videos": len(content["videos"]),
        "frames": sum(len(video.names) for video in videos),
        "tracks": len(annotations or ()),
        "masks": 0,
        "categories": len(content["categories"]),
        "not looked at": usable if root is None else 0,
        "not decoded": 0 if root is None or settings.decode else usable,
    }
    repaired |= {"videos": [], "annotations": None if annotations is None else []}
    repaired["categories"] = kept_categories(categories)

    faults = {}
    if root is not None:
        workers = settings.workers or usable_cores()
        faults = look_at_frames(videos, root, decode=settings.decode, workers=workers)
    for video in tqdm(videos, unit="video", desc="masks", disable=None):
        load_lists(video, crowds=settings.crowds)
        settle_frames(video, faults.get(video.id, {}))
        totals["masks"] += examine_masks(video, settings.box_tolerance)
        if settings.repair:
            _keep(video, repaired)
        video.tracks = []  # their repaired lists are copies
    repaired = {key: repaired[key] for key in content if key in repaired}
    return Examination(findings, totals, repaired if settings.repair else None)


def _keep(video: Video, kept: dict[str, Any]) -> None:
    """Add what the examinations have left of a video; count repairs that become necessary."""
    frames = [frame for frame, name in enumerate(video.names) if name is not None]
    if video.dropped or not frames:
        video.found.repaired("videos without a frame were dropped", not video.dropped)
        video.found.repaired("annotations were dropped with their videos", len(video.tracks))
        return
    height, width = video.size
    entry = {"id": video.id, "width": width, "height": height, "length": len(frames)}
    kept["videos"].append({**entry, "file_names": video.file_names(), **video.values})
    for track in video.tracks:
        # Official files have these in annotations too.
        track.entry |= {k: entry[k] for k in ("width", "height", "length") if k in track.entry}
        for key in ("segmentations", "bboxes", "areas"):
            if key in track.entry:
                track.entry[key] = [track.entry[key][frame] for frame in frames]
        unseen = all(map(is_absent, track.entry["segmentations"]))
        if unseen and "never-visible" not in track.found.ignored:
            track.found.repaired("annotations that were left without a mask were dropped")
        else:
            kept["annotations"].append(track.entry)
