import itertools
import logging
import re

from simplevtr.data.build import build_test_loader, build_train_loader, epoch_length
from simplevtr.data.builtin import register_from_cfg
from simplevtr.data.class_names import settle_classes
from simplevtr.data.coco_stills import load_coco_stills, register_coco_stills
from simplevtr.data.ytvis import register_ytvis

import pytest
from coco_stills_folder import SIZE, make_stills
from detectron2.data import DatasetCatalog, MetadataCatalog
from ytvis_folder import loader_cfg, make_ytvis_folder

VIDEOS, STILLS = "pseudo_test_videos", "pseudo_test_stills"


def test_records(tmp_path, caplog):
    def change(annotations):
        annotations[2]["iscrowd"] = 1  # image 2 has nothing left
        annotations[4]["segmentation"] = []  # image 3 too
        annotations.append(dict(annotations[0], id=99, category_id=74))  # a computer's mouse

    path, folder = make_stills(tmp_path, annotations=change)
    with caplog.at_level(logging.INFO, "simplevtr.data.coco_stills"):
        (record,) = load_coco_stills(path, folder, ["mouse", "cat"])
    assert (record["video_id"], record["length"], record["still"]) == (1, 1, True)
    assert (record["height"], record["width"]) == SIZE
    assert record["file_names"] == [str(folder / "1.jpg")]
    ((annotation,),) = record["annotations"]
    assert (annotation["id"], annotation["category_id"]) == (1, 1)
    assert "dropped: 1 of crowds, 1 without segmentation" in caplog.text
    assert "1 stills with 1 instances of 1 categories are used: cat; " in caplog.text
    assert "dropped: 2 images without any, 4 annotations of other categories" in caplog.text


@pytest.mark.parametrize(
    ("key", "edit", "message"),
    [
        ("images", lambda x: x[0].pop("height"), "images[0]: height must be an integer of 1"),
        ("images", lambda x: x[0].update(id=2), "images[1]: id 2 is used"),
        ("images", lambda x: x.append(3), "images[3]: must be an object"),
        ("annotations", lambda x: x[0].update(image_id=9), "[0]: unknown image_id 9"),
        ("annotations", lambda x: x[0].update(category_id=9), "[0]: unknown category_id 9"),
        ("annotations", lambda x: x[0].pop("category_id"), "[0]: category_id must be an integer"),
        ("annotations", lambda x: x[0].update(id=2), "annotations[1]: id 2 is used"),
        ("annotations", lambda x: x[0].update(iscrowd="0"), "iscrowd must be 0 or 1, got '0'"),
        ("annotations", lambda x: x[2].update(segmentation=[[1, 2]]), "[2]: polygon [1, 2]; a"),
        (
            "annotations",
            lambda x: x[2].update(segmentation={"size": [48, 64], "counts": "0"}),
            "annotations[2]: RLE counts cover 0 pixels",
        ),
        ("categories", lambda x: x[0].pop("name"), "categories[0]: name must be text"),
        ("categories", lambda x: x[0].update(name="tiger"), "none of its categories, such as"),
    ],
)
def test_bad_files_are_named(tmp_path, key, edit, message):
    path, folder = make_stills(tmp_path, **{key: edit})
    with pytest.raises(ValueError, match=f"instances.json.*{re.escape(message)}"):
        load_coco_stills(path, folder, ["cat"])


def test_missing_files_are_named(tmp_path):
    path, folder = make_stills(tmp_path)
    (folder / "2.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of the 3 images .* missing one is .*2.jpg"):
        load_coco_stills(path, folder, ["cat"])
    with pytest.raises(FileNotFoundError, match="nowhere of .* is not a folder"):
        load_coco_stills(path, tmp_path / "nowhere", ["cat"])


def cfg_for(*datasets, **keys):
    more = {"SOLVER.IMS_PER_BATCH": 1, "MODEL.SIMPLEVTR.NUM_CLASSES": 2}
    return loader_cfg(*datasets, **more, **keys)


def register(tmp_path, *, videos=4, images=3):
    register_ytvis(VIDEOS, *make_ytvis_folder(tmp_path / "videos", videos=videos, frames=3))
    register_coco_stills(STILLS, *make_stills(tmp_path, count=images), VIDEOS)


def share_of_stills(cfg, count):
    clips = [b[0] for b in itertools.islice(build_train_loader(cfg), count)]
    return sum(len(set(clip["file_names"])) == 1 for clip in clips) / count


@pytest.mark.parametrize("images", [2, 30])  # fewer and more than video clips
@pytest.mark.parametrize("ratio", [0.0, 0.25, 0.75])
def test_share_of_stills(tmp_path, ratio, images):
    register(tmp_path, images=images)
    cfg = cfg_for(VIDEOS, STILLS, **{"DATASETS.PSEUDO_RATIO": ratio, "INPUT.AUGMENTATIONS": []})
    assert share_of_stills(cfg, 96) == pytest.approx(ratio, abs=0.08)
    assert epoch_length(cfg) == 12 / (1 - ratio)  # 4 videos of 3 anchor frames


