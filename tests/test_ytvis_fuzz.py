"""Whatever an annotation file holds, it is refused with its name, or its clips can be read."""

import copy
import json

from simplevtr.data.annotations import read_tracks, tracks_to_instances
from simplevtr.data.coco_stills import load_coco_stills
from simplevtr.data.transforms import ClipGeometry
from simplevtr.data.ytvis import load_ytvis_json

import pytest
from fuzzing import CUTS, FUZZ, STEPS, cut, mutate
from hypothesis import given
from ytvis_folder import make_ytvis_folder

LARGEST = 2**16  # pixels of a frame whose masks the test itself decodes


@pytest.fixture(scope="module", params=["compressed", "uncompressed", "polygon"])
def folder(request, tmp_path_factory):
    return make_ytvis_folder(tmp_path_factory.mktemp("ytvis"), segmentation=request.param)


def read_or_refuse(load, path, image_root, **more):
    """The records; nothing if the file is refused, which a message that names it must do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("simplevtr.data.ytvis.find_frames", lambda *_: None)
        patch.setattr("simplevtr.data.coco_stills.find_frames", lambda *_: None)
        try:
            return load(path, image_root, **more)
        except ValueError as error:
            message = str(error)
    assert str(path) in message
    assert len(message) < 1000
    return []


def read_clips(records):
    for record in records:
        size = record["height"], record["width"]
        if size[0] * size[1] > LARGEST:
            continue
        tracks = read_tracks(record["annotations"], size)
        clip = tracks_to_instances(tracks, ClipGeometry((0, 0, *size[::-1]), size))
        assert len(clip) == record["length"]


@FUZZ
@given(steps=STEPS)
def test_any_annotation_file(folder, steps, tmp_path):
    content = json.loads(open(folder.json_file).read())
    mutate(content, steps)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    read_clips(read_or_refuse(load_ytvis_json, path, folder.image_root))


@FUZZ
@given(cuts=CUTS)
def test_any_bytes(folder, cuts, tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(cut(open(folder.json_file, "rb").read(), cuts))
    read_clips(read_or_refuse(load_ytvis_json, path, folder.image_root))


@pytest.fixture(scope="module")
def stills():
    return {
        "images": [{"id": 1, "file_name": "1.jpg", "height": 20, "width": 30}],
        "categories": [{"id": 1, "name": "cat", "supercategory": "animal"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": [1, 1, 8, 8],
             "segmentation": [[1, 1, 9, 1, 9, 9]]},
            {"id": 2, "image_id": 1, "category_id": 1, "iscrowd": 1, "bbox": [0, 0, 9, 9],
             "segmentation": {"size": [20, 30], "counts": [100, 300, 200]}},
        ],
    }  # fmt: skip


@FUZZ
@given(steps=STEPS)
def test_any_file_of_stills(stills, steps, tmp_path):
    content = copy.deepcopy(stills)
    mutate(content, steps)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    read_clips(read_or_refuse(load_coco_stills, path, str(tmp_path), classes=("cat",)))
