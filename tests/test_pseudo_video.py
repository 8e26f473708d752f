import itertools
import json
import logging

from simplevtr.config import add_simplevtr_config
from simplevtr.data import (
    ClipAugmentation,
    YTVISDatasetMapper,
    build_test_loader,
    build_train_loader,
    epoch_length,
    register_from_cfg,
    register_ytvis,
)
from simplevtr.data.annotations import read_tracks
from simplevtr.data.checks import check_classes
from simplevtr.data.coco_stills import load_coco_stills, register_coco_stills
from simplevtr.data.pseudo_video import AffineMotion, warp_image, warp_tracks

import numpy as np
import pytest
from detectron2.config import get_cfg
from detectron2.data import DatasetCatalog, MetadataCatalog
from PIL import Image
from pycocotools import mask as coco_mask
from ytvis_folder import forget, make_ytvis_folder

VIDEOS, STILLS = "pseudo_test_videos", "pseudo_test_stills"
SIZE = (48, 64)
STILL = AffineMotion(translate=0, scale=1, rotate=0, shear=0)


@pytest.fixture(autouse=True)
def _clean_catalog():
    yield
    forget(VIDEOS, STILLS)


# --- motion


def corners(matrices, size=SIZE):
    """(T, 4, 2) of the picture in the frames."""
    height, width = size
    points = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]])
    return points @ matrices.transpose(0, 2, 1)


