"""A known dataset in YTVIS format, and the same tracks written in the formats of others."""

from __future__ import annotations

import base64
import io
import json
from functools import partial
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from simplevtr.commands.import_dataset import main
from simplevtr.toolbox.importing import read_dataset

import numpy as np
from json_files import save_json
from PIL import Image
from pycocotools import mask as coco_mask
from track_samples import rle as encoded
from track_samples import runs_of
from ytvis_folder import make_ytvis_folder

SIZE = (48, 64)
CLASSES = {"cat": 1, "dog": 2}

read_davis = partial(read_dataset, "davis")
read_mots = partial(read_dataset, "mots")
read_coco_tracks = partial(read_dataset, "coco-tracks")
read_cvat = partial(read_dataset, "cvat")
read_labelme = partial(read_dataset, "labelme")


class Known(NamedTuple):
    """``content`` is a YTVIS file's; frames are ``images/video1/00000.jpg`` ..."""

    content: dict
    images: Path

    def videos(self):
        """Each video with its tracks: (name, file names, [(category, masks)]), masks or None."""
        names = {c["id"]: c["name"] for c in self.content["categories"]}
        for video in self.content["videos"]:
            tracks = [
                (names[a["category_id"]], [decoded(s) for s in a["segmentations"]])
                for a in self.content["annotations"]
                if a["video_id"] == video["id"]
            ]
            files = [Path(name).name for name in video["file_names"]]
            yield Path(video["file_names"][0]).parent.name, files, tracks


def known_dataset(root: Path, *, videos: int = 2, ragged: bool = True) -> Known:
    """Two videos of four frames with a cat, absent in frame 1, and a dog; no masks overlap.

    ``ragged`` masks are in two parts with steps and a hole, otherwise they are rectangles.
    """
    folder = make_ytvis_folder(
        root, videos=videos, size=SIZE, absent=((0, 1),), segmentation="compressed"
    )
    content = json.loads(Path(folder.json_file).read_text())
    if ragged:
        for track in content["annotations"]:
            track["segmentations"] = [s and encoded(_ragged(s)) for s in track["segmentations"]]
    return Known(content, Path(folder.image_root))


def turn_frames(images: Path) -> None:
    """Store all frames on their side, with the EXIF orientation that turns them upright again."""
    exif = Image.Exif()
    exif[0x0112] = 6
    for path in images.glob("**/*.jpg"):
        Image.open(path).transpose(Image.Transpose.ROTATE_90).save(path, exif=exif, quality=95)


def decoded(segmentation):
    return None if segmentation is None else coco_mask.decode(segmentation).astype(bool)


def imported(kind: str, source: Path, output: Path, *options: object) -> Known:
    """What the command makes of a source; its frames are at ``--images`` of the options."""
    assert main([kind, str(source), "--output", str(output), *map(str, options)]) == 0
    return Known(json.loads(output.read_text()), Path())


def assert_same_tracks(known: Known, other: Known) -> None:
    """Videos, frames, tracks, categories and masks agree; ids and the order of tracks may not."""
    expected, found = (
        [(name, files, sorted(map(_comparable, tracks))) for name, files, tracks in k.videos()]
        for k in (known, other)
    )
    assert [video[:2] for video in found] == [video[:2] for video in expected]
    assert found == expected
    assert sum(len(tracks) for _, _, tracks in found) > 0


def _comparable(track) -> tuple:
    category, masks = track
    return category, tuple(b"" if m is None else m.tobytes() for m in masks)


def _ragged(segmentation: dict) -> np.ndarray:
    mask = coco_mask.decode(segmentation)
    (rows, columns) = mask.nonzero()
    top, left = rows.min(), columns.min()
    mask[top : top + 4, left : left + 5] = 0  # a step
    mask[top + 8 : top + 10, left + 6 : left + 9] = 0  # a hole
    mask[:, left + 12] = 0  # two parts
    return mask


def embedded_png(pixels: np.ndarray) -> str:
    """A picture as LabelMe writes masks into its JSON."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


# --- one writer a format


def seen(tracks, t):
    """Number from 1, category and mask of each track that frame ``t`` shows."""
    numbered = enumerate(tracks, start=1)
    return [(n, category, masks[t]) for n, (category, masks) in numbered if masks[t] is not None]


def write_davis(known: Known, root: Path, *, meta: bool = True, void: bool = False) -> Path:
    """``root/Annotations``, ``root/JPEGImages`` and YouTube-VOS's ``root/meta.json``."""
    root.mkdir()
    (root / "JPEGImages").symlink_to(known.images)
    described: dict = {}
    for name, files, tracks in known.videos():
        folder = root / "Annotations" / name
        folder.mkdir(parents=True)
        for t, file in enumerate(files):
            picture = np.zeros(SIZE, np.uint8)
            for number, _, mask in seen(tracks, t):
                picture[mask] = number
            if void:
                picture[-1, -3:] = 255
            image = Image.fromarray(picture, mode="P")
            image.putpalette(bytes(range(256)) * 3)  # a full one, or Pillow cuts the indices
            image.save(folder / f"{Path(file).stem}.png")
        objects = {str(i): {"category": c} for i, (c, _) in enumerate(tracks, start=1)}
        described[name] = {"objects": objects}
    if meta:
        save_json(root / "meta.json", {"videos": described})
    return root


