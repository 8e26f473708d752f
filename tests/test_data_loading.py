import json

from benchmarks import data_loading
from benchmarks.data_loading import PlainMapper
from simplevtr import setup_cfg
from simplevtr.data.augmentation import ClipAugmentation
from simplevtr.data.dataset_mapper import YTVISDatasetMapper

import numpy as np
import pytest
import torch
from detectron2.data import transforms as T


@pytest.fixture
def records(tmp_path, small):
    return data_loading.make_dataset(tmp_path)


@pytest.fixture
def small(monkeypatch):
    """Two videos of three frames of 480 x 800 pixels."""
    monkeypatch.setattr(data_loading, "VIDEOS", 2)
    monkeypatch.setattr(data_loading, "FRAMES", 3)
    monkeypatch.setattr(data_loading, "SIZE", (480, 800))


def cfg_with(*augmentations):
    cfg = setup_cfg(str(data_loading.CONFIG), ["INPUT.SAMPLING_FRAME_NUM", 3])
    cfg.INPUT.AUGMENTATIONS = list(augmentations)
    cfg.INPUT.MIN_SIZE_TRAIN = (120,)
    return cfg


def test_both_mappers_do_the_same_work(records):
    record = records[0] | {"anchor": 1}
    cfg = cfg_with()
    ours = YTVISDatasetMapper(cfg, True)(record)
    plain = PlainMapper(cfg)(record)
    assert ours["frame_idx"] == plain["frame_idx"] == [0, 1, 2]
    assert (torch.stack(ours["image"]).float() - torch.stack(plain["image"])).abs().mean() < 3
    for a, b in zip(ours["instances"], plain["instances"], strict=True):
        assert a.gt_ids.tolist() == b.gt_ids.tolist() == [1, 2, 3]
        assert a.gt_classes.tolist() == b.gt_classes.tolist()
        overlap = (a.gt_masks.tensor & b.gt_masks.tensor).sum((1, 2))
        union = (a.gt_masks.tensor | b.gt_masks.tensor).sum((1, 2))
        assert (overlap / union).min() > 0.9
        assert (a.gt_boxes.tensor - b.gt_boxes.tensor).abs().max() <= 2


def test_sizes_of_augmented_clips_have_one_distribution():
    cfg = cfg_with("flip", "photometric", "crop")
    ours, plain = ClipAugmentation.from_config(cfg, True), PlainMapper(cfg)
    np.random.seed(0)
    frame = np.zeros((240, 400, 3), np.uint8)
    sizes = [ours.geometry((240, 400), np.random.default_rng(n)).size for n in range(60)]
    plain_sizes = [plain.steps(T.AugInput(frame)).apply_image(frame).shape[:2] for _ in range(60)]
    pixels, plain_pixels = (np.prod(s, axis=1).mean() for s in (sizes, plain_sizes))
    assert pixels == pytest.approx(plain_pixels, rel=0.12)


def test_the_command(small, tmp_path, capsys):
    path = tmp_path / "a.json"
    options = ["--clips", "1", "--json", str(path), "INPUT.SAMPLING_FRAME_NUM", "2"]
    assert data_loading.main(options) == 0
    out = capsys.readouterr().out
    assert "frames/s" in out
    reports = json.loads(path.read_text())
    assert set(reports) == {"on", "off"}
    for report in reports.values():
        assert report["ratio"] > 0
        for name in ("plain", "simplevtr"):
            assert report[name]["frames_per_second"] > 0
            assert report[name]["pixels"] > 0
    assert data_loading.main(options) == 2  # the file exists
    with pytest.raises(SystemExit, match="2"):
        data_loading.main(["--clips", "0"])
    assert "--clips: 0 was given; it must be at least 1" in capsys.readouterr().err
