from simplevtr.data.annotations import read_tracks, tracks_to_instances
from simplevtr.data.transforms import ClipGeometry

import numpy as np
import pytest
import torch
from pycocotools import mask as mask_util

WHOLE = ClipGeometry((0, 0, 10, 8), (8, 10))


def box_mask(x, y, w, h, size=(8, 10)):
    mask = np.zeros(size, np.uint8, order="F")
    mask[y : y + h, x : x + w] = 1
    return mask


def track(track_id, segmentation, *, category=0, iscrowd=0):
    return {
        "id": track_id,
        "category_id": category,
        "iscrowd": iscrowd,
        "segmentation": segmentation,
    }


def tracks_of(frames, size=(8, 10)):
    return read_tracks(frames, size, frame_numbers=range(len(frames)), source="video 7")


def test_rows_are_the_same_in_all_frames_and_absent_ones_keep_their_class():
    rle = mask_util.encode(box_mask(2, 1, 3, 4))
    frames = [[track(9, rle, category=3)], [], [track(4, rle, category=1)]]
    clip = tracks_to_instances(tracks_of(frames), WHOLE)
    assert [i.gt_ids.tolist() for i in clip] == [[-1, 9], [-1, -1], [4, -1]]
    assert [i.gt_classes.tolist() for i in clip] == [[1, 3]] * 3
    assert clip[0].gt_boxes.tensor.tolist() == [[0, 0, 0, 0], [2, 1, 5, 5]]
    assert clip[2].gt_masks.tensor.sum(dim=(1, 2)).tolist() == [12, 0]
    assert all(i.image_size == (8, 10) for i in clip)
    assert clip[0].gt_masks.tensor.dtype == torch.bool
    assert clip[0].gt_ids.dtype == clip[0].gt_classes.dtype == torch.int64


def test_crowds_and_what_no_frame_shows_any_more_are_dropped():
    left = mask_util.encode(box_mask(0, 0, 2, 2))
    right = mask_util.encode(box_mask(7, 0, 2, 2))
    frames = [[track(1, left), track(2, right), track(3, left, iscrowd=1)]]
    tracks = tracks_of(frames)
    assert tracks.ids == [1, 2]

    (instances,) = tracks_to_instances(tracks, ClipGeometry((5, 0, 10, 8), (8, 5)))
    assert instances.gt_ids.tolist() == [2]
    assert instances.gt_boxes.tensor.tolist() == [[2, 0, 4, 2]]


def test_a_clip_without_instances():
    clip = tracks_to_instances(tracks_of([[], []]), WHOLE)
    assert [len(i) for i in clip] == [0, 0]
    assert clip[0].gt_masks.tensor.shape == (0, 8, 10)
    assert clip[0].gt_boxes.tensor.shape == (0, 4)


def test_boxes_of_all_frames():
    empty = mask_util.encode(box_mask(0, 0, 0, 0))
    frames = [[track(1, mask_util.encode(box_mask(2, 1, 3, 4)))], [track(1, empty)], []]
    assert tracks_of(frames).boxes().tolist() == [[2, 1, 5, 5]]
    assert tracks_of([[]]).boxes().shape == (0, 4)


def compressed(runs, size=(8, 10)):
    return mask_util.frPyObjects({"size": list(size), "counts": runs}, *size)["counts"].decode()


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([[1, 2, 3, 4]], "at least 6 numbers"),
        ([[1, 2, 3, 4, 5, 6, 7]], "at least 6 numbers"),
        ([[1, 2, 3, 4, 5, "6"]], "something else than numbers"),
        ({"counts": [80]}, "RLE size is None"),
        ("abc", "must be null, an RLE or polygons, got str"),
        ({"size": [10, 8], "counts": [80]}, r"RLE size is \[10, 8\], the frames' .* is \[8, 10\]"),
        ({"size": 80, "counts": [80]}, "malformed"),
        ({"size": [8, 10], "counts": [3, 4]}, r"add up to 7, not to 8 \* 10"),
        ({"size": [8, 10], "counts": [3, 80]}, "add up to 83"),
        ({"size": [8, 10], "counts": [83, -3]}, r"integers in \[0, 80\]"),
        ({"size": [8, 10], "counts": [3.5, 76.5]}, "integers in"),
        ({"size": [8, 10], "counts": None}, "non-empty text or a list"),
        (
            {"size": [8, 10], "counts": compressed([3, 4])},
            "cover 7 pixels, not height . width = 80",
        ),
        ({"size": [8, 10], "counts": compressed([3, 4, 5, 200, 6])}, "cover 218 pixels"),
        ({"size": [8, 10], "counts": "zz zz"}, "a character outside"),
        ({"size": [8, 10], "counts": "\u00e9"}, "malformed"),
    ],
)
def test_malformed_segmentations_are_refused(segmentation, message):
    frames = [[], [track(5, segmentation)]]
    with pytest.raises(ValueError, match=f"video 7, frame 1, annotation 5.*{message}"):
        tracks_of(frames)


def test_any_compressed_mask_is_taken():
    rng = np.random.default_rng(0)
    for _ in range(200):
        size = tuple(int(n) for n in rng.integers(1, 400, 2))
        mask = np.asfortranarray(rng.random(size) < rng.choice([0, 0.001, 0.5, 0.999, 1]))
        rle = mask_util.encode(mask.astype(np.uint8))
        segmentation = {"size": list(size), "counts": rle["counts"].decode()}
        tracks = tracks_of([[track(1, segmentation)]], size)
        geometry = ClipGeometry((0, 0, *size[::-1]), size)
        (instances,) = tracks_to_instances(tracks, geometry)
        assert np.array_equal(instances.gt_masks.tensor.any(0), mask)
