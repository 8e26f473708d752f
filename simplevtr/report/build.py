"""Putting a report together."""

import logging
import os
from pathlib import Path

from simplevtr.evaluation.analysis.id_switches import IdSwitch, count_id_switches
from simplevtr.evaluation.analysis.track_matching import confuse_categories
from simplevtr.formats.images import evenly_spaced
from simplevtr.formats.results import PredictedTrack
from simplevtr.formats.ytvis import GroundTruth
from simplevtr.report import players, tables
from simplevtr.report.folder import check_folder, new_report, write_data, write_frame
from simplevtr.report.settings import Content, ReportSettings

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
    content = Content(gt, results, images, settings)
    data = _overview(content, sources or {})
    events: list[IdSwitch] = []
    if gt.has_tracks:
        logger.info("Scoring %d tracks of %d videos", len(results), len(gt.videos))
        events = _add_scores(data, content)
    else:
        data["videos"] = tables.plain_rows(content)
    data["worst"], data["best"] = tables.worst_and_best(data["videos"], settings.videos)
    frames = {
        video_id: evenly_spaced(content.shown[video_id].video.length, settings.max_frames)
        for video_id in [*data["worst"], *data["best"]]
    }
    with new_report(output, overwrite=overwrite) as folder:
        for video_id, numbers in frames.items():
            part = players.player_part(content, video_id, numbers)
            write_data(folder / "videos" / f"{video_id}.js", "Report.receiveVideo", part)
        write_data(folder / "data.js", "Report.receive", data)
        _write_frames(folder / "frames", content, frames, events)
    return output / "index.html"


def _overview(content: Content, sources: dict[str, str]) -> dict:
    """What the page shows of any results."""
    gt, settings, shown = content.gt, content.settings, content.shown.values()
    names = {category.id: category.name for category in gt.categories}
    return {
        "title": settings.title,
        "sources": [{"name": name, "value": value} for name, value in sources.items()],
        "scored": gt.has_tracks,
        "iouThreshold": settings.iou_threshold,
        "scoreThreshold": settings.score_threshold,
        "areaLimits": list(settings.area_limits),
        "categories": [names[number] for number in content.categories],
        "totals": {
            "videos": len(gt.videos),
            "frames": sum(video.length for video in gt.videos),
            "true": sum(len(tracks.true) for tracks in shown),
            "predicted": sum(len(tracks.predicted) for tracks in shown),
        },
    }


def _add_scores(data: dict, content: Content) -> list[IdSwitch]:
    """Add what needs ground truth; return the switches that are shown."""
    settings = content.settings
    thresholds = {
        "iou_threshold": settings.iou_threshold,
        "score_threshold": settings.score_threshold,
    }
    switches = count_id_switches(content.gt, content.results, **thresholds)
    confusion = confuse_categories(content.gt, content.results, **thresholds)
    data["scores"] = tables.scores_part(content)
    data["confusion"] = confusion.tolist()
    data["videos"] = tables.scored_rows(content, switches)
    for key in ("matches", "misses", "falsePositives", "switches"):
        data["totals"][key] = sum(row[key] for row in data["videos"])
    events = players.choose_switches(switches, settings.switches)
    data["switches"] = [players.switch_part(content, event) for event in events]
    return events


def _write_frames(
    folder: Path, content: Content, frames: dict[int, list[int]], events: list[IdSwitch]
) -> None:
    """Write every picture that a player or a switch shows."""
    needed = {(video_id, number) for video_id, numbers in frames.items() for number in numbers}
    for event in events:
        length = content.shown[event.video_id].video.length
        needed |= {(event.video_id, t) for t in players.frames_around(event, length)}
    for video_id, number in tqdm(sorted(needed), desc="frames", unit="frame", disable=None):
        target = folder / str(video_id) / f"{number}.jpg"
        video, width = content.shown[video_id].video, content.settings.frame_width
        write_frame(target, content.images, video, number, width)
