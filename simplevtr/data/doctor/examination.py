"""The examinations in their order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from simplevtr.data.doctor.categories import Categories, examine_categories
from simplevtr.data.doctor.findings import Findings, Place
from simplevtr.data.doctor.frame_files import examine_frame_files
from simplevtr.data.doctor.leaks import Split, examine_leaks
from simplevtr.data.doctor.masks import examine_masks
from simplevtr.data.doctor.records import Video
from simplevtr.data.doctor.repair import repaired_content
from simplevtr.data.doctor.tracks import examine_tracks, settle_lengths
from simplevtr.data.doctor.values import other_values
from simplevtr.data.doctor.videos import examine_videos
from simplevtr.formats.checks import check_outline

from tqdm import tqdm


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to examine.

    Attributes:
        image_root: the folder that the file names start at; None: images are not looked at.
        decode: whether images are decoded whole, and not only their headers.
        workers: threads that look at images.
        box_tolerance: pixels by which each side of a box may lie elsewhere than that of its mask.
        dataset_name: of a public data set, whose categories the file must have.
        others: splits that must not have the same videos.
    """

    image_root: str | None = None
    decode: bool = False
    workers: int = 4
    box_tolerance: float = 2.0
    dataset_name: str = ""
    others: tuple[Split, ...] = ()


@dataclass(frozen=True)
class Examination:
    """What an examination found.

    Attributes:
        findings: defects and, once ``repaired`` was called, repairs.
        totals: numbers of videos, frames, tracks, masks, categories and files.
    """

    findings: Findings
    totals: dict[str, int]
    _content: dict[str, Any] = field(repr=False)
    _values: dict[str, Any] = field(repr=False)
    _categories: Categories = field(repr=False)
    _videos: dict[int, Video] = field(repr=False)

    def repaired(self) -> dict[str, Any]:
        """The file's content without the defects that can be repaired; call it once."""
        return repaired_content(
            self._content, self._values, self._categories, self._videos, self.findings
        )


def examine(
    content: dict[str, Any], settings: Settings | None = None, findings: Findings | None = None
) -> Examination:
    """Find what is wrong with the content of an annotation file, which is not changed.

    Args:
        content: what ``json.load`` gives; anything may be wrong with it.
        settings: what to examine; default: the content alone.
        findings: with defects that are known already; default: none.

    Raises:
        ValueError: it is no object with lists of videos and categories.
    """
    check_outline(content, "the content", empty=True)
    settings = settings or Settings()
    findings = findings or Findings()
    known = ("videos", "categories", "annotations")
    values = other_values(content, known, findings, Place())
    for key in ("videos", "categories"):
        if not content[key]:
            findings.add("nothing-left", Place(), f"the list of {key} is empty")
    categories = examine_categories(content["categories"], findings)
    categories.compare_with_official(settings.dataset_name, findings)
    videos = examine_videos(content["videos"], findings)
    if content.get("annotations") is not None:
        examine_tracks(content["annotations"], videos, categories, findings)
    settle_lengths(videos, findings)
    files = 0
    if settings.image_root is not None:
        files = examine_frame_files(
            videos.usable.values(),
            settings.image_root,
            findings,
            decode=settings.decode,
            workers=settings.workers,
        )
    masks = 0
    for video in tqdm(videos.usable.values(), unit="video", desc="masks", disable=None):
        masks += examine_masks(video, findings, box_tolerance=settings.box_tolerance)
    for split in settings.others:
        examine_leaks(videos.usable.values(), split, settings.image_root, findings)
    totals = {
        "videos": len(content["videos"]),
        "frames": sum(len(video.names) for video in videos.usable.values()),
        "tracks": len(content.get("annotations") or ()),
        "masks": masks,
        "categories": len(content["categories"]),
        "files": files,
    }
    return Examination(findings, totals, content, values, categories, videos.usable)
