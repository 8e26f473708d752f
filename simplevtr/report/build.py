"""Putting a report together."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from simplevtr.evaluation.analysis.id_switches import IdSwitch, count_id_switches
from simplevtr.evaluation.scored_video import ScoredVideo, categories_in_use, tracks_by_video
from simplevtr.formats.images import evenly_spaced
from simplevtr.formats.results import PredictedTrack
from simplevtr.formats.ytvis import GroundTruth
from simplevtr.report.folder import check_folder, new_report, write_data
from simplevtr.report.frame_files import frame_path, write_small_frame
from simplevtr.report.player_part import player_part
from simplevtr.report.scores_part import confusion_part, scores_part
from simplevtr.report.settings import ReportSettings
from simplevtr.report.switches_part import choose_switches, frames_around, switch_part
from simplevtr.report.videos_part import plain_rows, scored_rows, worst_and_best

from tqdm import tqdm

logger = logging.getLogger(__name__)


def write_report(
    output: str | os.PathLike,
    gt: GroundTruth,
    results: list[PredictedTrack],
    images: str | os.PathLike,
    settings: ReportSettings,
    *,
    sources: dict[str, str] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a report as a folder whose ``index.html`` opens in a browser, from disk.

    Args:
        output: the folder; it must not exist, be empty, or be a report that may be overwritten.
        gt: what ``load_ground_truth`` returned; without annotations predictions are shown alone.
        results: what ``load_results`` returned for it.
        images: the folder that the file names of ``gt`` start at.
        settings: what is shown.
        sources: names and values shown under the heading, such as where the data is from.
        overwrite: whether a report in ``output`` may be replaced.

    Returns:
        The path of ``index.html``.

    Raises:
        FileExistsError: ``output`` exists and may not be replaced.
        FileNotFoundError: a frame that is shown does not exist.
        ValueError: a frame that is shown cannot be used.
    """
    output = check_folder(output, overwrite=overwrite)
    scored = gt.has_tracks
    shown = {
        tracks.video.id: tracks
        for tracks in tracks_by_video(gt, results, score_threshold=settings.score_threshold)
    }
    data = _overview(shown, gt, results, settings, sources or {})
    events: list[IdSwitch] = []
    if scored:
        logger.info("Scoring %d tracks of %d videos", len(results), len(gt.videos))
        events = _scored(data, gt, results, settings)
    else:
        data["videos"] = plain_rows(list(shown.values()))
    data["worst"], data["best"] = worst_and_best(data["videos"], settings.videos)
    frames = {
        video_id: evenly_spaced(shown[video_id].video.length, settings.max_frames)
        for video_id in [*data["worst"], *data["best"]]
    }
    categories = {number: i for i, number in enumerate(categories_in_use(gt, results))}
    with new_report(output, overwrite=overwrite) as folder:
        for video_id, numbers in frames.items():
            part = player_part(shown[video_id], numbers, categories, settings.iou_threshold)
            write_data(folder / "videos" / f"{video_id}.js", "Report.receiveVideo", part)
        if scored:
            data["switches"] = [switch_part(e, gt, results, categories) for e in events]
        write_data(folder / "data.js", "Report.receive", data)
        _write_frames(folder / "frames", shown, _needed(frames, events, shown), images, settings)
    return output / "index.html"


def _overview(
    shown: dict[int, ScoredVideo],
    gt: GroundTruth,
    results: list[PredictedTrack],
    settings: ReportSettings,
    sources: dict[str, str],
) -> dict:
    """What the page shows of any results."""
    names = {category.id: category.name for category in gt.categories}
    return {
        "title": settings.title,
        "sources": [{"name": name, "value": value} for name, value in sources.items()],
        "scored": gt.has_tracks,
        "iouThreshold": settings.iou_threshold,
        "scoreThreshold": settings.score_threshold,
        "areaLimits": list(settings.area_limits),
        "categories": [names[number] for number in categories_in_use(gt, results)],
        "totals": {
            "videos": len(gt.videos),
            "frames": sum(video.length for video in gt.videos),
            "true": sum(len(tracks.true) for tracks in shown.values()),
            "predicted": sum(len(tracks.predicted) for tracks in shown.values()),
        },
    }


def _scored(
    data: dict, gt: GroundTruth, results: list[PredictedTrack], settings: ReportSettings
) -> list[IdSwitch]:
    """Add what needs ground truth; return the switches to show."""
    switches = count_id_switches(
        gt,
        results,
        iou_threshold=settings.iou_threshold,
        score_threshold=settings.score_threshold,
    )
    data["scores"] = scores_part(gt, results, settings)
    data["confusion"] = confusion_part(gt, results, settings)
    data["videos"] = scored_rows(gt, results, switches, settings)
    for key in ("matches", "misses", "falsePositives", "switches"):
        data["totals"][key] = sum(row[key] for row in data["videos"])
    return choose_switches(switches, settings.switches)


def _needed(
    frames: dict[int, list[int]], events: list[IdSwitch], shown: dict[int, ScoredVideo]
) -> list[tuple[int, int]]:
    """The (video, frame) of every picture, in order."""
    needed = {(video_id, number) for video_id, numbers in frames.items() for number in numbers}
    for event in events:
        length = shown[event.video_id].video.length
        needed |= {(event.video_id, number) for number in frames_around(event, length)}
    return sorted(needed)


def _write_frames(
    folder: Path,
    shown: dict[int, ScoredVideo],
    needed: list[tuple[int, int]],
    images: str | os.PathLike,
    settings: ReportSettings,
) -> None:
    for video_id, number in tqdm(needed, desc="frames", unit="frame", disable=None):
        video = shown[video_id].video
        target = folder / str(video_id) / f"{number}.jpg"
        write_small_frame(frame_path(images, video, number), target, video, settings.frame_width)