def test_motion_is_smooth_random_and_bounded():
    motion = AffineMotion(translate=0.2, scale=1.5, rotate=20, shear=10)
    clips = [motion.draw(33, SIZE, np.random.default_rng(seed)) for seed in range(50)]
    for matrices in clips:
        assert matrices.shape == (33, 2, 3)
        moved = corners(matrices)
        steps = np.diff(moved, axis=0)
        assert np.abs(steps).max() < 8  # of 48 x 64 pixels
        assert np.abs(np.diff(steps, axis=0)).max() < 1.5  # the speed does not jump either
        shift = moved.mean(axis=1) - [32, 24]
        assert (np.abs(shift) <= [0.2 * 64 + 1e-9, 0.2 * 48 + 1e-9]).all()
        factor = np.sqrt(np.linalg.det(matrices[:, :, :2]))
        assert (factor <= 1.5 + 1e-9).all()
        assert (factor >= 1 / 1.5 - 1e-9).all()
        angle = np.degrees(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
        assert np.abs(angle).max() <= 20 + 1e-9
    every = np.concatenate(clips)
    angle = np.degrees(np.arctan2(every[:, 1, 0], every[:, 0, 0]))
    assert angle.min() < -15
    assert angle.max() > 15
    assert np.abs(corners(every).mean(axis=1)[:, 0] - 32).max() > 10
    again = motion.draw(33, SIZE, np.random.default_rng(0))
    assert (again == clips[0]).all()
    assert (clips[0] != clips[1]).any()


def test_parts_of_the_motion():
    """With only one of them on, the others leave their trace nowhere."""
    rng = np.random.default_rng(1)
    off = {"translate": 0, "scale": 1, "rotate": 0, "shear": 0}
    identity = np.array([[1, 0, 0], [0, 1, 0]])
    assert np.allclose(AffineMotion(**off).draw(5, SIZE, rng), identity)
    shift = AffineMotion(**off | {"translate": 0.5}).draw(5, SIZE, rng)
    assert np.allclose(shift[:, :, :2], np.eye(2))
    turn = AffineMotion(**off | {"rotate": 40}).draw(5, SIZE, rng)[:, :, :2]
    assert np.allclose(turn @ turn.transpose(0, 2, 1), np.eye(2))
    lean = AffineMotion(**off | {"shear": 30}).draw(5, SIZE, rng)[:, :, :2]
    assert np.allclose(lean[:, :, 0], [1, 0])
    assert np.allclose(lean[:, 1, 1], 1)
    assert np.abs(lean[:, 0, 1]).max() > 0.05
    for matrices in (shift, turn, lean):
        assert not np.allclose(matrices, matrices[0])


def test_one_frame():
    assert AffineMotion().draw(1, SIZE, np.random.default_rng(0)).shape == (1, 2, 3)


@pytest.mark.parametrize(
    "values",
    [{"translate": -1}, {"scale": 0.5}, {"rotate": -1}, {"shear": 90}, {"scale": float("nan")}],
)
def test_bad_motions_are_refused(values):
    with pytest.raises(ValueError, match="must be >= 0"):
        AffineMotion(**values)


# --- warping


def still_tracks(*masks):
    frame = [
        {"id": i, "category_id": 0, "segmentation": coco_mask.encode(np.asfortranarray(mask))}
        for i, mask in enumerate(masks)
    ]
    return read_tracks([frame], masks[0].shape, frame_numbers=[0], source="test")


def blob(top, left, height, width):
    mask = np.zeros(SIZE, np.uint8)
    mask[top : top + height, left : left + width] = 1
    return mask


def shift_by(x, y):
    return np.array([[1, 0, x], [0, 1, y]], dtype=float)


def test_whole_pixels_move_exactly():
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    assert (warp_image(image, shift_by(0, 0)) == image).all()
    moved = warp_image(image, shift_by(5, -3))
    assert (moved[:-3, 5:] == image[3:, :-5]).all()
    assert np.abs(moved[:, :5] - image.mean(axis=(0, 1))).max() <= 1
    tracks = warp_tracks(still_tracks(blob(10, 10, 6, 7)), np.stack([shift_by(5, -3)] * 2))
    for (rle,) in tracks.masks:
        assert (coco_mask.decode(rle) == blob(7, 15, 6, 7)).all()


def test_masks_move_as_pixels_do():
    """A white shape on black is its own mask, at any angle and size."""
    mask = blob(12, 20, 20, 24)
    motion = AffineMotion(rotate=40, scale=1.5, shear=15).draw(6, SIZE, np.random.default_rng(3))
    tracks = warp_tracks(still_tracks(mask), motion)
    for (rle,), matrix in zip(tracks.masks, motion, strict=True):
        picture = warp_image(np.repeat(mask[:, :, None], 3, axis=2) * 255, matrix)[:, :, 0] > 127
        found = coco_mask.decode(rle).astype(bool)
        assert (picture & found).sum() / (picture | found).sum() > 0.99
        assert abs(picture.sum() / mask.sum() / np.linalg.det(matrix[:, :2]) - 1) < 0.05


def test_reduced_pictures_move_alike():
    """A smooth picture at half its size, moved, is the moved picture at half its size."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    image = np.stack([2 * x, 3 * y, x + y], axis=2).astype(np.uint8)

    def half(a):
        return a.reshape(24, 2, 32, 2, 3).mean(axis=(1, 3))

    motion = AffineMotion(rotate=20).draw(4, SIZE, np.random.default_rng(2))
    for matrix in motion:
        small = warp_image(half(image).astype(np.uint8), matrix, 2).astype(float)
        whole = half(warp_image(image, matrix).astype(float))
        assert np.median(np.abs(small - whole)) < 1.5


def test_what_leaves_the_frame_is_absent():
    motion = np.stack([shift_by(0, 0), shift_by(-30, 0)])
    tracks = warp_tracks(still_tracks(blob(10, 2, 5, 5), blob(10, 40, 5, 5)), motion)
    assert [[rle is not None for rle in frame] for frame in tracks.masks] == [
        [True, True],
        [False, True],
    ]
    assert (tracks.ids, tracks.classes) == ([0, 1], [0, 0])


# --- files


def make_stills(root, *, count=3, suffix="jpg", **changes):
    """A COCO file of images with a cat and a teapot; returns (file, folder)."""
    folder = root / "stills"
    folder.mkdir(parents=True, exist_ok=True)
    content = {"images": [], "annotations": []}
    content["categories"] = [
        {"id": 17, "name": "cat", "supercategory": "animal"},
        {"id": 74, "name": "mouse", "supercategory": "electronic"},
        {"id": 90, "name": "teapot"},
    ]
    for number in range(1, count + 1):
        picture = np.full((*SIZE, 3), 90, np.uint8)
        picture[10:30, 20:45] = (230, 40, 40)
        Image.fromarray(picture).save(folder / f"{number}.{suffix}")
        content["images"].append(
            {"id": number, "file_name": f"{number}.{suffix}", "height": 48, "width": 64}
        )
        for category, polygon in ((17, [20, 10, 45, 10, 45, 30, 20, 30]), (90, [0, 0, 9, 0, 9, 9])):
            content["annotations"].append(
                {
                    "id": len(content["annotations"]) + 1,
                    "image_id": number,
                    "category_id": category,
                    "segmentation": [polygon],
                    "bbox": [20, 10, 25, 20],
                    "iscrowd": 0,
                }
            )
    for key, change in changes.items():
        change(content[key])
    path = root / "instances.json"
    path.write_text(json.dumps(content))
    return path, folder


def test_records(tmp_path, caplog):
    def change(annotations):
        annotations[2]["iscrowd"] = 1  # image 2 has nothing left
        annotations[4]["segmentation"] = []  # image 3 too
        annotations.append(dict(annotations[0], id=99, category_id=74))  # a computer's mouse

    path, folder = make_stills(tmp_path, annotations=change)
    with caplog.at_level(logging.INFO, "simplevtr.data.coco_stills"):
        (record,) = load_coco_stills(path, folder, ["mouse", "cat"])
    assert (record["video_id"], record["length"], record["pseudo"]) == (1, 1, True)
    assert (record["height"], record["width"]) == SIZE
    assert record["file_names"] == [str(folder / "1.jpg")]
    ((annotation,),) = record["annotations"]
    assert (annotation["id"], annotation["category_id"]) == (1, 1)
    assert "1 categories of" in caplog.text
    assert "4 of other categories" in caplog.text
    assert "1 of crowds" in caplog.text
    assert "1 without segmentation" in caplog.text
    assert "2 images without any" in caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": lambda x: x[0].pop("height")}, "image {.*an id of its own, height"),
        ({"images": lambda x: x[0].update(id=2)}, "image {.*an id of its own"),
        ({"images": lambda x: x.append(3)}, "no list 'images' of objects"),
        ({"annotations": lambda x: x[0].update(image_id=9)}, "annotation 1 has unknown image 9"),
        ({"annotations": lambda x: x[0].update(category_id=9)}, "unknown .*category 9"),
        ({"annotations": lambda x: x[0].pop("category_id")}, "image_id and category_id needed"),
        ({"annotations": lambda x: x[0].update(id=2)}, "annotation id 2 appears twice"),
        ({"categories": lambda x: x[0].pop("name")}, "category .*no id of its own or no name"),
        ({"categories": lambda x: x.pop(0)}, "unknown|none of its categories"),
    ],
)
def test_bad_files_are_named(tmp_path, changes, message):
    path, folder = make_stills(tmp_path, **changes)
    with pytest.raises(ValueError, match=f"instances.json.*({message})"):
        load_coco_stills(path, folder, ["cat"])


def test_missing_files_are_named(tmp_path):
    path, folder = make_stills(tmp_path)
    (folder / "2.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of the 3 images .* missing one is .*2.jpg"):
        load_coco_stills(path, folder, ["cat"])
    with pytest.raises(FileNotFoundError, match="nowhere of .* is no folder"):
        load_coco_stills(path, tmp_path / "nowhere", ["cat"])
    with pytest.raises(FileNotFoundError, match=r"nothing.json: no such file"):
        load_coco_stills(tmp_path / "nothing.json", folder, ["cat"])
    path.write_text("{")
    with pytest.raises(ValueError, match=r"instances.json: not valid JSON"):
        load_coco_stills(path, folder, ["cat"])


# --- clips


def still_record(tmp_path, **options):
    return load_coco_stills(*make_stills(tmp_path, count=1, **options), ["cat", "dog"])[0]


def mapper_for(**options):
    augmentation = ClipAugmentation(min_sizes=(48,), max_size=64)
    return YTVISDatasetMapper(
        **{"augmentation": augmentation, "frames": 5, "seed": 0, "is_train": True} | options
    )


def test_a_clip_of_a_still(tmp_path):
    record = still_record(tmp_path, suffix="png")
    clip = mapper_for()(record)
    assert [image.shape for image in clip["image"]] == [(3, 48, 64)] * 5
    assert clip["frame_idx"] == [0, 1, 2, 3, 4]
    assert clip["length"] == len(clip["file_names"]) == 5
    assert [frame.gt_ids.tolist() for frame in clip["instances"]] == [[1]] * 5
    assert [frame.gt_classes.tolist() for frame in clip["instances"]] == [[0]] * 5
    boxes = np.stack([frame.gt_boxes.tensor.numpy() for frame in clip["instances"]])
    assert (boxes[0] != boxes[2]).any()
    for image, frame in zip(clip["image"], clip["instances"], strict=True):
        red = image[0].int() - image[1].int() > 95  # of 190 at most
        mask = frame.gt_masks.tensor[0]
        assert (red & mask).sum() / (red | mask).sum() > 0.97


def test_without_motion_all_frames_are_the_picture(tmp_path):
    clip = mapper_for(motion=STILL)(still_record(tmp_path, suffix="png"))
    for image in clip["image"]:
        assert (image[:, 10:30, 20:45].reshape(3, -1).T.numpy() == (230, 40, 40)).all()
        assert (image == clip["image"][0]).all()
    assert clip["instances"][0].gt_boxes.tensor.tolist() == [[20, 10, 45, 30]]


def test_the_seed_decides_and_the_record_stays(tmp_path):
    record = still_record(tmp_path)
    before = json.dumps(record)
    clips = [mapper_for(seed=seed)(record) for seed in (1, 1, 2)]
    means = [[float(image.float().mean()) for image in clip["image"]] for clip in clips]
    assert means[0] == means[1] != means[2]
    assert json.dumps(record) == before


def test_shuffled_frames_keep_their_masks(tmp_path):
    record = still_record(tmp_path, suffix="png")
    plain, shuffled = (mapper_for(shuffle=s, frames=8)(record) for s in (False, True))
    assert sorted(shuffled["frame_idx"]) == plain["frame_idx"] != shuffled["frame_idx"]
    for image, frame in zip(shuffled["image"], shuffled["instances"], strict=True):
        red = image[0].int() - image[1].int() > 95
        mask = frame.gt_masks.tensor[0]
        assert (red & mask).sum() / (red | mask).sum() > 0.97


def test_stills_without_annotations_and_in_tests(tmp_path):
    record = still_record(tmp_path)
    assert "instances" not in mapper_for(with_annotations=False)(record)
    with pytest.raises(ValueError, match=r"1.jpg is a still image, which no test clip is made of"):
        mapper_for(is_train=False)(record)


def test_a_bad_segmentation_names_the_image(tmp_path):
    record = still_record(tmp_path, annotations=lambda x: x[0].update(segmentation=[[1, 2]]))
    with pytest.raises(ValueError, match=r"image .*1.jpg, frame 0, annotation 1: malformed"):
        mapper_for()(record)


# --- loaders


def cfg_for(*datasets, **keys):
    cfg = get_cfg()
    add_simplevtr_config(cfg)
    cfg.DATASETS.TRAIN, cfg.DATASETS.TEST = datasets, ()
    cfg.DATALOADER.NUM_WORKERS = 0
    cfg.SEED = 5
    cfg.INPUT.SAMPLING_FRAME_NUM = 2
    cfg.INPUT.MIN_SIZE_TRAIN, cfg.INPUT.MAX_SIZE_TRAIN = (32,), 64
    cfg.SOLVER.IMS_PER_BATCH = 1
    cfg.MODEL.SIMPLEVTR.NUM_CLASSES = 2
    cfg.merge_from_list([part for pair in keys.items() for part in pair])
    return cfg


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


@pytest.mark.parametrize("scheme", ["video", "frame", "compromise"])
def test_stills_alone(tmp_path, scheme):
    """The share says nothing then, and an epoch visits each image once."""
    register(tmp_path)
    cfg = cfg_for(STILLS, **{"INPUT.SAMPLING_SCHEME": scheme, "DATASETS.PSEUDO_RATIO": 0.1})
    assert epoch_length(cfg) == 3
    ids = [batch[0]["video_id"] for batch in itertools.islice(build_train_loader(cfg), 3)]
    assert sorted(ids) == [1, 2, 3]


@pytest.mark.parametrize("ratio", [-0.1, 1.0])
def test_shares_out_of_range_are_refused(tmp_path, ratio):
    register(tmp_path)
    with pytest.raises(ValueError, match=rf"PSEUDO_RATIO is {ratio}; a share in \[0, 1\)"):
        build_train_loader(cfg_for(VIDEOS, STILLS, **{"DATASETS.PSEUDO_RATIO": ratio}))


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
    check_classes(cfg, train=True)
    assert len(DatasetCatalog.get(STILLS)) == 3
    cfg.DATASETS.CUSTOM[0][-1] = "ovis_train"
    with pytest.raises(ValueError, match=f"dataset name {STILLS!r} is taken by"):
        register_from_cfg(cfg)
    cfg.DATASETS.CUSTOM = [[STILLS, "a.json", "b", "something", VIDEOS]]
    with pytest.raises(ValueError, match="or five, the last two 'coco_pseudo' and a dataset"):
        register_from_cfg(cfg)


def test_unknown_target_is_named(tmp_path):
    register_coco_stills(STILLS, *make_stills(tmp_path), "nonesuch")
    with pytest.raises(KeyError, match="takes the categories of 'nonesuch', which is unknown"):
        DatasetCatalog.get(STILLS)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("coco_pseudo_2017_train", "ytvis_2019_train"),
        ("coco_pseudo_2017_val_ytvis_2021", "ytvis_2021_train"),
        ("coco_pseudo_2017_train_ovis", "ovis_train"),
    ],
)
def test_builtin_names(name, target):
    metadata = MetadataCatalog.get(name)
    assert name in DatasetCatalog
    assert metadata.categories_of == target
    assert metadata.json_file.endswith(f"coco/annotations/instances_{name.split('_')[3]}2017.json")