def test_stills_are_pasted_from_as_often_as_they_are_visited(tmp_path, monkeypatch):
    register(tmp_path, images=30)
    donors = []

    def paste(clip, donor, rng):
        donors.append(len(set(donor["file_names"])) == 1)
        return clip

    monkeypatch.setattr("simplevtr.data.clip_stream.paste_tracks", paste)
    keys = {"DATASETS.PSEUDO_RATIO": 0.25, "INPUT.AUGMENTATIONS": ["paste"]}
    share_of_stills(cfg_for(VIDEOS, STILLS, **keys), 200)
    assert len(donors) == pytest.approx(100, abs=20)
    assert sum(donors) / len(donors) == pytest.approx(0.25, abs=0.1)


@pytest.mark.parametrize("scheme", ["video", "frame", "compromise"])
def test_a_stream_with_stills_goes_on_where_it_stopped(tmp_path, scheme):
    """Epochs differ in length there, since visits are rounded at random."""
    register(tmp_path, images=5)
    cfg = cfg_for(VIDEOS, STILLS, **{"DATASETS.PSEUDO_RATIO": 0.3, "INPUT.SAMPLING_SCHEME": scheme})

    def seen(start, count):
        stream = build_train_loader(cfg)
        stream.start = start
        return [
            (clip["file_names"][0], clip["frame_idx"], [i.numpy().tobytes() for i in clip["image"]])
            for (clip,) in itertools.islice(stream, count)
        ]

    whole = seen(0, 60)
    for start in (1, 16, 17, 41):
        assert seen(start, 5) == whole[start : start + 5]


@pytest.mark.parametrize("scheme", ["video", "frame", "compromise"])
def test_stills_alone(tmp_path, scheme):
    """The share says nothing then, and an epoch visits each image once."""
    register(tmp_path)
    cfg = cfg_for(STILLS, **{"INPUT.SAMPLING_SCHEME": scheme, "DATASETS.PSEUDO_RATIO": 0.1})
    assert epoch_length(cfg) == 3
    ids = [batch[0]["video_id"] for batch in itertools.islice(build_train_loader(cfg), 3)]
    assert sorted(ids) == [1, 2, 3]


def test_categories_are_those_of_the_videos(tmp_path):
    register(tmp_path)
    (record, *_) = DatasetCatalog.get(STILLS)
    assert MetadataCatalog.get(STILLS).thing_classes == ["cat", "dog"]
    assert record["annotations"][0][0]["category_id"] == 0


def test_stills_are_not_for_testing(tmp_path):
    register(tmp_path)
    with pytest.raises(ValueError, match=f"{STILLS!r} has still images, which are for"):
        build_test_loader(cfg_for(), STILLS)
    cfg = cfg_for(VIDEOS)
    cfg.DATASETS.TEST = (STILLS,)
    with pytest.raises(ValueError, match=r"still images, which are for DATASETS.TRAIN only"):
        register_from_cfg(cfg)


def test_custom_entry(tmp_path, monkeypatch):
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path))
    make_ytvis_folder(tmp_path / "videos", videos=1)
    make_stills(tmp_path)
    cfg = cfg_for(STILLS)
    cfg.DATASETS.TEST = (VIDEOS,)
    cfg.DATASETS.CUSTOM = [
        [STILLS, "instances.json", "stills", "coco_pseudo", VIDEOS],
        [VIDEOS, "videos/train.json", "videos/train/JPEGImages"],
    ]
    register_from_cfg(cfg)
    register_from_cfg(cfg)
    settle_classes(cfg, train=True)
    assert len(DatasetCatalog.get(STILLS)) == 3
    cfg.DATASETS.CUSTOM[0][-1] = "ovis_train"
    with pytest.raises(ValueError, match=f"dataset name {STILLS!r} is taken by"):
        register_from_cfg(cfg)
    cfg.DATASETS.CUSTOM = [[STILLS, "a.json", "b", "something", VIDEOS]]
    with pytest.raises(ValueError, match="or five, the last two 'coco_pseudo' and a dataset"):
        register_from_cfg(cfg)


@pytest.mark.parametrize("target", ["nonesuch", STILLS, "coco_2017_val"])
def test_targets_that_are_no_videos_are_named(tmp_path, target):
    register_coco_stills(STILLS, *make_stills(tmp_path), target)
    message = f"takes the categories of {target!r}, which is not a registered dataset of videos"
    with pytest.raises(KeyError, match=message):
        DatasetCatalog.get(STILLS)
    with pytest.raises(KeyError, match=message):
        settle_classes(cfg_for(STILLS), train=True)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("coco_pseudo_2017_train", "ytvis_2019_train"),
        ("coco_pseudo_2017_val_ytvis_2021", "ytvis_2021_train"),
        ("coco_pseudo_2017_train_ovis", "ovis_train"),
        ("coco_pseudo_2017_train_coco", "coco_2017_train"),
    ],
)
def test_builtin_names(name, target):
    metadata = MetadataCatalog.get(name)
    assert name in DatasetCatalog
    assert metadata.categories_of == target
    assert metadata.json_file.endswith(f"coco/annotations/instances_{name.split('_')[3]}2017.json")
