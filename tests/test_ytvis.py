from pathlib import Path

from simplevtr import setup_cfg
from simplevtr.data import builtin
from simplevtr.data.builtin import register_builtin, register_from_cfg
from simplevtr.data.categories import YTVIS_2019_CATEGORIES, YTVIS_2021_CATEGORIES
from simplevtr.data.ytvis import load_ytvis_json, register_ytvis

import pytest
from conftest import forget
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.structures import BoxMode
from json_files import change, edit_json
from ytvis_folder import make_ytvis_folder

MASKS = ("annotations", 1, "segmentations")
NAME = "ytvis_test_dataset"


def custom_cfg(*entries, train=(), test=()):
    cfg = setup_cfg()
    cfg.DATASETS.CUSTOM = list(entries)
    cfg.DATASETS.TRAIN, cfg.DATASETS.TEST = tuple(train), tuple(test)
    return cfg


def test_records(tmp_path):
    folder = make_ytvis_folder(tmp_path, videos=2, frames=[3, 4], size=(48, 64))
    records = load_ytvis_json(*folder)
    assert [r["video_id"] for r in records] == [1, 2]
    record = records[1]
    assert (record["height"], record["width"], record["length"]) == (48, 64, 4)
    assert record["file_names"][2] == f"{folder.image_root}/video2/00002.jpg"
    assert [[a["id"] for a in frame] for frame in record["annotations"]] == [[3], *[[3, 4]] * 3]
    track = record["annotations"][1][1]
    assert track["category_id"] == 1
    assert track["iscrowd"] == 0
    assert track["bbox"][2:] == [21, 16]
    assert track["bbox_mode"] == BoxMode.XYWH_ABS
    assert track["segmentation"]["size"] == [48, 64]


def test_videos_are_sorted_by_id_and_categories_made_contiguous(tmp_path):
    folder = make_ytvis_folder(tmp_path, videos=2)

    def renumber(content):
        content["videos"].reverse()
        content["categories"] = [{"id": 9, "name": "dog"}, {"id": 4, "name": "cat"}]
        for track in content["annotations"]:
            track["category_id"] = {1: 4, 2: 9}[track["category_id"]]

    edit_json(folder.json_file, renumber)
    records = load_ytvis_json(*folder, NAME)
    assert [r["video_id"] for r in records] == [1, 2]
    assert [a["category_id"] for a in records[0]["annotations"][1]] == [0, 1]
    metadata = MetadataCatalog.get(NAME)
    assert metadata.thing_classes == ["cat", "dog"]
    assert metadata.thing_dataset_id_to_contiguous_id == {4: 0, 9: 1}


def test_annotations_boxes_and_areas_may_be_missing(tmp_path):
    folder = make_ytvis_folder(tmp_path, videos=1, frames=3, annotations=False)
    assert load_ytvis_json(*folder)[0]["annotations"] == [[], [], []]
    folder = make_ytvis_folder(tmp_path, videos=1)
    edit_json(folder.json_file, lambda c: [track.pop("bboxes") for track in c["annotations"]])
    edit_json(folder.json_file, lambda c: [track.pop("areas") for track in c["annotations"]])
    assert load_ytvis_json(*folder)[0]["annotations"][1][0]["bbox"] is None


@pytest.mark.parametrize(
    ("apply", "message"),
    [
        (change(["videos"], []), "'videos' has no entry"),
        (lambda c: c.pop("videos"), "no list 'videos', only ['categories', 'annotations']"),
        (lambda c: (c.pop("videos"), c.update(images=[])), "a COCO file of single images?"),
        (
            lambda c: c.update(videos=[{"id": 1}], images=[{"video_id": 1}]),
            "import_dataset.py coco-tracks",
        ),
        (change(["categories"], []), "'categories' has no entry"),
        # What else is wrong in an entry is found as for evaluation (test_ground_truth.py).
        (change(["annotations", 0, "category_id"], 7), "annotations[0]: unknown category_id 7"),
        (lambda c: c["videos"][0].pop("file_names"), "video 1 has no file_names"),
        (
            change(["videos", 0, "file_names", 2], "../a.jpg"),
            "video 1, file_names[2]: file name '../a.jpg'",
        ),
        (
            change([*MASKS, 0], {"size": [9, 9], "counts": "o"}),
            "annotations[1]: frame 0: RLE size is [9, 9]",
        ),
    ],
)
def test_malformed_files_are_refused_with_file_and_value(tmp_path, apply, message):
    folder = make_ytvis_folder(tmp_path, videos=2)
    edit_json(folder.json_file, apply)
    with pytest.raises(ValueError, match="train.json") as caught:
        load_ytvis_json(*folder)
    assert message in str(caught.value)


def test_missing_files(tmp_path):
    folder = make_ytvis_folder(tmp_path, videos=3)
    with pytest.raises(FileNotFoundError, match=r"none\.json: no such file"):
        load_ytvis_json(tmp_path / "none.json", folder.image_root)
    with pytest.raises(FileNotFoundError, match="image root .*nowhere"):
        load_ytvis_json(folder.json_file, tmp_path / "nowhere")
    for video in (2, 3):
        Path(folder.image_root, f"video{video}/00002.jpg").unlink()  # one from the middle
    Path(folder.image_root, "video3/00002.jpg").symlink_to("nowhere")
    with pytest.raises(FileNotFoundError, match=r"2 of the 12 frames .*video2/00002\.jpg"):
        load_ytvis_json(*folder)


