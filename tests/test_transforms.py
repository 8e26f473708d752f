from simplevtr.data.augmentation import ClipAugmentation
from simplevtr.data.transforms import ClipGeometry, PhotometricTransform, largest_reduction

import cv2
import numpy as np
import pytest
from PIL import Image


def texture(height, width, seed=0):
    """(height, width, 3) uint8, smoothed noise."""
    rng = np.random.default_rng(seed)
    total = np.full((height, width, 3), 120, np.float32)
    for scale, strength in ((16, 40), (4, 15), (2, 5)):
        noise = rng.standard_normal((height // scale + 2, width // scale + 2, 3))
        noise = cv2.resize(noise.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
        total += strength * noise
    return np.clip(total, 0, 255).astype(np.uint8)


def gradient(height=48, width=64):
    """Red grows to the right by 250 over the width, green downwards by 250 over the height."""
    image = np.full((height, width, 3), 60, np.float32)
    image[..., 0] = np.linspace(0, 250, width)
    image[..., 1] = np.linspace(0, 250, height)[:, None]
    return image.round().astype(np.uint8)


@pytest.mark.parametrize("size", [(60, 107), (30, 51), (200, 333)])
def test_whole_pixels_are_resized_as_pillow_does(size):
    image = texture(120, 213)
    expected = Image.fromarray(image[8:104, 3:200]).resize(size[::-1], Image.Resampling.BILINEAR)
    result = ClipGeometry((3, 8, 200, 104), size).apply_image(image)
    assert np.abs(result.astype(int) - np.asarray(expected)).max() <= 1
    whole = ClipGeometry((3.0, 8.0, 200.0, 104.0), size).apply_image(image)
    assert np.array_equal(whole, result)


def test_a_cut_without_a_resize_copies_pixels():
    image = texture(40, 50)
    result = ClipGeometry((5, 7, 25, 17), (10, 20)).apply_image(image)
    assert np.array_equal(result, image[7:17, 5:25])


def test_nearest_positions_are_pillows():
    rng = np.random.default_rng(1)
    mask = rng.integers(0, 2, (97, 131), dtype=np.uint8)
    for size in ((20, 31), (97, 131), (150, 140)):
        rectangle = (2.3, 5.1, 120.7, 90.0)
        expected = Image.fromarray(mask).resize(size[::-1], Image.Resampling.NEAREST, box=rectangle)
        rows, columns = ClipGeometry(rectangle, size).picked(mask.shape)
        assert np.array_equal(mask[np.ix_(rows, columns)], np.asarray(expected))


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("upside_down", [False, True])
def test_flips_move_image_and_mask_alike(mirrored, upside_down):
    image = texture(9, 14)
    wanted = image[:: -1 if upside_down else 1, :: -1 if mirrored else 1]
    geometry = ClipGeometry((0, 0, 14, 9), (9, 14), mirrored, upside_down)
    assert np.array_equal(geometry.apply_image(image), wanted)
    assert np.array_equal(image[np.ix_(*geometry.picked((9, 14)))], wanted)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((100, 200), 1), ((51, 100), 1), ((50, 101), 1), ((50, 100), 2), ((26, 40), 2), ((12, 25), 8)],
)
def test_largest_reduction(size, expected):
    assert largest_reduction((10, 20, 210, 120), size) == expected


def test_no_drawn_geometry_enlarges_a_reduced_frame():
    augmentation = ClipAugmentation(
        min_sizes=(100, 300), max_size=540, crop_resize=(400, 500, 600), crop_range=(384, 600)
    )
    factors = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        size = tuple(int(n) for n in rng.integers(200, 1500, 2))
        geometry = augmentation.geometry(size, rng)
        x0, y0, x1, y1 = geometry.rectangle
        h, w = geometry.size
        factor = geometry.reduction
        factors.append(factor)
        assert factor == 1 or min((x1 - x0) / w, (y1 - y0) / h) >= factor
        # Windows start between pixels of the reduced frame, and end there or at the frame's edge.
        assert x0 % factor == y0 % factor == 0
        assert x1 % factor == 0 or x1 == size[1]
        assert y1 % factor == 0 or y1 == size[0]
    assert {1, 2, 4} <= set(factors)


def test_geometry_of_a_reduced_frame():
    geometry = ClipGeometry((4, 8, 204, 108), (25, 50), mirrored=True)
    assert geometry.reduction == 4
    image = texture(30, 60)
    assert np.array_equal(geometry.apply_image(image, 4), image[2:27, 50:0:-1])


def plain_colours(image, drawn):
    """The changes one after the other, in floating point."""
    image = image.astype(np.float32) + drawn.brightness
    if drawn.contrast_first:
        image *= drawn.contrast
    if drawn.saturation != 1.0 or drawn.hue != 0.0:
        hsv = cv2.cvtColor(np.clip(image, 0, 255) / 255, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0] + drawn.hue) % 360
        hsv[..., 1] = np.clip(hsv[..., 1] * drawn.saturation, 0, 1)
        image = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255
    if not drawn.contrast_first:
        image *= drawn.contrast
    return np.clip(image[..., list(drawn.channels)] + 0.5, 0, 255).astype(np.uint8)


def test_colours_are_those_of_the_plain_steps():
    augmentation = ClipAugmentation(min_sizes=(0,), max_size=99, photometric=True)
    image = np.random.default_rng(2).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    for change in augmentation.colours(100, np.random.default_rng(3)):
        result = change.apply_image(image)
        difference = np.abs(result.astype(int) - plain_colours(image, change))
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.01


def test_colours_leave_their_input():
    image = texture(10, 12)
    before = image.copy()
    PhotometricTransform(brightness=9, saturation=1.3, channels=(2, 1, 0)).apply_image(image)
    PhotometricTransform(contrast=1.4).apply_image(image)
    assert np.array_equal(image, before)
