from simplevtr.data.transforms import ClipGeometry
from simplevtr.formats.mask_grid import MaskGrid
from simplevtr.formats.rle import decode_texts

import numpy as np
import pytest
from pycocotools import mask as mask_util


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
        read = MaskGrid(*picked, size).read(runs_of(mask))
        assert np.array_equal(read, mask[np.ix_(*picked)])
        foreground += int(read.sum())
    assert foreground > 10000


@pytest.mark.parametrize("value", [0, 1])
def test_masks_of_one_run(value):
    mask = np.full((5, 7), value, np.uint8, order="F")
    read = MaskGrid(np.arange(5), np.arange(7), (5, 7)).read(runs_of(mask))
    assert read.tolist() == mask.tolist()


def test_runs_without_length_between_others():
    grid = MaskGrid(np.arange(3), np.arange(4), (3, 4))
    read = grid.read(np.array([2, 3, 0, 2, 5]))
    assert read.ravel(order="F").tolist() == [0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]