def test_builtin_dataset_with_other_categories_is_refused(tmp_path):
    names_2019 = tuple(name for _, name in YTVIS_2019_CATEGORIES)
    folder = make_ytvis_folder(tmp_path, videos=1, categories=names_2019)
    assert len(load_ytvis_json(*folder, "ytvis_2019_train")) == 1
    with pytest.raises(
        ValueError, match="ytvis_2021_train.* 1 'person' where 1 'airplane' belongs"
    ):
        load_ytvis_json(*folder, "ytvis_2021_train")


def test_register_is_lazy_and_repeatable(tmp_path, monkeypatch):
    folder = make_ytvis_folder(tmp_path, videos=1)
    register_ytvis(NAME, tmp_path / "missing.json", folder.image_root)  # not read yet
    with pytest.raises(FileNotFoundError, match="missing.json"):
        DatasetCatalog.get(NAME)
    forget(NAME)
    register_ytvis(NAME, *folder)
    register_ytvis(NAME, *folder)
    assert len(DatasetCatalog.get(NAME)) == len(DatasetCatalog.get(NAME)) == 1
    metadata = MetadataCatalog.get(NAME)
    assert (metadata.json_file, metadata.image_root) == tuple(folder)
    assert metadata.evaluator_type == "ytvis"
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path))  # the same files
    register_from_cfg(custom_cfg([NAME, "train.json", "train/JPEGImages"], train=[NAME]))


def test_register_refuses_other_files_under_the_same_name(tmp_path):
    register_ytvis(NAME, *make_ytvis_folder(tmp_path / "a", videos=1))
    other = make_ytvis_folder(tmp_path / "b", videos=1)
    with pytest.raises(ValueError, match=f"{NAME}.*{tmp_path}/a/.*{tmp_path}/b/"):
        register_ytvis(NAME, *other)
    with pytest.raises(ValueError, match="'coco_2017_train' is taken"):
        register_ytvis("coco_2017_train", *other)


def test_builtin_names_and_layout():
    expected = {
        "ytvis_2019_val": ("ytvis_2019/valid.json", "ytvis_2019/valid/JPEGImages"),
        "ytvis_2021_test": ("ytvis_2021/test.json", "ytvis_2021/test/JPEGImages"),
        "ovis_val": ("ovis/annotations_valid.json", "ovis/valid"),
        "embedded_hard_long": ("embedded/hard/long.json", "embedded/hard/long/JPEGImages"),
        "embedded_small_val": ("embedded/small/val.json", "embedded/small/val/JPEGImages"),
    }
    for name, (json_file, image_root) in expected.items():
        metadata = MetadataCatalog.get(name)
        assert metadata.json_file.endswith(json_file)
        assert metadata.image_root.endswith(image_root)
        assert name in DatasetCatalog
    assert "ytvis_2019_test" not in DatasetCatalog
    classes = MetadataCatalog.get("ytvis_2021_val").thing_classes
    assert classes == [name for _, name in YTVIS_2021_CATEGORIES]
    assert "thing_classes" not in MetadataCatalog.get("embedded_easy_train").as_dict()


@pytest.mark.parametrize(
    ("name", "usual", "other"),
    [
        ("ytvis_2021_train", "ytvis_2021/train.json", "ytvis_2021/train/instances.json"),
        ("ytvis_2019_val", "ytvis_2019/valid.json", "ytvis_2019/valid/instances.json"),
        ("ovis_val", "ovis/annotations_valid.json", "ovis/annotations/annotations_valid.json"),
        ("ovis_train", "ovis/annotations_train.json", "ovis/annotations/train.json"),
    ],
)
def test_archives_are_found_as_they_unpack(monkeypatch, tmp_path, name, usual, other):
    """Below the folder of the environment; names that are taken are kept with a warning."""
    warnings = []
    monkeypatch.setattr(builtin.logger, "warning", lambda *args: warnings.append(args))
    forget(name)
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path))
    (tmp_path / other).parent.mkdir(parents=True)
    try:
        for present, expected in ((None, usual), (other, other), (usual, usual)):
            if present is not None:
                (tmp_path / present).touch()
            register_builtin()
            assert MetadataCatalog.get(name).json_file == str(tmp_path / expected)
            assert MetadataCatalog.get(name).image_root.startswith(str(tmp_path))
            assert any("'embedded_easy_val' is taken" in str(args[-1]) for args in warnings)
            forget(name)
    finally:
        monkeypatch.undo()
        forget(name)
        register_builtin()


@pytest.mark.parametrize(
    "entry", [NAME, [NAME, "a.json"], [NAME, "a.json", 3], [NAME, "a.json", ""]]
)
def test_register_from_cfg_refuses_malformed_entries(entry):
    with pytest.raises(ValueError, match=r"DATASETS\.CUSTOM\[0\] is .*three strings"):
        register_from_cfg(custom_cfg(entry))
    assert NAME not in DatasetCatalog


def test_a_dataset_has_a_name_that_a_folder_can_have():
    with pytest.raises(ValueError, match=r"CUSTOM\[0\]: '../mine' cannot be the name of a folder"):
        register_from_cfg(custom_cfg(["../mine", "a.json", "images"]))


@pytest.mark.parametrize("name", ["ytvis_2091_train", "coco_2017_val"])
def test_unknown_dataset_names_are_refused(name):
    with pytest.raises(KeyError, match=f"{name}.*registered: .*ytvis_2019_train.*ovis_val"):
        register_from_cfg(custom_cfg(test=[name]))
