import json
import sys
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as mask_coder

DATASETS = Path(__file__).parents[1] / "datasets"
if str(DATASETS) not in sys.path:
    sys.path.insert(0, str(DATASETS))

from rendering import POLYGON_MIN_IOU, annotation_record  # noqa: E402


def decode(segmentation, height: int, width: int) -> np.ndarray:
    if isinstance(segmentation, list):
        segmentation = mask_coder.merge(mask_coder.frPyObjects(segmentation, height, width))
    elif isinstance(segmentation["counts"], list):
        segmentation = mask_coder.frPyObjects(segmentation, height, width)
    return mask_coder.decode(segmentation).astype(bool)


def form(segmentation) -> str:
    if isinstance(segmentation, list):
        return "polygons"
    return "uncompressed" if isinstance(segmentation["counts"], list) else "compressed"


def two_visible_frames(*, hole: bool) -> np.ndarray:
    masks = np.zeros((3, 30, 40), bool)
    masks[0, 5:20, 8:25] = True
    masks[2, 0:15, 0:15] = True
    if hole:
        masks[0, 8:17, 11:22] = False
    return masks


@pytest.mark.parametrize("encoding", ["compressed", "uncompressed", "polygons"])
def test_each_form_decodes_to_the_mask(encoding):
    masks = two_visible_frames(hole=False)
    record = annotation_record(masks, category_id=4, encoding=encoding)
    assert record["segmentations"][1] is record["bboxes"][1] is record["areas"][1] is None
    for t in (0, 2):
        segmentation = json.loads(json.dumps(record["segmentations"][t]))
        assert form(segmentation) == encoding
        assert (decode(segmentation, 30, 40) == masks[t]).all()
    assert record["bboxes"][0] == [8, 5, 17, 15]
    assert record["areas"] == [255, None, 225]
    assert record["category_id"] == 4


def test_a_hole_is_not_lost_to_polygons():
    masks = two_visible_frames(hole=True)
    record = annotation_record(masks, category_id=1, encoding="polygons")
    assert [form(s) for s in record["segmentations"] if s] == ["compressed"] * 2
    assert (decode(record["segmentations"][0], 30, 40) == masks[0]).all()


def test_polygons_are_the_truth_of_boxes_and_areas():
    y, x = np.mgrid[:30, :40]
    mask = (x - 19.3) ** 2 + (y - 14.6) ** 2 < 100
    record = annotation_record(mask[None], category_id=1, encoding="polygons")
    drawn = decode(record["segmentations"][0], 30, 40)
    assert record["areas"] == [drawn.sum()]
    assert (drawn & mask).sum() / (drawn | mask).sum() >= POLYGON_MIN_IOU
