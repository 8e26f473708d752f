import copy
import pickle
from functools import partial
from pathlib import Path

from simplevtr import setup_cfg
from simplevtr.data.augmentation import ClipAugmentation
from simplevtr.data.dataset_mapper import YTVISDatasetMapper
from simplevtr.data.ytvis import load_ytvis_json
from simplevtr.formats.images import read_frame

import numpy as np
import pytest
import torch
from ytvis_folder import make_ytvis_folder


def mapper_for(**options):
    """A training mapper of 4 frames that keeps the 48x64 frames of the test folder as they are."""
    augmentation = options.pop("augmentation", ClipAugmentation(min_sizes=(48,), max_size=64))
    rng = np.random.default_rng(options.pop("seed", 0))
    settings = {"is_train": True, "frames": 4} | options
    return partial(YTVISDatasetMapper(augmentation=augmentation, **settings), rng=rng)


def records_of(root, **options):
    return load_ytvis_json(*make_ytvis_folder(root, **options))


@pytest.mark.parametrize("kind", ["polygon", "uncompressed", "compressed"])
def test_all_kinds_of_segmentation_give_the_same_masks(tmp_path, kind):
    record = records_of(tmp_path, videos=1, segmentation=kind)[0]
    clip = mapper_for()(record)
    for t, instances in zip(clip["frame_idx"], clip["instances"], strict=True):
        for row, present in enumerate(instances.gt_ids >= 0):
            mask = instances.gt_masks.tensor[row].numpy()
            if not present:
                assert (row, t) == (1, 0)
                assert not mask.any()
                assert instances.gt_boxes.tensor[row].tolist() == [0, 0, 0, 0]
                continue
            x, y, w, h = next(
                a["bbox"] for a in record["annotations"][t] if a["id"] == int(instances.gt_ids[row])
            )
            assert mask[y : y + h, x : x + w].all()
            assert mask.sum() == w * h
            assert instances.gt_boxes.tensor[row].tolist() == [x, y, x + w, y + h]


def test_training_clip(tmp_path):
    record = records_of(tmp_path, videos=1, frames=9)[0]
    clip = mapper_for()(record | {"anchor": 5})
    assert set(clip) == {
        *("image", "instances", "height", "width", "length", "video_id", "file_names", "frame_idx")
    }
    assert len(clip["image"]) == len(clip["instances"]) == 4
    assert all(i.shape == (3, 48, 64) and i.dtype == torch.uint8 for i in clip["image"])
    assert 5 in clip["frame_idx"]
    assert clip["frame_idx"] == sorted(set(clip["frame_idx"]))
    assert (clip["height"], clip["width"], clip["length"], clip["video_id"]) == (48, 64, 9, 1)
    assert clip["file_names"] == record["file_names"]
    for t, image in zip(clip["frame_idx"], clip["image"], strict=True):
        stored = read_frame(record["file_names"][t])
        assert np.array_equal(image.numpy().transpose(1, 2, 0), stored)


def test_masks_move_with_the_frames(tmp_path):
    """After flips, crops and resizes a mask still lies on its rectangle's colour."""
    record = records_of(tmp_path, videos=1, frames=6, size=(60, 80), categories=("a",), tracks=1)[0]
    augmentation = ClipAugmentation(
        min_sizes=(90,), max_size=200, flip_prob=0.5, crop_resize=(60,), crop_range=(40, 50)
    )
    mapper = mapper_for(augmentation=augmentation)
    shapes = set()
    seen = 0
    for _ in range(15):
        clip = mapper(record)
        shapes.add(clip["image"][0].shape)
        for image, instances in zip(clip["image"], clip["instances"], strict=True):
            assert image.shape[1:] == instances.image_size == clip["image"][0].shape[1:]
            red = (image[0] > 160) & (image[1] < 90)  # the first colour of the test folder
            masks = instances.gt_masks.tensor
            mask = masks[0] if len(masks) else torch.zeros_like(red)
            assert (red != mask).float().mean() < 0.04
            seen += int(mask.sum() > 100)
    assert len(shapes) > 3
    assert seen > 30


def test_geometry_is_drawn_once_a_clip(tmp_path):
    record = records_of(tmp_path, videos=1, frames=6)[0]
    mapper = mapper_for(augmentation=ClipAugmentation(min_sizes=(48,), max_size=64, flip_prob=0.5))
    stored = [torch.from_numpy(read_frame(name)).permute(2, 0, 1) for name in record["file_names"]]
    flipped = []
    for _ in range(8):
        clip = mapper(record)
        shown = zip(clip["frame_idx"], clip["image"], strict=True)
        flipped.append({torch.equal(image, stored[t].flip(-1)) for t, image in shown})
    assert all(len(found) == 1 for found in flipped)
    assert set().union(*flipped) == {True, False}


def test_testing_gives_the_whole_video_in_order_without_annotations(tmp_path):
    record = records_of(tmp_path, videos=1, frames=7, annotations=False)[0]
    augmentation = ClipAugmentation(min_sizes=(24,), max_size=64)
    clip = mapper_for(is_train=False, augmentation=augmentation, frames=2)(record)
    assert clip["frame_idx"] == list(range(7))
    assert "instances" not in clip
    assert all(i.shape == (3, 24, 32) for i in clip["image"])
    assert (clip["height"], clip["width"]) == (48, 64)


