"""A good dataset for the doctor, and what it finds in one."""

import copy
import json
from pathlib import Path
from typing import Any

from simplevtr.toolbox.doctor import Examination, Findings, Settings, examine

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
