import itertools
from collections import Counter

from simplevtr.data.build import build_test_loader, build_train_loader, epoch_length
from simplevtr.data.clip_stream import grouped_by_shape
from simplevtr.data.ytvis import load_ytvis_json, register_ytvis

import cv2
import pytest
import torch
from detectron2.utils import comm
from json_files import edit_json
from ytvis_folder import loader_cfg as cfg_for
from ytvis_folder import make_ytvis_folder

NAMES = ("build_test_a", "build_test_b")


def register(tmp_path, name=NAMES[0], **options):
    folder = make_ytvis_folder(tmp_path / name, **options)
    register_ytvis(name, *folder)
    return name


def batches(cfg, count):
    return list(itertools.islice(build_train_loader(cfg), count))


def everything_in(drawn):
    """All pixels, masks and frame numbers, as bytes."""
    result = []
    for batch in drawn:
        clips = []
        for clip in batch:
            masks = [frame.gt_masks.tensor.numpy().tobytes() for frame in clip["instances"]]
            images = [image.numpy().tobytes() for image in clip["image"]]
            clips.append((clip["file_names"], clip["frame_idx"], images, masks))
        result.append(clips)
    return result


def resumed(cfg, start, count):
    stream = build_train_loader(cfg)
    stream.start = start
    return everything_in(itertools.islice(stream, count))


AUGMENTED = {
    "INPUT.AUGMENTATIONS": ["flip", "photometric", "crop"],
    "INPUT.CROP_RESIZE": [40, 60],
    "INPUT.CROP_RANGE": [20, 60],
    "INPUT.MIN_SIZE_TRAIN": (24, 32),
    "INPUT.SAMPLING_FRAME_SHUFFLE": True,
}


@pytest.mark.parametrize("scheme", ["video", "frame", "compromise"])
def test_a_stream_goes_on_where_it_stopped(tmp_path, scheme):
    """Nothing but the seed and the iteration decides what a batch is, down to the pixels."""
    name = register(tmp_path, videos=3, frames=[5, 6, 7], size=[(48, 64), (64, 48), (48, 48)])
    cfg = cfg_for(name, **AUGMENTED, **{"INPUT.SAMPLING_SCHEME": scheme})
    for grouped, batch in ((False, 1), (False, 2), (True, 2), (True, 3)):
        cfg.DATALOADER.GROUP_BY_SHAPE = grouped
        cfg.SOLVER.IMS_PER_BATCH = batch
        whole = resumed(cfg, 0, 36)  # several epochs and blocks of groups
        for start in (1, 7, 16, 23, 34):
            assert resumed(cfg, start, 2) == whole[start : start + 2]
        assert len({str(b) for b in whole}) == len(whole)  # no clip is drawn the same way again


@pytest.mark.parametrize("grouped", [True, False])
def test_workers_change_nothing(tmp_path, grouped):
    name = register(tmp_path, videos=3, frames=6, size=[(48, 64), (64, 48), (48, 48)])
    cfg = cfg_for(name, **AUGMENTED, **{"DATALOADER.GROUP_BY_SHAPE": grouped})
    torch.manual_seed(0)
    alone = resumed(cfg, 3, 6)
    torch.manual_seed(1)  # chance of the process, which the stream has no part in
    for workers in (1, 2):
        cfg.DATALOADER.NUM_WORKERS = workers
        assert resumed(cfg, 3, 6) == alone
    cfg.SEED += 1
    assert resumed(cfg, 3, 6) != alone


def test_two_processes_go_on_where_they_stopped(tmp_path, monkeypatch):
    name = register(tmp_path, videos=3, frames=[3, 4, 5])
    cfg = cfg_for(name, **AUGMENTED, **{"SOLVER.IMS_PER_BATCH": 4})
    monkeypatch.setattr(comm, "get_world_size", lambda: 2)
    ranks = []
    for rank in range(2):
        monkeypatch.setattr(comm, "get_rank", lambda rank=rank: rank)
        whole = resumed(cfg, 0, 20)
        assert resumed(cfg, 17, 3) == whole[17:]
        ranks.append(whole)
    assert ranks[0] != ranks[1]


def test_the_clips_of_an_iteration_do_not_depend_on_who_shares_them(tmp_path, monkeypatch):
    name = register(tmp_path, videos=3, frames=4)
    cfg = cfg_for(name, **AUGMENTED, **{"DATALOADER.GROUP_BY_SHAPE": False})
    whole = resumed(cfg, 0, 4)
    monkeypatch.setattr(comm, "get_world_size", lambda: 2)
    for rank in range(2):
        monkeypatch.setattr(comm, "get_rank", lambda rank=rank: rank)
        assert resumed(cfg, 0, 4) == [[batch[rank]] for batch in whole]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_frame_that_is_missing_is_one_line_also_from_a_worker(tmp_path, workers):
    name = register(tmp_path, videos=1, frames=2)
    for path in tmp_path.rglob("*.jpg"):
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r"video1/0000\d\.jpg") as caught:
        batches(cfg_for(name, **{"DATALOADER.NUM_WORKERS": workers}), 1)
    assert "\n" not in str(caught.value)


