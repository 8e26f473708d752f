"""Predicted tracks in the formats of labelling tools, for correction; the importers' way back.

A folder of results has, in the names of the annotation file's folders and frames,

    cvat, cvat-masks   <video>.xml, CVAT for video 1.1
    mots               <video>/<frame>.png, 16-bit pictures of 1000 * class + instance
    davis              Annotations/<video>/<frame>.png, pictures of object numbers with a palette,
                       and YouTube-VOS's meta.json with the categories

A CVAT polygon is one ring: parts and holes of a mask are joined by bridges of no width. It follows
the mask within a pixel, with as few points as that takes, so that it can be edited. "cvat-masks"
are exact, but CVAT knows no tracks of masks, and takes only the first mask of each when it uploads
such a file.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from simplevtr import video_io
from simplevtr.formats import files
from simplevtr.formats.mots import NUMBERS
from simplevtr.formats.paths import natural_key, relative, with_slashes
from simplevtr.formats.polygons import polygons_text
from simplevtr.formats.rle import encode_mask, run_lengths
from simplevtr.formats.ytvis import Video
from simplevtr.terminal import counted
from simplevtr.toolbox.importing.sources import files_of, frame_number, sub_folders

import cv2
import numpy as np
from pycocotools import mask as coco_mask

if TYPE_CHECKING:  # it imports torch
    from simplevtr.structures import FrameTracks

KINDS = ("cvat", "cvat-masks", "mots", "davis")
_CLOSE = 1.0  # half pixels that a simplified outline may be off
_AROUND = np.ones((3, 3), np.uint8)  # a pixel and its neighbours


def video_names(videos: Sequence[Video]) -> dict[int, str]:
    """By id the folder of a video's frames, which importers look for; ids where there is none.

    ValueError: frames lie outside of the image root, or two videos have folders of one name.
    """
    names: dict[int, str] = {}
    for video in videos:
        file = relative(video.require_names()[0], "the image root")
        parts = [part for part in PurePosixPath(file).parent.parts if part != "img1"]
        name = parts[-1] if parts else str(video.id)
        if name in names.values():
            raise ValueError(f"video {video.id}: another video's frames are in a folder {name!r}")
        names[video.id] = name
    return names


def check_folder(kind: str, folder: Path, names: Mapping[str, Video]) -> None:
    """FileExistsError if a folder of results has what would be imported too.

    That are other videos than those in ``names``, and pictures of other frames.
    """
    if kind == "davis":
        folder /= "Annotations"
    if not folder.is_dir():
        return
    if kind.startswith("cvat"):
        found: dict[str, list[Path]] = {file.stem: [] for file in files_of(folder, ".xml")}
    else:
        found = {f.name: own for f in sub_folders(folder) if (own := files_of(f, ".png"))}
    for name, pictures in found.items():
        if name not in names:
            raise FileExistsError(f"{folder}: holds another video, {name}; write elsewhere")
        stems = {frame.stem for frame in _frames(names[name])}
        if others := [picture for picture in pictures if picture.stem not in stems]:
            raise FileExistsError(f"{others[0]}: is of a frame that is not written; remove it")


def _frames(video: Video) -> list[PurePosixPath]:
    return [PurePosixPath(with_slashes(name)) for name in video.require_names()]


def check_video(
    kind: str, name: str, video: Video, labels: Sequence[int], categories: Sequence[str]
) -> bool:
    """Whether CVAT numbers the frames as their names do, from 0 on, however it sorts them.

    Refuses what cannot be written. ``labels`` are those of the tracks, and ``categories`` what
    ``export_video`` takes.

    ValueError: frames are in several folders, share a name or, but for DAVIS, have no number that
    the importers could find them by, or are not in the order of their names; XML does not know a
    character; or there are more tracks than numbers.
    """
    paths = _frames(video)
    stems = [path.stem for path in paths]
    numbers: list[Any] = [] if kind == "davis" else [*map(frame_number, stems)]
    if len({path.parent for path in paths}) > 1:
        raise ValueError(f"video {video.id}: its frames are in several folders")
    if len(set(stems)) < len(stems):
        raise ValueError(f"video {video.id}: two of its frames have the same name")
    if len({*numbers} - {None}) < len(numbers):
        raise ValueError(f"video {video.id}: its frames' names do not end in numbers of their own")
    if kind.startswith("cvat"):
        for text in (name, *categories):
            if not text.isprintable():
                raise ValueError(f"{text!r:.80} has characters that XML does not know")
    for order in ([*map(natural_key, stems)], numbers):
        if order != sorted(order):
            raise ValueError(
                f"video {video.id}: its frames are not in the order of their names, in which they "
                "would come back"
            )
    _check_room(kind, video, labels, categories)
    return numbers == [*range(len(numbers))] and stems == sorted(stems)


def _check_room(kind: str, video: Video, labels: Sequence[int], categories: Sequence[str]) -> None:
    rooms = []  # what is counted, how many there are, and for how many the format has numbers
    if kind == "davis":
        rooms = [("", len(labels), video_io.DavisPngSink.MOST)]
    if kind == "mots":
        for label, count in Counter(labels).items():
            room = min(NUMBERS - 1, 2**16 - 1 - NUMBERS * (label + 1))
            rooms.append((f" of {categories[label]!r}", count, max(room, 0)))
    for what, count, room in rooms:
        if count > room:
            found = f"{counted(count, 'tracks')}{what}; {kind} has numbers for {room}"
            raise ValueError(f"video {video.id}: {found} (--score-threshold leaves weak ones out)")


def export_video(
    kind: str,
    folder: Path,
    name: str,
    video: Video,
    frames: Sequence["FrameTracks"],
    categories: Sequence[str],
    *,
    overwrite: bool = False,
) -> int:
    """Write the tracks of a video, by frame, as one of ``KINDS``; ``categories`` are by label.

    ``check_video`` has checked them. Returns in how many frames a track lost pixels to a better one
    because the format has one track per pixel.
    """
    if kind.startswith("cvat"):
        root = _cvat(name, video, frames, categories, exact=kind == "cvat-masks")
        text = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
        files.write_bytes(folder / f"{name}.xml", text, overwrite=overwrite)
        return 0
    if kind == "mots":
        open_pictures, folder = video_io.MotsPngSink, folder / name
    else:
        open_pictures, folder = video_io.DavisPngSink, folder / "Annotations" / name
    folder.mkdir(parents=True, exist_ok=True)  # its name may have a dot
    pictures = [f"{frame.stem}.png" for frame in _frames(video)]
    size = (video.height, video.width)
    with open_pictures(folder, size, names=pictures, overwrite=overwrite) as sink:
        for frame in frames:
            sink.write(frame)
    return sink.overlaps


def _cvat(
    name: str,
    video: Video,
    frames: Sequence["FrameTracks"],
    categories: Sequence[str],
    *,
    exact: bool,
) -> ElementTree.Element:
    """The tree of a file; in the first frame after those that show a track it is outside."""
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    task = ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task")
    head = {"name": name, "size": video.length, "mode": "interpolation", "overlap": 0}
    head |= {"start_frame": 0, "stop_frame": video.length - 1, "frame_filter": ""}
    for key, value in head.items():
        ElementTree.SubElement(task, key).text = str(value)
    labels = ElementTree.SubElement(task, "labels")
    for category in categories:
        entry = ElementTree.SubElement(labels, "label")
        ElementTree.SubElement(entry, "name").text = category
    size = ElementTree.SubElement(task, "original_size")
    ElementTree.SubElement(size, "width").text = str(video.width)
    ElementTree.SubElement(size, "height").text = str(video.height)
    tracks: dict[tuple[int, int], dict[int, dict]] = {}  # by id and label the mask of each frame
    for frame in frames:
        own = zip(frame.track_ids, frame.labels, strict=True)
        for track, mask in zip(own, frame.masks, strict=True):
            tracks.setdefault(track, {})[frame.index] = mask
    for (number, label), masks in sorted(tracks.items()):
        about = {"id": str(number), "label": categories[label], "source": "auto"}
        element = ElementTree.SubElement(root, "track", about)
        last: dict[str, str] | None = None  # of the frame before, where it shows the track
        for t in range(video.length):
            shown = masks.get(t)
            shape = shown and (_mask(shown) if exact else _polygon(shown))
            if found := shape or last:
                flags = {"frame": str(t), "keyframe": "1", "outside": str(int(shape is None))}
                kind = "mask" if exact else "polygon"
                ElementTree.SubElement(element, kind, flags | found | {"occluded": "0"})
            last = shape
    return root


def _mask(rle: dict) -> dict[str, str]:
    """The attributes of a mask: run lengths along the rows of its box, background first."""
    left, top, width, height = (int(side) for side in coco_mask.toBbox(rle))
    window = coco_mask.decode(rle)[top : top + height, left : left + width]
    runs = run_lengths(encode_mask(window.T))  # those of an RLE go along columns
    sides = {"left": left, "top": top, "width": width, "height": height, "z_order": 0}
    return {"rle": ", ".join(map(str, runs))} | {key: str(value) for key, value in sides.items()}


def _polygon(rle: dict) -> dict[str, str]:
    """The attributes of a polygon within a pixel of a mask, or of its exact outline if need be."""
    # At twice the size an outline along the pixels' centres has an inside, however thin the mask.
    mask = coco_mask.decode(rle)
    double = mask.repeat(2, axis=0).repeat(2, axis=1)
    rings, _ = cv2.findContours(double, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    simple = [cv2.approxPolyDP(ring, _CLOSE, closed=True) for ring in rings]
    simple = [ring if len(ring) > 2 else whole for ring, whole in zip(simple, rings, strict=True)]
    points = _joined(simple)
    text = polygons_text([points.ravel().tolist()], *rle["size"])
    drawn = coco_mask.decode({"size": rle["size"], "counts": text})
    # Thin parts of a mask may have gone.
    if (mask > cv2.dilate(drawn, _AROUND)).any() or (drawn > cv2.dilate(mask, _AROUND)).any():
        points = _joined(rings)
    return {"points": ";".join(f"{x:.2f},{y:.2f}" for x, y in points.tolist()), "z_order": "0"}


def _joined(rings: Sequence[np.ndarray]) -> np.ndarray:
    """(N, 2) x, y in pixels of one ring through (n, 1, 2) rings at twice the size.

    From its first point a bridge leads to each further ring and back, which encloses nothing.
    """
    first, *others = (ring[:, 0] for ring in rings)
    path = [first]
    for ring in others:
        start = np.argmin(np.abs(ring - first[0]).sum(axis=1))
        path += [first[:1], np.roll(ring, -start, axis=0), ring[start : start + 1]]
    return (np.concatenate(path) + 0.5) / 2