def write_mots_text(known: Known, root: Path) -> Path:
    root.mkdir()
    for name, files, tracks in known.videos():
        lines = []
        for t in range(len(files)):
            for number, category, mask in seen(tracks, t):
                label = CLASSES[category]
                head = f"{t} {1000 * label + number} {label} {SIZE[0]} {SIZE[1]}"
                lines.append(f"{head} {encoded(mask)['counts']}")
        (root / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return root


def write_mots_png(known: Known, root: Path) -> Path:
    for name, files, tracks in known.videos():
        (root / name).mkdir(parents=True)
        for t in range(len(files)):
            picture = np.zeros(SIZE, np.uint16)
            for number, category, mask in seen(tracks, t):
                picture[mask] = 1000 * CLASSES[category] + number
            Image.fromarray(picture).save(root / name / f"{t:06d}.png")
    return root


def coco_content(known: Known, *, shape: str = "compressed") -> dict:
    """COCO images and annotations with track ids that count within a video."""
    images, annotations = [], []
    for video, (name, files, tracks) in enumerate(known.videos(), start=1):
        for t, file in enumerate(files):
            image = {"id": 100 * video + t, "height": SIZE[0], "width": SIZE[1]}
            image |= {"file_name": f"{name}/{file}", "video_id": video, "frame_index": t}
            images.insert(0, image)  # out of order
            for number, category, mask in seen(tracks, t):
                annotation = {"id": len(annotations), "image_id": image["id"], "iscrowd": 0}
                annotation["track_id" if video == 1 else "instance_id"] = number - 1
                annotation["category_id"] = CLASSES[category]
                annotations.append(annotation | {"segmentation": _coco_shape(mask, shape)})
    categories = [{"id": i, "name": name} for name, i in CLASSES.items()]
    return {"images": images, "annotations": annotations, "categories": categories}


def write_coco(known: Known, path: Path, **options) -> Path:
    return Path(save_json(path, coco_content(known, **options)))


def _coco_shape(mask: np.ndarray, shape: str):
    if shape == "polygon":
        return [rectangle_outline(mask)]
    if shape == "rings":
        return [{"exterior": np.reshape(rectangle_outline(mask), (-1, 2)).tolist()}]
    return encoded(mask) if shape == "compressed" else {"size": [*SIZE], "counts": runs_of(mask.T)}


def rectangle_outline(mask: np.ndarray) -> list[int]:
    """x, y, ... of the corners of a mask that is a rectangle."""
    x, y, w, h = map(int, coco_mask.toBbox(encoded(mask)))
    assert mask.sum() == w * h
    return [x, y, x + w, y, x + w, y + h, x, y + h]


def write_cvat(known: Known, root: Path, *, shape: str = "mask") -> Path:
    """One XML a video; absence is a shape that is outside, as CVAT writes it."""
    root.mkdir()
    for name, files, tracks in known.videos():
        top = ElementTree.Element("annotations")
        ElementTree.SubElement(top, "version").text = "1.1"
        task = ElementTree.SubElement(ElementTree.SubElement(top, "meta"), "task")
        head = {"start_frame": 0, "stop_frame": len(files) - 1, "frame_filter": ""}
        for key, value in head.items():
            ElementTree.SubElement(task, key).text = str(value)
        labels = ElementTree.SubElement(task, "labels")
        for label in CLASSES:
            entry = ElementTree.SubElement(labels, "label")
            ElementTree.SubElement(entry, "name").text = label
        for number, (category, masks) in enumerate(tracks):
            track = ElementTree.SubElement(top, "track", id=str(number), label=category)
            last = None
            for t in range(len(files)):
                outside = masks[t] is None
                last = last if outside else masks[t]
                if last is not None:
                    head = {"frame": str(t), "outside": str(int(outside)), "occluded": "0"}
                    head["keyframe"] = str(int(t % 2 == 0))
                    kind, values = _cvat_shape(last, shape)
                    ElementTree.SubElement(track, kind, head | values)
        ElementTree.ElementTree(top).write(root / f"{name}.xml", encoding="utf-8")
    return root


def _cvat_shape(mask: np.ndarray, shape: str) -> tuple[str, dict[str, str]]:
    if shape == "polygon":
        corners = np.reshape(rectangle_outline(mask), (-1, 2)).tolist()
        return "polygon", {"points": ";".join(f"{x:.2f},{y:.2f}" for x, y in corners)}
    x, y, w, h = map(int, coco_mask.toBbox(encoded(mask)))
    runs = ", ".join(map(str, runs_of(mask[y : y + h, x : x + w])))
    window = {"left": str(x), "top": str(y), "width": str(w), "height": str(h)}
    return "mask", {"rle": runs, **window}


def write_labelme(known: Known, root: Path) -> Path:
    """The rectangles as two polygons, left and right, of one group, that share a column's edge."""
    for name, files, tracks in known.videos():
        (root / name).mkdir(parents=True, exist_ok=True)
        for t, file in enumerate(files):
            shapes = []
            for number, category, mask in seen(tracks, t):
                x0, y0, x1, _, _, y1, _, _ = rectangle_outline(mask)
                middle = (x0 + x1) // 2
                for left, right in ((x0, middle), (middle, x1)):
                    points = [[left, y0], [right, y0], [right, y1], [left, y1]]
                    shapes.append(labelme_shape(category, points, group_id=number))
            content = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imageData": None}
            content |= {"imagePath": file, "imageHeight": SIZE[0], "imageWidth": SIZE[1]}
            save_json(root / name / f"{Path(file).stem}.json", content)
    return root


def labelme_shape(label: str, points: list, *, kind: str = "polygon", **values) -> dict:
    return {"label": label, "points": points, "shape_type": kind, "flags": {}} | values