def test_workers_do_not_inherit_opencvs_threads(tmp_path):
    """A forked worker would wait for threads that only its parent has."""
    name = register(tmp_path, videos=1)
    before = cv2.getNumThreads()
    try:
        for build in (build_train_loader, lambda cfg: build_test_loader(cfg, name)):
            cv2.setNumThreads(2)
            build(cfg_for(name, **{"DATALOADER.NUM_WORKERS": 0}))
            assert cv2.getNumThreads() == 2
            build(cfg_for(name, **{"DATALOADER.NUM_WORKERS": 1}))
            assert cv2.getNumThreads() == 1
    finally:
        cv2.setNumThreads(before)


def test_tracks_are_pasted_of_a_class_that_the_clip_has(tmp_path):
    for name, tracks in zip(NAMES, (1, 3), strict=True):
        register(tmp_path, name, tracks=tracks, categories=("cat", "dog", "cow"), absent=())
    keys = {"INPUT.AUGMENTATIONS": ["paste_same_class"]}
    labels = [
        tuple(clip["instances"][0].gt_classes.tolist())
        for batch in batches(cfg_for(*NAMES, **keys), 60)
        for clip in batch
    ]
    assert set(labels) == {(0, 0), (0, 1, 2, 0), (0, 1, 2, 1), (0, 1, 2, 2)}


def test_one_epoch_visits_every_anchor_of_all_datasets_once(tmp_path):
    names = register(tmp_path, videos=2, frames=[2, 3]), register(tmp_path, NAMES[1], videos=1)
    cfg = cfg_for(*names, **{"SOLVER.IMS_PER_BATCH": 1, "INPUT.SAMPLING_FRAME_NUM": 1})
    assert epoch_length(cfg) == 2 + 3 + 4
    clips = [batch[0] for batch in batches(cfg, 9)]
    visited = Counter(clip["file_names"][clip["frame_idx"][0]] for clip in clips)
    assert len(visited) == 9
    assert sum(NAMES[1] in path for path in visited) == 4


@pytest.mark.parametrize(
    ("scheme", "batch", "length"),
    [("video", 2, 2), ("video", 1, 3), ("frame", 1, 12), ("frame", 5, 3), ("compromise", 2, 4)],
)
def test_epoch_length(tmp_path, scheme, batch, length):
    name = register(tmp_path, videos=3, frames=[3, 4, 5])
    cfg = cfg_for(name, **{"INPUT.SAMPLING_SCHEME": scheme, "SOLVER.IMS_PER_BATCH": batch})
    assert epoch_length(cfg) == length


def test_videos_without_instances_are_left_out(tmp_path):
    name = register(tmp_path, videos=2, frames=[1, 3], tracks=2, absent=((0, 0), (1, 0)))
    assert epoch_length(cfg_for(name, **{"SOLVER.IMS_PER_BATCH": 1})) == 3  # video 1 shows nothing
    keep = {"SOLVER.IMS_PER_BATCH": 1, "DATALOADER.FILTER_EMPTY_ANNOTATIONS": False}
    assert epoch_length(cfg_for(name, **keep)) == 4


def test_videos_whose_masks_are_all_background_are_left_out(tmp_path):
    """Some tools write an RLE of one run where an object is hidden."""
    folder = make_ytvis_folder(tmp_path, videos=2, frames=[1, 3], tracks=1, absent=())
    hidden = {"size": [48, 64], "counts": [48 * 64]}

    def hide(content):
        content["annotations"][0]["segmentations"] = [hidden]
        content["annotations"][1]["segmentations"][0] = hidden

    edit_json(folder.json_file, hide)
    register_ytvis("hidden_train", *folder)
    assert epoch_length(cfg_for("hidden_train", **{"SOLVER.IMS_PER_BATCH": 1})) == 3
    first, second, _ = load_ytvis_json(*folder)[1]["annotations"]
    assert (len(first), len(second)) == (0, 1)


@pytest.mark.parametrize("filtered", [True, False])
def test_training_without_ground_truth_is_refused(tmp_path, filtered):
    name = register(tmp_path, videos=2, annotations=False)
    cfg = cfg_for(name, **{"DATALOADER.FILTER_EMPTY_ANNOTATIONS": filtered})
    with pytest.raises(ValueError, match="none of the 2 videos has a visible instance"):
        build_train_loader(cfg)