def test_frames_of_a_long_test_video_are_read_when_asked_for(tmp_path):
    record = records_of(tmp_path, videos=1, frames=7, annotations=False)[0]
    at_once = mapper_for(is_train=False, read_ahead=7)(record)["image"]
    assert isinstance(at_once, list)
    later = mapper_for(is_train=False, read_ahead=6)(record)["image"]
    assert len(later) == 7
    handed_over = pickle.loads(pickle.dumps(later))  # as by a data loader's worker
    for one, two, three in zip(at_once, later, handed_over, strict=True):
        assert torch.equal(one, two)
        assert torch.equal(one, three)
    assert torch.equal(torch.stack(later[5:1:-2]), torch.stack(at_once[5:1:-2]))
    Path(record["file_names"][3]).unlink()
    assert torch.equal(later[2], at_once[2])
    with pytest.raises(FileNotFoundError):
        later[3]


def test_record_is_not_changed(tmp_path):
    record = records_of(tmp_path, videos=1, segmentation="compressed")[0]
    before = copy.deepcopy(record)
    clip = mapper_for()(record)
    clip["file_names"].clear()
    assert record == before


def test_only_drawn_frames_are_looked_at_and_nothing_is_copied(tmp_path):
    class Frames(list):
        def __getitem__(self, index):
            looked_at.append(index)
            return super().__getitem__(index)

        def __deepcopy__(self, memo):
            raise AssertionError("copied")

    looked_at = []
    record = records_of(tmp_path, videos=1, frames=9)[0]
    record["annotations"] = Frames(record["annotations"])
    clip = mapper_for()(record)
    assert sorted(looked_at) == clip["frame_idx"]


def test_a_clip_is_handed_over_in_few_blocks_of_memory(tmp_path):
    clip = mapper_for()(records_of(tmp_path, videos=1)[0])
    kinds = [
        clip["image"],
        *([frame.get(name) for frame in clip["instances"]] for name in ("gt_ids", "gt_classes")),
        *(
            [frame.get(name).tensor for frame in clip["instances"]]
            for name in ("gt_boxes", "gt_masks")
        ),
    ]
    for tensors in kinds:
        assert len({tensor.untyped_storage().data_ptr() for tensor in tensors}) == 1
        assert all(tensor.is_contiguous() for tensor in tensors)
        tensors[0].zero_()
        assert any(tensor.any() for tensor in tensors[1:])  # no frame shares its values


def test_image_format(tmp_path):
    record = records_of(tmp_path, videos=1)[0]
    rgb = mapper_for(is_train=False)(record)["image"][0]
    bgr = mapper_for(is_train=False, image_format="BGR")(record)["image"][0]
    assert torch.equal(rgb, bgr.flip(0))
    assert not torch.equal(rgb, bgr)


def test_without_a_generator_torch_decides(tmp_path):
    """In a worker of any data loader, that is its own seed."""
    record = records_of(tmp_path, videos=1, frames=30)[0]
    runs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        runs.append(mapper_for()(record, rng=None)["frame_idx"])
    assert runs[0] == runs[1] != runs[2]


def test_wrong_size_and_missing_frame_name_the_file(tmp_path):
    folder = make_ytvis_folder(tmp_path, videos=1)
    record = load_ytvis_json(*folder)[0]
    with pytest.raises(ValueError, match=r"video1/0000\d\.jpg has 48x64 pixels"):
        mapper_for(is_train=False)(record | {"height": 50})
    Path(record["file_names"][2]).unlink()
    with pytest.raises(FileNotFoundError, match=r"video1/00002\.jpg"):
        mapper_for(is_train=False)(record)


@pytest.mark.parametrize("key", ["file_names", "annotations"])
@pytest.mark.parametrize("count", [-1, 1])
def test_a_record_whose_lists_are_not_of_its_length_is_refused(tmp_path, key, count):
    """Masks would be those of other frames."""
    record = records_of(tmp_path, videos=1, frames=5)[0]
    changed = record | {key: record[key][:4] if count < 0 else [record[key][0], *record[key]]}
    message = rf"video {record['video_id']}: length is 5, but there are {5 + count} {key}"
    with pytest.raises(ValueError, match=message):
        mapper_for()(changed)


def test_annotations_that_cannot_be_used_name_the_video(tmp_path):
    record = records_of(tmp_path, videos=1, frames=5)[0]
    record["annotations"] = [frame * 2 for frame in record["annotations"]]
    with pytest.raises(
        ValueError, match=r"video \d+, .*00000\.jpg: annotation id .* is one object"
    ):
        mapper_for()(record)


def test_from_config(tmp_path):
    cfg = setup_cfg()
    cfg.INPUT.SAMPLING_FRAME_NUM = 2
    cfg.INPUT.SAMPLING_FRAME_RANGE = 1
    cfg.INPUT.MIN_SIZE_TEST = 24
    record = records_of(tmp_path, videos=1, frames=9)[0]
    clip = YTVISDatasetMapper(cfg, True)(record | {"anchor": 4})
    assert len(clip["image"]) == 2
    assert set(clip["frame_idx"]) < {3, 4, 5}
    assert min(clip["image"][0].shape[1:]) == 300
    cfg.INPUT.SAMPLING = "consecutive"
    cfg.INPUT.SAMPLING_FRAME_RANGE = 0
    assert YTVISDatasetMapper(cfg, True)(record | {"anchor": 0})["frame_idx"] == [8, 0]
    test = YTVISDatasetMapper(cfg, False)(record)
    assert len(test["image"]) == 9
    assert test["image"][0].shape == (3, 24, 32)
    assert "instances" not in test
    assert isinstance(test["image"], list)
    cfg.MODEL.SIMPLEVTR.QUERY_FRAMES = 8  # the window, whatever TEST.WINDOW
    assert not isinstance(YTVISDatasetMapper(cfg, False)(record)["image"], list)
