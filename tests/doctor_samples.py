"""A good dataset for the doctor, and changes to it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simplevtr.data.doctor import Examination, Findings, Settings, examine

from ytvis_folder import YtvisFolder, make_ytvis_folder

HEIGHT, WIDTH = 48, 64


def make_good(root: Path, *, split: str = "train", segmentation: str = "compressed") -> YtvisFolder:
    """Three videos of four frames and two tracks; the second is absent in the first frame."""
    return make_ytvis_folder(root, split=split, segmentation=segmentation)


def read(folder: YtvisFolder) -> dict[str, Any]:
    return json.loads(Path(folder.json_file).read_text())


def found(content: dict, *, ignored: tuple[str, ...] = (), **settings: Any) -> Examination:
    """An examination that leaves the content as it is."""
    before = copy.deepcopy(content)
    settings = Settings(**{"repair": True, **settings})
    examination = examine(content, settings, Findings(ignored=ignored))
    assert str(content) == str(before)  # not ==, which NaN would fail
    return examination


def repaired(examination: Examination) -> dict[str, Any]:
    """The repaired content as a file would give it back."""
    return json.loads(json.dumps(examination.repaired, allow_nan=False))


def video(i: int = 0, **values: Any) -> Callable[[dict], None]:
    return lambda content: content["videos"][i].update(values)


def track(i: int = 0, **values: Any) -> Callable[[dict], None]:
    return lambda content: content["annotations"][i].update(values)


def entry(key: str, frame: int, value: Any, i: int = 0) -> Callable[[dict], None]:
    """Put a value into one of the lists of a track."""

    def change(content: dict) -> None:
        content["annotations"][i][key][frame] = value

    return change


def mask(value: Any) -> Callable[[dict], None]:
    """Put something in the place of a mask."""
    return entry("segmentations", 1, value)


def box(value: Any, frame: int = 1, i: int = 0) -> Callable[[dict], None]:
    return entry("bboxes", frame, value, i)


def area(value: Any, frame: int = 1, i: int = 0) -> Callable[[dict], None]:
    return entry("areas", frame, value, i)


def file_name(value: Any, frame: int = 0, i: int = 0) -> Callable[[dict], None]:
    def change(content: dict) -> None:
        content["videos"][i]["file_names"][frame] = value

    return change


def without(kind: str, key: str, i: int = 0) -> Callable[[dict], None]:
    return lambda content: content[kind][i].pop(key)


def appended(kind: str, value: Any) -> Callable[[dict], None]:
    return lambda content: content[kind].append(value)


def repeated(kind: str, **changes: Any) -> Callable[[dict], None]:
    """Append a copy of the first entry."""
    return lambda content: content[kind].append({**content[kind][0], **changes})


def rle(counts: Any, size: Any = (HEIGHT, WIDTH)) -> dict[str, Any]:
    return {"size": list(size) if isinstance(size, tuple) else size, "counts": counts}
