from simplevtr.evaluation.scored_video import track_iou
from simplevtr.formats.film_strips import check_frames, join_frames, mean_area
from simplevtr.formats.rle import MalformedMaskError

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from track_samples import rle


def strips(masks):
    """Film strips of (tracks, T, H, W) masks, with frames without a mask as None."""
    tracks = [[rle(mask) if mask.any() else None for mask in track] for track in masks]
    return join_frames(tracks, height=masks.shape[2], width=masks.shape[3])


def naive_iou(first, second):
    ious = np.zeros((len(first), len(second)))
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            intersection = sum(int((x & y).sum()) for x, y in zip(a, b, strict=True))
            union = sum(int((x | y).sum()) for x, y in zip(a, b, strict=True))
            ious[i, j] = intersection / union if union else 0.0
    return ious


def test_hand_computed():
    first = np.zeros((1, 3, 2, 3), bool)
    second = np.zeros((1, 3, 2, 3), bool)
    first[0, 0] = [[1, 1, 0], [0, 0, 0]]
    second[0, 0] = [[0, 1, 1], [0, 0, 1]]  # intersection 1, union 4
    first[0, 1] = [[1, 1, 1], [1, 1, 1]]  # absent in the second: union 6
    first[0, 2] = [[0, 0, 0], [0, 1, 1]]
    second[0, 2] = [[0, 0, 0], [0, 1, 1]]  # intersection 2, union 2
    assert track_iou(strips(first), strips(second)).item() == 3 / 12
    assert strips(second)[0].area == 2.5  # the frame in which it is absent does not count


@pytest.mark.parametrize("density", [0.02, 0.5, 0.98])
def test_film_strips_equal_sums_over_frames(density):
    generator = np.random.default_rng(0)
    for _ in range(20):
        frames, height, width = generator.integers(1, 7, 3)
        masks = generator.random((7, frames, height, width)) < density
        masks[0] = False
        masks[1, 0] = masks[2, -1] = masks[3, frames // 2] = False
        masks[4, 0], masks[5, -1], masks[6] = True, True, True
        first, second = strips(masks[::2]), strips(masks[1:])
        np.testing.assert_array_equal(track_iou(first, second), naive_iou(masks[::2], masks[1:]))
        for strip, track in zip(first, masks[::2], strict=True):
            wide = np.concatenate(list(track), axis=1)
            np.testing.assert_array_equal(coco_mask.decode(strip.rle), wide)


def test_many_tracks_and_frames():
    generator = np.random.default_rng(1)
    masks = generator.random((300, 260, 2, 2)) < 0.5
    ious = track_iou(strips(masks), strips(masks[:2]))
    pairs = masks[:, None], masks[None, :2]
    axes = (2, 3, 4)
    ious_by_numpy = (pairs[0] & pairs[1]).sum(axes) / (pairs[0] | pairs[1]).sum(axes)
    np.testing.assert_array_equal(ious, ious_by_numpy)


def test_no_tracks():
    some = strips(np.ones((2, 1, 3, 3), bool))
    assert track_iou([], some).shape == (0, 2)
    assert track_iou(some, []).shape == (2, 0)
    assert join_frames([], height=3, width=3) == []


def test_every_notation_of_a_mask_gives_the_same_strip():
    mask = np.zeros((5, 7), bool)
    mask[1:4, 2:6] = True
    text = rle(mask)
    runs = [11, 3, 2, 3, 2, 3, 2, 3, 6]
    notations = [
        text,
        {**text, "counts": text["counts"].encode()},
        {**text, "counts": runs},
        {**text, "counts": [5, 0, *(6, 2, 0, 1), *runs[2:]]},  # runs of length zero inside
        [[2, 1, 6, 1, 6, 4, 2, 4]],
        [[2, 1, 4, 1, 4, 4, 2, 4], [4, 1, 6, 1, 6, 4, 4, 4]],
    ]
    tracks = [[notation, None, notation] for notation in notations]
    joined = join_frames(tracks, height=5, width=7, allow_polygons=True)
    assert all(strip == joined[0] for strip in joined)
    assert joined[0].area == 12


def test_long_runs_decode_as_in_pycocotools():
    generator = np.random.default_rng(2)
    mask = np.zeros((1200, 1500), np.uint8)
    for _ in range(8):
        x, y = generator.integers(0, 1100, 2)
        mask[y : y + generator.integers(1, 900), x : x + generator.integers(1, 90)] = 1
    (strip,) = join_frames([[rle(mask)]], height=1200, width=1500)
    np.testing.assert_array_equal(coco_mask.decode(strip.rle), mask)


GOOD = rle(np.eye(40, 50))["counts"]


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ("", "non-empty"),
        (None, "non-empty"),
        (17, "non-empty"),
        ("é", "ASCII"),
        (GOOD + "1", "cover 2002 pixels, not"),  # what else is wrong with a text: test_rle.py
        ([2001], "integers in"),
        ([-1, 2001], "integers in"),
        ([1.5], "integers in"),
        (["a"], "integers in"),
        ([True, 1999], "integers in"),
        ([1, 2], "add up to 3"),
    ],
)
def test_malformed_counts_are_refused_with_their_place(counts, message):
    good = {"size": [40, 50], "counts": GOOD}
    tracks = [[good, good], [None, {"size": [40, 50], "counts": counts}]]
    with pytest.raises(MalformedMaskError, match=message) as caught:
        join_frames(tracks, height=40, width=50)
    assert caught.value.index == 3  # track 1, frame 1


