"""One picture per video: some of its frames with their true masks."""

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from simplevtr.formats.files import refuse_replaced_frames
from simplevtr.formats.images import evenly_spaced, read_frame
from simplevtr.formats.paths import below, existing
from simplevtr.formats.rle import mask_text

import numpy as np
from tqdm import tqdm

logger = logging.getLogger(__name__)


def write_contact_sheets(
    content: dict[str, Any], image_root: str, folder: Path, *, most_videos: int | None = None
) -> int:
    """Write FOLDER/<video id>.png for each video of a repaired file, or of the first so many.

    Returns the number of pictures: a video whose frames cannot be read has a warning instead.
    ValueError if a picture would take the place of a frame.
    """
    videos = content["videos"][:most_videos]
    files = (below(image_root, n) for video in content["videos"] for n in video["file_names"])
    refuse_replaced_frames((folder / f"{video['id']}.png" for video in videos), files)
    # Only now, because it imports detectron2, which takes seconds.
    from simplevtr.visualization.clip_sheet import write_sheet

    names = dict(sorted((entry["id"], entry["name"]) for entry in content["categories"]))
    tracks: dict[int, list[dict[str, Any]]] = {}
    for track in content.get("annotations") or ():
        tracks.setdefault(track["video_id"], []).append(track)
    written = 0
    for video in tqdm(videos, unit="video", desc="sheets", disable=None):
        try:
            sheet = _sheet(video, tracks.get(video["id"], []), image_root, names)
        except (ValueError, OSError) as error:
            logger.warning("No contact sheet of video %d: %s", video["id"], error)
            continue
        write_sheet(folder / f"{video['id']}.png", sheet, overwrite=True)
        written += 1
    return written


def _sheet(
    video: dict[str, Any], tracks: list[dict[str, Any]], image_root: str, names: dict[int, str]
) -> np.ndarray:
    """(H', W', 3) uint8 RGB; ``names`` of categories by id, in the order of their labels."""
    from simplevtr.structures import FrameTracks
    from simplevtr.visualization.clip_sheet import COLUMNS, clip_sheet

    size, labels = (video["height"], video["width"]), [*names]
    numbers = evenly_spaced(video["length"], COLUMNS)
    paths = [existing(below(image_root, video["file_names"][t])) for t in numbers]
    frames = [read_frame(path, size) for path in paths]
    rows: list[Any] = []
    for track in tracks:
        masks = [track["segmentations"][t] or None for t in numbers]
        texts = [mask and mask_text(mask, *size, allow_polygons=True) for mask in masks]
        rles = [text and {"size": [*size], "counts": text} for text in texts]
        rows.append((track["id"], labels.index(track["category_id"]), None, rles))
    drawn = FrameTracks.of_video(rows, size, len(numbers))
    truth = [replace(tracks, index=t) for t, tracks in zip(numbers, drawn, strict=True)]
    title = os.path.dirname(video["file_names"][0])[-30:] or f"video {video['id']}"
    return clip_sheet(np.stack(frames), {title: truth}, thing_classes=[*names.values()])