def test_bad_settings_are_refused(tmp_path, monkeypatch):
    name = register(tmp_path, videos=1)
    with pytest.raises(KeyError, match="'nope' is not a registered video dataset"):
        build_train_loader(cfg_for("nope"))
    with pytest.raises(KeyError, match="'nope' is not a registered video dataset"):
        build_test_loader(cfg_for(name), "nope")
    with pytest.raises(ValueError, match=r"DATASETS\.TRAIN is empty"):
        build_train_loader(cfg_for())
    with pytest.raises(ValueError, match="2 categories, but MODEL.SIMPLEVTR.NUM_CLASSES is 1"):
        build_train_loader(cfg_for(name, **{"MODEL.SIMPLEVTR.NUM_CLASSES": 1}))
    monkeypatch.setattr(comm, "get_world_size", lambda: 2)
    with pytest.raises(ValueError, match="IMS_PER_BATCH is 3; a positive multiple of the 2"):
        build_train_loader(cfg_for(name, **{"SOLVER.IMS_PER_BATCH": 3}))


@pytest.mark.parametrize("workers", [0, 2])
def test_test_loader_gives_each_video_of_the_named_dataset_once(tmp_path, workers):
    a = register(tmp_path, videos=2)
    b = register(tmp_path, NAMES[1], videos=3, frames=[1, 2, 5], annotations=False)
    cfg = cfg_for(**{"DATALOADER.NUM_WORKERS": workers})
    cfg.DATASETS.TEST = (a, b)
    loader = build_test_loader(cfg, b)
    assert len(loader) == 3
    drawn = list(loader)
    assert all(len(batch) == 1 for batch in drawn)
    assert [batch[0]["video_id"] for batch in drawn] == [1, 2, 3]
    assert [len(batch[0]["image"]) for batch in drawn] == [1, 2, 5]
    assert drawn[0][0]["image"][0].shape == (3, 24, 32)
    assert NAMES[1] in drawn[0][0]["file_names"][0]


@pytest.mark.parametrize("world", [2, 4])
def test_processes_share_the_test_videos(tmp_path, monkeypatch, world):
    name = register(tmp_path, videos=3, frames=1)
    monkeypatch.setattr(comm, "get_world_size", lambda: world)
    seen = []
    for rank in range(world):
        monkeypatch.setattr(comm, "get_rank", lambda rank=rank: rank)
        seen += [batch[0]["video_id"] for batch in build_test_loader(cfg_for(), name)]
    assert sorted(seen) == [1, 2, 3]


def test_grouping_in_the_loader_puts_like_sizes_together(tmp_path):
    name = register(tmp_path, videos=4, frames=3, size=[(48, 64), (64, 48)] * 2)
    cfg = cfg_for(name, **{"INPUT.AUGMENTATIONS": []})
    drawn = batches(cfg, 30)
    mixed = sum(len({clip["image"][0].shape for clip in batch}) > 1 for batch in drawn)
    assert mixed <= 2
    assert len({batch[0]["image"][0].shape for batch in drawn}) == 2


def clip_of(number, height, width, frames=2):
    return {"number": number, "image": [torch.zeros(3, height, width)] * frames}


def test_groups_take_the_oldest_clip_and_its_likes():
    sizes = [(10, 20), (20, 10), (10, 19), (20, 10), (10, 20), (20, 10), (10, 20), (20, 11)]
    clips = [clip_of(i, *size) for i, size in enumerate(sizes)]
    grouped = grouped_by_shape(clips, batch_size=2, buffered=4)
    numbers = [[clip["number"] for clip in batch] for batch in grouped]
    assert numbers == [[0, 2], [1, 3], [4, 6], [5, 7]]
    assert list(grouped_by_shape(clips, batch_size=1, buffered=1)) == [[clip] for clip in clips]


def test_groups_keep_lengths_apart_and_lose_no_full_batch():
    lengths = [2, 5, 2, 5, 5, 2, 2]
    clips = [clip_of(i, 10, 10, frames=length) for i, length in enumerate(lengths)]
    drawn = list(grouped_by_shape(clips, batch_size=2, buffered=8))
    assert [[clip["number"] for clip in batch] for batch in drawn] == [[0, 2], [1, 3], [4, 5]]


def test_grouping_is_bounded_and_lets_none_wait():
    """One odd clip among many alike: it leaves as soon as it is the oldest."""
    pulled = []

    def source():
        for i in range(1000):
            pulled.append(i)
            yield clip_of(i, 99, 10) if i == 3 else clip_of(i, 10, 99)

    drawn = itertools.islice(grouped_by_shape(source(), batch_size=4, buffered=8), 3)
    numbers = []
    for step, batch in enumerate(drawn, start=1):
        assert len(pulled) - 4 * step <= 8 - 4
        numbers += [clip["number"] for clip in batch]
    assert 3 in numbers
