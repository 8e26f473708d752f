from simplevtr import setup_cfg
from simplevtr.data.augmentation import ClipAugmentation
from simplevtr.data.transforms import ClipGeometry, PhotometricTransform

import numpy as np
import pytest
from test_transforms import gradient


def rng(seed=0):
    return np.random.default_rng(seed)


def cfg_with(**keys):
    cfg = setup_cfg()
    for key, value in keys.items():
        setattr(cfg.INPUT, key, value)
    return cfg


def test_resize_alone_keeps_the_ratio():
    augmentation = ClipAugmentation(min_sizes=(300,), max_size=540)
    sizes = {(720, 1280): (300, 533), (720, 1440): (270, 540), (640, 480): (400, 300)}
    for size, expected in sizes.items():
        out = augmentation.geometry(size, rng()).apply_image(np.zeros((*size, 3), np.uint8))
        assert out.shape == (*expected, 3)


def test_min_size_is_drawn_and_zero_keeps_the_frame():
    augmentation = ClipAugmentation(min_sizes=(24, 48), max_size=100)
    heights = {
        augmentation.geometry((48, 64), rng(seed)).apply_image(gradient()).shape[0]
        for seed in range(20)
    }
    assert heights == {24, 48}
    keep = ClipAugmentation(min_sizes=(0,), max_size=10)
    assert np.array_equal(keep.geometry((48, 64), rng()).apply_image(gradient()), gradient())


def test_flips_have_their_probabilities():
    augmentation = ClipAugmentation(
        min_sizes=(48,), max_size=64, flip_prob=0.5, vertical_flip_prob=0.25
    )
    drawn = [augmentation.geometry((48, 64), rng(seed)) for seed in range(400)]
    assert 150 < sum(geometry.mirrored for geometry in drawn) < 250
    assert 60 < sum(geometry.upside_down for geometry in drawn) < 140


@pytest.mark.parametrize("size", [(720, 1280), (1280, 720), (64, 96), (1, 7), (500, 20)])
def test_crop_stays_within_the_frame_and_gives_one_size(size):
    augmentation = ClipAugmentation(
        min_sizes=(64,), max_size=100, crop_resize=(400, 500, 600), crop_range=(384, 600)
    )
    for seed in range(50):
        geometry = augmentation.geometry(size, rng(seed))
        x0, y0, x1, y1 = geometry.rectangle
        assert 0 <= x0 < x1 <= size[1]
        assert 0 <= y0 < y1 <= size[0]
        out = geometry.apply_image(np.zeros((*size, 3), np.uint8)).shape[:2]
        assert out == geometry.size == tuple(map(len, geometry.picked(size)))
        assert max(out) <= 100
        assert min(out) >= 1


def test_crop_of_vistr_has_the_published_sides():
    # With the short side at 400, 500 or 600, a window of 384..600 is 0.64 .. 1 of the short side.
    augmentation = ClipAugmentation(
        min_sizes=(300,), max_size=540, crop_resize=(400, 500, 600), crop_range=(384, 600)
    )
    sides = []
    for seed in range(300):
        x0, y0, x1, y1 = augmentation.geometry((720, 1280), rng(seed)).rectangle
        sides.append(((y1 - y0) / 720, (x1 - x0) / 720))
    heights, widths = np.array(sides).T
    assert heights.min() >= 384 / 600 - 1e-9
    assert heights.max() == pytest.approx(1)
    assert widths.min() >= 384 / 600 - 1e-9
    assert 1.3 < widths.max() <= 600 / 400 + 1e-9  # 600 of a frame whose short side is 400


def test_small_frames_are_not_cropped_below_the_range():
    augmentation = ClipAugmentation(
        min_sizes=(64,), max_size=96, crop_resize=(64,), crop_range=(64, 64)
    )
    for seed in range(20):
        geometry = augmentation.geometry((64, 96), rng(seed))
        x0, y0, x1, y1 = geometry.rectangle
        assert (x1 - x0, y0, y1) == pytest.approx((64, 0, 64))
        assert geometry.apply_image(gradient(64, 96)).shape == (64, 64, 3)


