"""Frames decoded at a fraction of their size: how far pixels differ, and that none moves."""

from simplevtr import setup_cfg
from simplevtr.data.augmentation import ClipAugmentation
from simplevtr.data.dataset_mapper import YTVISDatasetMapper
from simplevtr.data.ytvis import load_ytvis_json
from simplevtr.formats.images import read_reduced_frame

import numpy as np
import pytest
import torch
from PIL import Image
from test_transforms import gradient, texture
from ytvis_folder import make_ytvis_folder


def record_of(tmp_path, image, **options):
    """A video of one frame with this picture."""
    folder = make_ytvis_folder(tmp_path, videos=1, frames=1, size=image.shape[:2], absent=())
    record = load_ytvis_json(*folder)[0]
    Image.fromarray(image).save(record["file_names"][0], **({"quality": 95} | options))
    return record


def clips(record, augmentation, seed=0):
    """The same clip with reduced and with full decoding, (3, h, w) float each."""
    for draft in (True, False):
        mapper = YTVISDatasetMapper(
            augmentation=augmentation, frames=1, jpeg_draft=draft, is_train=True
        )
        yield mapper(record, np.random.default_rng(seed))["image"][0].float()


@pytest.mark.parametrize("reduction", [1, 2, 4, 8])
def test_sizes_are_rounded_up(tmp_path, reduction):
    for picture in (texture(47, 62), texture(47, 62)[..., 0]):
        Image.fromarray(picture).save(tmp_path / "a.jpg")
        image, factor = read_reduced_frame(tmp_path / "a.jpg", (47, 62), reduction=reduction)
        assert factor == reduction
        assert image.shape == (-(-47 // reduction), -(-62 // reduction), 3)
        assert image.flags.writeable


def test_what_cannot_be_reduced_comes_whole(tmp_path):
    image = texture(47, 62)
    Image.fromarray(image).save(tmp_path / "a.png")
    read, factor = read_reduced_frame(tmp_path / "a.png", reduction=4)
    assert factor == 1
    assert np.array_equal(read, image)
    Image.fromarray(image[:1, :9]).save(tmp_path / "a.jpg")
    assert read_reduced_frame(tmp_path / "a.jpg", reduction=2)[1] == 1


def test_a_turned_picture_is_reduced_where_its_blocks_are_whole(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down: the last block would come first
    for side, wanted in ((64, 4), (62, 1)):
        Image.fromarray(texture(48, side)).save(tmp_path / "a.jpg", exif=exif)
        assert read_reduced_frame(tmp_path / "a.jpg", reduction=4)[1] == wanted


def test_the_annotated_size_is_the_whole_one_and_broken_files_are_refused(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(texture(64, 80)).save(path)
    with pytest.raises(ValueError, match="has 64x80 pixels.*says 32x40"):
        read_reduced_frame(path, (32, 40), reduction=2)
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(ValueError, match=r"a\.jpg cannot be read.*truncated"):
        read_reduced_frame(path, (64, 80), reduction=2)


@pytest.mark.parametrize(("min_size", "bound"), [(60, 3.5), (100, 2.5)])  # by 4 and by 2
def test_pixels_differ_by_little(tmp_path, min_size, bound):
    record = record_of(tmp_path, texture(240, 400), quality=85)
    augmentation = ClipAugmentation(min_sizes=(min_size,), max_size=999)
    reduced, whole = clips(record, augmentation)
    difference = (reduced - whole).abs().mean()
    assert 0 < difference < bound  # of 255 grey levels
    assert (reduced - whole).mean().abs() < 0.3


@pytest.mark.parametrize("size", [(251, 397), (243, 402)])
@pytest.mark.parametrize("crop", [False, True])
def test_nothing_is_shifted(tmp_path, size, crop):
    """On a gradient a grey level is a place: it must be the place that the geometry says."""
    record = record_of(tmp_path, gradient(*size))
    options = {"crop_resize": (200,), "crop_range": (150, 190)} if crop else {}
    augmentation = ClipAugmentation(min_sizes=(60,), max_size=999, **options)
    for seed in range(3):
        geometry = augmentation.geometry(size, np.random.default_rng(seed))
        x0, y0, x1, y1 = geometry.rectangle
        h, w = geometry.size
        columns = x0 + (np.arange(w) + 0.5) * (x1 - x0) / w - 0.5
        rows = y0 + (np.arange(h) + 0.5) * (y1 - y0) / h - 0.5
        assert geometry.reduction > 1
        shifts = []
        for clip in clips(record, _Fixed(augmentation, geometry)):
            inner = clip[:, 4:-4, 4:-4]  # the frame's own edges have nothing beyond them
            x_shift = inner[0].mean(0).numpy() * (size[1] - 1) / 250 - columns[4:-4]
            y_shift = inner[1].mean(1).numpy() * (size[0] - 1) / 250 - rows[4:-4]
            shifts.append((x_shift.mean(), y_shift.mean()))
            # In source pixels; a grey level is up to 1.6 of them.
            assert max(np.abs(x_shift).max(), np.abs(y_shift).max()) < 1.6
        assert np.abs(shifts).max() < 0.2
        assert np.abs(np.subtract(*shifts)).max() < 0.1


class _Fixed:
    """An augmentation without chance."""

    def __init__(self, augmentation, geometry):
        self.colours = augmentation.colours
        self.geometry = lambda *_: geometry


def test_the_key_is_about_training_alone(tmp_path):
    record = record_of(tmp_path, texture(240, 400), quality=85)
    cfg = setup_cfg()
    cfg.INPUT.AUGMENTATIONS = []
    cfg.INPUT.MIN_SIZE_TRAIN, cfg.INPUT.MIN_SIZE_TEST = (80,), 80
    cfg.INPUT.SAMPLING_FRAME_NUM = 1
    whole = YTVISDatasetMapper(
        augmentation=ClipAugmentation(min_sizes=(80,), max_size=540), frames=1, jpeg_draft=False
    )(record)["image"][0]
    for is_train, draft in ((True, True), (True, False), (False, True), (False, False)):
        cfg.INPUT.JPEG_DRAFT = draft
        image = YTVISDatasetMapper(cfg, is_train)(record)["image"][0]
        assert torch.equal(image, whole) == (not (is_train and draft))
