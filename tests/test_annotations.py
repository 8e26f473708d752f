from simplevtr.data.annotations import read_picked, read_tracks, tracks_to_instances
from simplevtr.data.transforms import ClipGeometry
from simplevtr.formats.rle import decode_texts

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
    return read_tracks(frames, size)


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
    for runs in ([80, 0], [0, 0, 80], [30, 0, 50]):  # no pixel, as some tools write it
        absent = track(1, {"size": [8, 10], "counts": runs})
        assert tracks_of([*frames, [absent]]).boxes().tolist() == [[2, 1, 5, 5]]
    assert tracks_of([[]]).boxes().shape == (0, 4)


@pytest.mark.parametrize(
    "frames",
    [
        [[(1, 0), (1, 0)]],  # one of two objects would be lost
        [[(1, 0)], [], [(1, 2)]],
        [[(-1, 0)]],  # the mark of an instance that is absent
    ],
)
def test_ids_that_do_not_tell_instances_apart_are_refused(frames):
    rle = mask_util.encode(box_mask(2, 1, 3, 4))
    own = [[track(number, rle, category=label) for number, label in frame] for frame in frames]
    with pytest.raises(ValueError, match="annotation id -?1, category_id [02]: an id of 0 or more"):
        tracks_of(own)


def test_malformed_segmentations_are_refused_before_they_are_decoded():
    """What may be wrong with a mask is in test_track_iou.py."""
    with pytest.raises(ValueError, match="RLE counts cover 7 pixels"):
        tracks_of([[track(5, {"size": [8, 10], "counts": "34"})]])


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


def blobs(size, rng):
    """A mask of a few overlapping rectangles, one of them often at an edge."""
    mask = np.zeros(size, np.uint8, order="F")
    for _ in range(rng.integers(0, 5)):
        y, x = (int(rng.integers(-3, side)) for side in size)
        h, w = (int(rng.integers(1, side + 1)) for side in size)
        mask[max(y, 0) : y + h, max(x, 0) : x + w] = 1
    return mask


def runs_of(mask):
    runs, _ = decode_texts([mask_util.encode(mask)["counts"]], mask.size)
    return runs.ravel()


def random_geometry(size, rng):
    """A crop of ``size`` resized to anything, flipped or not."""
    (y0, y1), (x0, x1) = (np.sort(rng.uniform(0, side, 2)) + (0, 0.5) for side in size)
    rectangle = (x0, y0, min(x1, size[1]), min(y1, size[0]))
    if rng.random() < 0.3:
        rectangle = (0, 0, size[1], size[0])
    result = tuple(int(n) for n in rng.integers(1, 70, 2))
    return ClipGeometry(rectangle, result, *(rng.random(2) < 0.5))


def test_a_grid_reads_what_decoding_and_transforming_gives():
    rng = np.random.default_rng(0)
    foreground = 0
    for _ in range(300):
        size = tuple(int(n) for n in rng.integers(1, 60, 2))
        mask = blobs(size, rng)
        picked = random_geometry(size, rng).picked(size)
        (read,) = read_picked([runs_of(mask)], *picked, size)
        assert np.array_equal(read, mask[np.ix_(*picked)])
        foreground += int(read.sum())
    assert foreground > 10000


def test_runs_without_length_between_others():
    lengths = np.array([2, 3, 0, 2, 5])
    (read,) = read_picked([lengths], np.arange(3), np.arange(4), (3, 4))
    assert read.ravel(order="F").tolist() == [0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]