def test_crop_is_tried_again_until_an_instance_is_in_view():
    augmentation = ClipAugmentation(
        min_sizes=(32,), max_size=64, crop_resize=(100,), crop_range=(40, 40)
    )
    boxes = np.array([[0.0, 0.0, 6.0, 6.0]])

    def in_view(seed, given):
        x0, y0, _, _ = augmentation.geometry((100, 200), rng(seed), given).rectangle
        return x0 < 6 and y0 < 6

    with_boxes = sum(in_view(seed, boxes) for seed in range(300))
    without = sum(in_view(seed, None) for seed in range(300))
    assert without < 10
    assert with_boxes > 3 * max(without, 1)
    assert with_boxes < 100  # given up after ten tries, not searched for ever


def test_crop_resize_is_one_resampling_of_the_right_place():
    image = gradient(100, 200)
    transform = ClipGeometry((50.5, 20.0, 150.5, 70.0), (25, 50))
    out = transform.apply_image(image).astype(float)
    assert out.shape == (25, 50, 3)
    centres = 50.5 + (np.arange(50) + 0.5) * 2 - 0.5  # of the source columns, from 0
    assert np.abs(out[10, :, 0] - centres * 250 / 199).max() < 2


def test_photometric_without_changes_is_the_identity():
    image = gradient()
    assert np.array_equal(PhotometricTransform().apply_image(image), image)
    assert np.abs(PhotometricTransform(hue=360).apply_image(image).astype(int) - image).max() <= 1


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        ({"brightness": 20}, (10, 100, 250), (30, 120, 255)),
        ({"contrast": 0.5}, (10, 100, 250), (5, 50, 125)),
        ({"channels": (2, 0, 1)}, (10, 100, 250), (250, 10, 100)),
        ({"saturation": 0.0}, (10, 100, 250), (250, 250, 250)),
        ({"saturation": 0.5}, (200, 100, 100), (200, 150, 150)),
        ({"hue": 120}, (200, 100, 50), (50, 200, 100)),
        ({"brightness": -20, "contrast": 2.0}, (30, 40, 100), (20, 40, 160)),
    ],
)
def test_photometric_values(change, before, after):
    image = np.full((2, 3, 3), before, np.uint8)
    out = PhotometricTransform(**change).apply_image(image)
    assert out.dtype == np.uint8
    assert np.abs(out.astype(int) - after).max() <= 1


def test_colours_per_frame_and_per_clip():
    settings = {"min_sizes": (48,), "max_size": 64, "photometric": True}
    image = gradient()

    def distinct(per):
        colours = ClipAugmentation(photometric_per=per, **settings).colours(8, rng(1))
        return len({colour.apply_image(image).tobytes() for colour in colours}), len(colours)

    assert distinct("clip") == (1, 8)
    assert distinct("frame")[0] > 4
    assert distinct("frame")[1] == 8
    off = ClipAugmentation(min_sizes=(48,), max_size=64).colours(3, rng())
    assert off == [PhotometricTransform()] * 3


def test_from_config():
    train = ClipAugmentation.from_config(cfg_with(), True)
    assert (train.flip_prob, train.photometric, train.photometric_per) == (0.5, True, "frame")
    assert (train.crop_resize, train.crop_range) == ((400, 500, 600), (384, 600))
    assert (train.min_sizes, train.max_size) == ((300,), 540)
    plain = ClipAugmentation.from_config(cfg_with(AUGMENTATIONS=[], MIN_SIZE_TRAIN=(64, 72)), True)
    assert (plain.flip_prob, plain.photometric, plain.crop_resize) == (0.0, False, ())
    assert plain.min_sizes == (64, 72)
    test = ClipAugmentation.from_config(cfg_with(MIN_SIZE_TEST=360, MAX_SIZE_TEST=640), False)
    assert (test.min_sizes, test.max_size, test.crop_resize) == ((360,), 640, ())
    assert (test.flip_prob, test.photometric) == (0.0, False)