def test_random_texts_are_refused_or_decoded_right():
    generator = np.random.default_rng(3)
    accepted = 0
    for _ in range(3000):
        text = bytes(generator.integers(47, 54, generator.integers(1, 5)).tolist())
        encoded = {"size": [2, 3], "counts": text}
        try:
            (strip,) = join_frames([[encoded]], height=2, width=3)
        except MalformedMaskError:
            continue
        accepted += 1
        np.testing.assert_array_equal(coco_mask.decode(strip.rle), coco_mask.decode(encoded))
    assert accepted > 20


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ({"size": [50, 40], "counts": GOOD}, r"size is \[50, 40\]"),
        ({"counts": GOOD}, "size is None"),
        ("text", "must be null, an RLE or polygons"),
        ([[1, 2, 3, 4]], "at least 6 numbers"),
        ([[1, 2, 3, 4, 5, 6, 7]], "at least 6 numbers"),
        ([1, 2, 3, 4, 5, 6], "polygon 1; a list"),
        ([[1, 2, 3, 4, 5, float("nan")]], "coordinate nan"),
        ([[1, 2, 3, 4, 5, 1e9]], "coordinate 1000000000.0 is out of range"),
        ([[1, 2, 3, 4, 5, "6"]], "something else than numbers"),
        ([[1, 2, 3, 4, 5, True]], "something else than numbers"),
    ],
)
def test_other_bad_segmentations(segmentation, message):
    with pytest.raises(MalformedMaskError, match=message):
        join_frames([[segmentation]], height=40, width=50, allow_polygons=True)


def test_polygons_are_refused_unless_allowed():
    with pytest.raises(MalformedMaskError, match="null or an RLE"):
        join_frames([[[[0, 0, 0, 2, 2, 2]]]], height=40, width=50)


def test_video_too_large_for_pycocotools():
    with pytest.raises(ValueError, match="4294967295 at most"):
        join_frames([[None] * 3000], height=1080, width=1920)
    # Training only needs to know that masks can be decoded.
    assert check_frames([[None] * 3000], height=1080, width=1920) == [None]
    with pytest.raises(MalformedMaskError, match="cover 3 pixels") as caught:
        check_frames(
            [[None] * 3000, [None, {"size": [1080, 1920], "counts": "3"}]], height=1080, width=1920
        )
    assert caught.value.index == 3001


def test_mean_area_counts_frames_with_a_mask():
    assert mean_area([None, 4.0, 0, 8]) == 6
    assert mean_area([None, None]) == 0
